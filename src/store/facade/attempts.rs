//! Failed passwords from unknown browsers: counting them, and forgetting the oldest records.
//!
//! They are stored in one kind of record, for users and unknown names alike. The key does not
//! reveal which it is. So neither the duration of an attempt nor the records that are dropped
//! during a flood reveal who is a user.

use std::sync::atomic::Ordering;

use smallvec::SmallVec;

use super::names::{NobodysName, Target};
use super::{Store, TRIES, expect};
use crate::domain::lockout::Failures;
use crate::store::batch::{Batch, Expect};
use crate::store::keys::{Hashes, NameHash};
use crate::store::record::{KeyRange, Kind, SWEEP_AT_MOST, Version};
use crate::unavailable::Unavailable;

/// Failed passwords as they were read.
pub(super) struct ReadAttempts {
    pub(super) failures: Failures,
    /// Where they may be, oldest key first: usually at one place only. They are written to the last.
    places: SmallVec<[(NameHash, Option<Version>); 1]>,
}

impl ReadAttempts {
    /// Whether they are not where they would be written.
    pub(super) fn are_under_an_older_key(&self) -> bool {
        let older = self.places.split_last().map(|(_, older)| older).unwrap_or_default();
        older.iter().any(|(_, version)| version.is_some())
    }
}

impl Store {
    /// The keys of the failed passwords of `target`, oldest first.
    fn attempts_keys(&self, target: &Target) -> Hashes {
        let names = self.keyring.names();
        match target {
            Target::User(user) => names.of_attempts(user.as_bytes()),
            Target::Nobody(NobodysName(hash)) => names.of_attempts(hash),
        }
    }

    /// The failed passwords of `target`. The caller holds its [`Store::line`] until it has written
    /// them, because they move while names are re-keyed.
    pub(super) async fn read_attempts(&self, target: &Target) -> Result<ReadAttempts, Unavailable> {
        let mut read = ReadAttempts { failures: Failures::default(), places: SmallVec::new() };
        for key in self.attempts_keys(target) {
            let found = self.read::<Failures>(Kind::Attempts, &key).await?;
            read.failures = found.value.unwrap_or(read.failures);
            read.places.push((key, found.version));
        }
        Ok(read)
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
        let decide = |failures: &mut Failures| {
            let before = failures.clone();
            let decided = decide(failures);
            (decided, *failures != before)
        };
        self.write_attempts(target, decide).await
    }

    /// Writes the failures of an unknown name again, unchanged, and returns them. A wrong password
    /// of a user is one commit of the user's record, in the order of its other commits, so that of
    /// an unknown name must be one, too.
    ///
    /// # Errors
    /// Like [`Store::update`].
    pub(super) async fn rewrite_attempts(
        &self,
        name: &NobodysName,
    ) -> Result<Failures, Unavailable> {
        let target = Target::Nobody(name.clone());
        self.write_attempts(&target, |failures| (failures.clone(), true)).await
    }

    /// `decide` also says whether to write: if not, nothing is committed.
    async fn write_attempts<T>(
        &self,
        target: &Target,
        mut decide: impl FnMut(&mut Failures) -> (T, bool),
    ) -> Result<T, Unavailable> {
        let _line = self.line(target.line_key()).await;
        for _ in 0..TRIES {
            let read = self.read_attempts(target).await?;
            let mut failures = read.failures.clone();
            let (decided, writes) = decide(&mut failures);
            if !writes {
                return Ok(decided);
            }
            let batch = self.put_attempts(Batch::new(), &read, &failures)?;
            if self.commit(batch, &[], None).await? {
                return Ok(decided);
            }
        }
        Err(Unavailable::store("too many conflicting writes to the same name"))
    }

    /// Adds to `batch` the write of these failures where `read` were read, if nobody has written
    /// there since.
    pub(super) fn put_attempts(
        &self,
        mut batch: Batch,
        read: &ReadAttempts,
        failures: &Failures,
    ) -> Result<Batch, Unavailable> {
        let Some(((key, before), older)) = read.places.split_last() else { return Ok(batch) };
        for (key, before) in older {
            batch = match before {
                Some(version) => batch.delete(Kind::Attempts, *key, Expect::Version(*version)),
                None => batch.check(Kind::Attempts, *key, Expect::Absent),
            };
        }
        let Some(over) = failures.forgotten_at() else {
            return Ok(batch.delete(Kind::Attempts, *key, expect(*before)));
        };
        if before.is_none() {
            self.failures.new.fetch_add(1, Ordering::Relaxed);
        }
        self.put(batch, Kind::Attempts, key, expect(*before), Some(over), failures)
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
