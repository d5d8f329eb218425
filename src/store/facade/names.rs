//! Looking up names, and counting failed passwords for users and unknown names.
//!
//! Failed passwords from unknown browsers are stored in one kind of record, for users and unknown
//! names alike. The key does not reveal which it is. So neither the duration of an attempt nor the
//! records that are dropped during a flood reveal who is a user.

use std::hint::black_box;
use std::sync::atomic::Ordering;

use super::failures::ABSENT;
use super::{Store, TRIES, expect};
use crate::domain::event::Whom;
use crate::domain::lockout::Failures;
use crate::domain::name::Login;
use crate::domain::user::UserId;
use crate::store::batch::{Batch, Expect};
use crate::store::record::{KeyRange, Kind, Record, SWEEP_AT_MOST, Version};
use crate::store::unavailable::Unavailable;

/// Whose password somebody tries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A user's.
    User(UserId),
    /// That of an unknown name.
    Nobody(NobodysName),
}

/// An unknown name, as its record key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NobodysName([u8; 32]);

impl NobodysName {
    /// The reference to it in events.
    pub fn whom(&self) -> Whom {
        Whom::Nobody(u64::from_be_bytes(std::array::from_fn(|i| self.0[i])))
    }
}

impl Store {
    /// The user who signs in with this name or e-mail address.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn user_named(&self, login: &Login) -> Result<Option<UserId>, Unavailable> {
        Ok(match self.target(login).await? {
            Target::User(user) => Some(user),
            Target::Nobody(_) => None,
        })
    }

    /// The user with this name, or the unknown name. Takes the same time in both cases.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn target(&self, login: &Login) -> Result<Target, Unavailable> {
        let key = self.names.of(login.key());
        if let Some(record) = self.records.get(Kind::Name, &key).await? {
            return Ok(Target::User(self.open(Kind::Name, &key, &record)?));
        }
        black_box(self.open::<UserId>(Kind::Name, &ABSENT, &self.decoy)?);
        Ok(Target::Nobody(NobodysName(key)))
    }

    /// A record like that of a name, which is opened for unknown names.
    pub(super) fn decoy(sealed: Vec<u8>) -> Record {
        Record { version: Version::of_commit(0), expires: None, body: sealed }
    }

    pub(super) async fn is_taken(&self, name: &[u8; 32]) -> Result<bool, Unavailable> {
        Ok(self.records.get(Kind::Name, name).await?.is_some())
    }

    /// The key of the failed passwords of `target`.
    pub(super) fn attempts_key(&self, target: &Target) -> [u8; 32] {
        match target {
            Target::User(user) => self.names.of_attempts(user.as_bytes()),
            Target::Nobody(NobodysName(key)) => self.names.of_attempts(key),
        }
    }

    /// Decides about the failed passwords of a target, like [`Store::update`] about a user. Durable
    /// when it returns. The work and the write are the same for users and unknown names.
    ///
    /// # Errors
    /// Like [`Store::update`].
    pub async fn update_attempts<T>(
        &self,
        target: &Target,
        mut decide: impl FnMut(&mut Failures) -> T,
    ) -> Result<T, Unavailable> {
        let key = self.attempts_key(target);
        let _line = self.line(&key).await;
        for _ in 0..TRIES {
            let read = self.read::<Failures>(Kind::Attempts, &key).await?;
            let before = read.value.clone().unwrap_or_default();
            let mut failures = before.clone();
            let decided = decide(&mut failures);
            if failures == before {
                return Ok(decided);
            }
            let batch = self.put_attempts(Batch::new(), &key, read.version, &failures)?;
            if self.commit(batch, &[], None).await? {
                return Ok(decided);
            }
        }
        Err(Unavailable::new("too many conflicting writes to the same name"))
    }

    /// Adds the write of these failures under `key` to `batch`, if the record still has version
    /// `before`.
    pub(super) fn put_attempts(
        &self,
        batch: Batch,
        key: &[u8; 32],
        before: Option<Version>,
        failures: &Failures,
    ) -> Result<Batch, Unavailable> {
        let Some(over) = failures.forgotten_at() else {
            return Ok(batch.delete(Kind::Attempts, *key, expect(before)));
        };
        if before.is_none() {
            self.failures.new.fetch_add(1, Ordering::Relaxed);
        }
        self.put(batch, Kind::Attempts, key, expect(before), Some(over), failures)
    }

    /// Drops records above the maximum: those with the fewest failures first, and the oldest among
    /// these. So a flood of names with one attempt each does not end anybody's wait.
    pub(super) async fn forget_attempts(&self) -> Result<usize, Unavailable> {
        const PAGE: usize = 1_000;
        let new = self.failures.new.load(Ordering::Relaxed);
        if new < self.failures.look_at.load(Ordering::Relaxed) {
            return Ok(0);
        }
        let (mut range, mut all) = (KeyRange::all(), Vec::new());
        loop {
            let page = self.records.scan(Kind::Attempts, range.clone(), PAGE).await?;
            let Some(last) = page.last() else { break };
            range = range.behind(&last.key);
            for entry in page {
                let failures: Failures = self.open(Kind::Attempts, &entry.key, &entry.record)?;
                let waits = failures.count().min(Failures::FREE);
                all.push((waits, entry.record.expires, entry.key));
            }
        }
        let surplus = all.len().saturating_sub(self.attempts_at_most);
        all.sort_unstable();
        // Delete hundreds in one commit, because each commit waits for the disk.
        for some in all[..surplus].chunks(SWEEP_AT_MOST) {
            let forget = |batch: Batch, (_, _, key): &(_, _, Vec<u8>)| {
                batch.delete(Kind::Attempts, key.clone(), Expect::Any)
            };
            self.records.commit(some.iter().fold(Batch::new(), forget)).await?;
        }
        let room = self.attempts_at_most.saturating_sub(all.len());
        self.failures.new.fetch_sub(new, Ordering::Relaxed);
        self.failures.look_at.store(room.max(self.attempts_at_most / 20), Ordering::Relaxed);
        Ok(surplus)
    }
}
