//! Wrong passwords for unknown names: one commit for each, like a user's, and sums by the hour.
//!
//! The sums are written with the clock mark, every minute, whether or not there is anything to add.
//! If each attempt wrote them, unknown names would wait for each other, and users would not. If
//! they had a commit of their own, the request that follows an attempt would wait for it.

use super::events::EVENTS_LAST;
use super::names::NobodysName;
use super::unsummed::Sum;
use super::upkeep::TIME_SEEN;
use super::{Store, TRIES, expect};
use crate::domain::event::{Event, Whom};
use crate::domain::lockout::Failures;
use crate::domain::time::Timestamp;
use crate::store::batch::{Batch, Expect};
use crate::store::record::Kind;
use crate::unavailable::Unavailable;

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

    /// Records an event about nobody who is known, without a commit: it is logged, and its number in
    /// each hour is stored.
    pub fn note_stranger(&self, event: &Event) {
        self.announce(event, None);
        self.unsummed.add(Sum::of(event));
    }

    /// Records `now` as the last time, and brings the sums of events about unknown names up to
    /// date, in one commit. If the sums cannot be brought up to date, `now` is recorded without
    /// them, because the next start compares its clock with it.
    ///
    /// # Errors
    /// Like [`Store::update`]: `now` is not recorded. The sums are completed the next time.
    pub async fn note_time(&self, now: Timestamp) -> Result<(), Unavailable> {
        let sums = self.unsummed.take();
        let Err(error) = self.note_with(now, &sums).await else { return Ok(()) };
        if sums.is_empty() {
            return Err(error);
        }
        let why = "cannot write the hourly sums of attempts at unknown names";
        tracing::warn!(error = &error as &dyn std::error::Error, "{why}");
        // A commit that failed may have been carried out. Then these sums are counted twice, which
        // is acceptable: nothing is decided by them, only people read them.
        for sum in sums {
            self.unsummed.add(sum);
        }
        self.note_with(now, &[]).await
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
                    Some(Whom::User(_) | Whom::Nobody(_) | Whom::Key(..) | Whom::Provider(_))
                    | None => 0,
                };
                let whom = Whom::Strangers(before.saturating_add(sum.times));
                let (at, what) = (sum.hour, sum.what);
                let event =
                    Event { at, whom, what, from: None, by: None, agent: None, request: None };
                let sealed = self.sealed(&key, &event)?;
                let over = Some(at.plus(EVENTS_LAST));
                batch = batch.put(Kind::Event, key, expect(read.version), over, sealed);
            }
            if self.commit(batch, &[], None).await? {
                return Ok(());
            }
        }
        Err(Unavailable::store("too many conflicting writes to the same event count"))
    }
}
