//! Storing names under the current key: from the users' records, because a hash cannot be undone.
//!
//! Until that is done, a name is looked for under every key, and may be given to nobody else if it
//! is found under any. Failed passwords of users move with their names. Those of unknown names are
//! forgotten: nobody knows which names they were.

use super::names::Target;
use super::people::keys_of;
use super::rotation::Moved;
use super::{LINES, Store, TRIES, expect};
use crate::domain::user::{User, UserId};
use crate::store::batch::{Batch, Expect};
use crate::store::keys::NameKey;
use crate::store::record::{Entry, KeyRange, Kind};
use crate::unavailable::{self, Unavailable};

impl Store {
    /// Moves these records to where the current key stores them, or deletes them if they are of no
    /// use: their keys begin with the id of an older key.
    pub(super) async fn rekey(&self, kind: Kind, page: Vec<Entry>) -> Result<Moved, Unavailable> {
        let names = self.keyring.names();
        let older = |entry: &Entry| entry.key.first().and_then(|id| names.older(*id));
        let Some(old) = page.first().and_then(older) else { return Ok(Moved::default()) };
        match kind {
            Kind::Name => self.rekey_names(old, page).await,
            Kind::FormerName => self.rekey_former_names(page).await,
            _ => self.forget_unknown_names(old, page).await,
        }
    }

    async fn rekey_names(&self, old: &NameKey, page: Vec<Entry>) -> Result<Moved, Unavailable> {
        let mut done = Moved { moved: page.len() as u64, unreadable: 0 };
        let (mut readable, mut owners) = (Vec::with_capacity(page.len()), Vec::new());
        for entry in page {
            let owner = self.open::<UserId>(Kind::Name, &entry.key, &entry.record);
            let Some(owner) = done.unless_unreadable(owner)? else { continue };
            readable.push(entry);
            owners.push(owner);
        }
        // Nobody counts a failure of theirs while it moves.
        let mut places: Vec<_> =
            owners.iter().map(|id| usize::from(id.as_bytes()[0]) % LINES).collect();
        places.sort_unstable();
        places.dedup();
        let mut lines = Vec::with_capacity(places.len());
        for place in places {
            lines.push(self.lines[place].lock().await);
        }
        if self.rekey_all(old, &readable, &owners).await? {
            return Ok(done);
        }
        for (entry, owner) in readable.into_iter().zip(owners) {
            let moved = self.rekey_one(old, entry, owner).await;
            done.unless_unreadable(moved)?;
        }
        Ok(done)
    }

    /// Moves these names in one commit. `false`: somebody changed one of them meanwhile, or a record
    /// of one cannot be read.
    async fn rekey_all(
        &self,
        old: &NameKey,
        page: &[Entry],
        owners: &[UserId],
    ) -> Result<bool, Unavailable> {
        let mut batch = Batch::new();
        for (entry, owner) in page.iter().zip(owners) {
            batch = match self.rekey_name(old, entry, *owner, batch).await {
                Ok(batch) => batch,
                Err(error) if error.kind() == unavailable::Kind::Record => return Ok(false),
                Err(error) => return Err(error),
            };
        }
        self.commit(batch, &[], None).await
    }

    /// Moves one name, however often somebody changes it meanwhile.
    async fn rekey_one(
        &self,
        old: &NameKey,
        mut entry: Entry,
        owner: UserId,
    ) -> Result<(), Unavailable> {
        for _ in 0..TRIES {
            let batch = self.rekey_name(old, &entry, owner, Batch::new()).await?;
            if self.commit(batch, &[], None).await? {
                return Ok(());
            }
            let Some(record) = self.records.get(Kind::Name, &entry.key).await? else {
                return Ok(());
            };
            entry.record = record;
        }
        Err(Unavailable::store("too many conflicting writes to the same user"))
    }

    /// Adds to `batch` what moves one name of `owner`, and their failed passwords.
    async fn rekey_name(
        &self,
        old: &NameKey,
        entry: &Entry,
        owner: UserId,
        batch: Batch,
    ) -> Result<Batch, Unavailable> {
        let read = self.read::<User>(Kind::User, owner.as_bytes()).await?;
        let mut batch = batch.check(Kind::User, *owner.as_bytes(), expect(read.version)).delete(
            Kind::Name,
            entry.key.clone(),
            Expect::Version(entry.record.version),
        );
        // A name that is nobody's any more leads nowhere.
        let Some(user) = read.value else { return Ok(batch) };
        let mut names = keys_of(&user).into_iter().map(|(name, _)| name);
        let Some(name) = names.find(|name| old.of(name)[..] == entry.key) else { return Ok(batch) };
        let hash = self.keyring.names().current.of(&name);
        let there = self.read::<UserId>(Kind::Name, &hash).await?;
        match there.value {
            None => batch = self.put(batch, Kind::Name, &hash, Expect::Absent, None, &owner)?,
            Some(id) if id == owner => {}
            Some(_) => return Err(Unavailable::record("a name belongs to two users")),
        }
        let attempts = self.read_attempts(&Target::User(owner)).await?;
        if attempts.are_under_an_older_key() {
            batch = self.put_attempts(batch, &attempts, &attempts.failures)?;
        }
        Ok(batch)
    }

    /// Forgets failed passwords of unknown names, once those of users have moved.
    async fn forget_unknown_names(
        &self,
        old: &NameKey,
        page: Vec<Entry>,
    ) -> Result<Moved, Unavailable> {
        let names = KeyRange::prefix(&[old.id()]);
        if !self.records.scan(Kind::Name, names, 1).await?.is_empty() {
            return Ok(Moved::default());
        }
        let done = Moved { moved: page.len() as u64, unreadable: 0 };
        let forget =
            |batch: Batch, Entry { key, .. }| batch.delete(Kind::Attempts, key, Expect::Any);
        self.commit(page.into_iter().fold(Batch::new(), forget), &[], None).await?;
        Ok(done)
    }
}
