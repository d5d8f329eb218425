//! Failed passwords from unknown browsers: counting them, and forgetting the oldest records.
//!
//! They are stored in one kind of record, for users and unknown names alike. The key does not
//! reveal which it is. So neither the duration of an attempt nor the records that are dropped
//! during a flood reveal who is a user.

use std::sync::atomic::Ordering;

use super::names::{NobodysName, Target};
use super::{Store, TRIES, expect};
use crate::domain::lockout::Failures;
use crate::store::batch::{Batch, Expect};
use crate::store::record::{KeyRange, Kind, SWEEP_AT_MOST, Version};
use crate::unavailable::Unavailable;

impl Store {
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
        let key = self.attempts_key(target);
        let _line = self.line(target.line_key()).await;
        for _ in 0..TRIES {
            let read = self.read::<Failures>(Kind::Attempts, &key).await?;
            let mut failures = read.value.unwrap_or_default();
            let (decided, writes) = decide(&mut failures);
            if !writes {
                return Ok(decided);
            }
            let batch = self.put_attempts(Batch::new(), &key, read.version, &failures)?;
            if self.commit(batch, &[], None).await? {
                return Ok(decided);
            }
        }
        Err(Unavailable::store("too many conflicting writes to the same name"))
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
