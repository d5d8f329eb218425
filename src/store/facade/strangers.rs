//! Wrong passwords for unknown names: one commit for each, like a user's, and sums by the hour.
//!
//! The sums are written with the clock mark, every minute, whether or not there is anything to add.
//! If each attempt wrote them, unknown names would wait for each other, and users would not. If
//! they had a commit of their own, the request that follows an attempt would wait for it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::events::EVENTS_LAST;
use super::names::NobodysName;
use super::upkeep::TIME_SEEN;
use super::{Store, TRIES, expect};
use crate::domain::event::{Event, What, Whom};
use crate::domain::lockout::Failures;
use crate::domain::time::Timestamp;
use crate::store::batch::{Batch, Expect};
use crate::store::record::Kind;
use crate::store::unavailable::Unavailable;

/// Events about unknown names that are not in the stored sums yet. A crash loses them, but not the
/// failures, which are records.
#[derive(Debug, Default)]
pub(super) struct Unsummed(Mutex<Vec<Sum>>);

/// How many events of one kind there were in an hour.
#[derive(Clone, Copy, Debug)]
struct Sum {
    hour: Timestamp,
    what: What,
    times: u64,
}

impl Unsummed {
    fn add(&self, sum: Sum) {
        let mut sums = self.sums();
        // Two kinds in an hour at most, so the list stays short even if nothing can be written.
        match sums.iter_mut().find(|one| (one.hour, one.what) == (sum.hour, sum.what)) {
            Some(one) => one.times = one.times.saturating_add(sum.times),
            None => sums.push(sum),
        }
    }

    fn take(&self) -> Vec<Sum> {
        std::mem::take(&mut *self.sums())
    }

    fn sums(&self) -> MutexGuard<'_, Vec<Sum>> {
        // No code that can panic runs under this lock, so a poisoned lock is safe to use.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sum {
    /// The sum to which this event adds one.
    fn of(event: &Event) -> Self {
        const HOUR: u64 = 3_600_000;
        let hour = Timestamp::from_millis(event.at.millis() - event.at.millis() % HOUR);
        Self { hour, what: event.what, times: 1 }
    }

    /// The key of its record.
    fn key(self) -> [u8; 16] {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&self.hour.millis().to_be_bytes());
        // No batch has this many events, so the key sorts after all others of its time.
        key[8] = u8::MAX;
        key[9] = self.what as u8;
        key
    }
}

impl Store {
    /// Records a wrong password for an unknown name, which was charged before, in one commit. It
    /// waits for the same things as the commit of a user's wrong password.
    ///
    /// `events` are what happened, given the failures of the name. They are logged; only their
    /// number in each hour is stored, so that somebody who tries many names cannot fill the disk.
    ///
    /// # Errors
    /// Like [`Store::update`].
    pub async fn refuse_nobody(
        &self,
        name: &NobodysName,
        events: impl FnOnce(&Failures) -> Vec<Event>,
    ) -> Result<(), Unavailable> {
        let failures = self.rewrite_attempts(name).await?;
        for event in events(&failures) {
            self.announce(&event, None);
            self.unsummed.add(Sum::of(&event));
        }
        Ok(())
    }

    /// Records `now` as the last time, and brings the sums of events about unknown names up to
    /// date, in one commit.
    ///
    /// # Errors
    /// Like [`Store::update`]. The sums are completed the next time.
    pub async fn note_time(&self, now: Timestamp) -> Result<(), Unavailable> {
        let sums = self.unsummed.take();
        let noted = self.note_with(now, &sums).await;
        if noted.is_err() {
            for sum in sums {
                self.unsummed.add(sum);
            }
        }
        noted
    }

    async fn note_with(&self, now: Timestamp, sums: &[Sum]) -> Result<(), Unavailable> {
        for _ in 0..TRIES {
            let batch = Batch::new();
            let mut batch = self.put(batch, Kind::Setting, TIME_SEEN, Expect::Any, None, &now)?;
            for sum in sums {
                let key = sum.key();
                let read = self.read::<Event>(Kind::Event, &key).await?;
                let before = match read.value.map(|sum| sum.whom) {
                    Some(Whom::Strangers(times)) => times,
                    Some(Whom::User(_) | Whom::Nobody(_)) | None => 0,
                };
                let whom = Whom::Strangers(before.saturating_add(sum.times));
                let (at, what) = (sum.hour, sum.what);
                let event = Event { at, whom, what, from: None, by: None, agent: None };
                let sealed = self.sealed(&key, &event)?;
                let over = Some(at.plus(EVENTS_LAST));
                batch = batch.put(Kind::Event, key, expect(read.version), over, sealed);
            }
            if self.commit(batch, &[], None).await? {
                return Ok(());
            }
        }
        Err(Unavailable::new("too many conflicting writes to the same event count"))
    }
}
