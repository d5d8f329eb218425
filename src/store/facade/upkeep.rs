//! Housekeeping, and checks whether the store works.

use std::collections::BTreeMap;

use super::Store;
use crate::domain::demand::Since;
use crate::domain::time::Timestamp;
use crate::store::batch::{Batch, Expect};
use crate::store::record::{KeyRange, Kind};
use crate::unavailable::Unavailable;

/// The key of the setting that holds the last recorded time.
pub(super) const TIME_SEEN: &[u8] = b"time-seen";
/// The key prefix of settings that hold when a demand was first seen; the demand's name follows.
const DEMAND: &[u8] = b"demand ";

impl Store {
    /// Deletes records that have expired by `now`, and records of failed passwords above the
    /// maximum. Returns the number of deleted records.
    ///
    /// # Errors
    /// Like [`Store::update`].
    pub async fn sweep(&self, now: Timestamp) -> Result<usize, Unavailable> {
        let mut gone = 0;
        loop {
            let swept = self.records.sweep(now).await?;
            gone += swept;
            if swept == 0 {
                break;
            }
        }
        Ok(gone + self.forget_attempts().await?)
    }

    /// The last recorded time, if there is one.
    ///
    /// # Errors
    /// Like [`Store::user`]. At the start this call also reveals a store that was sealed with other
    /// keys.
    pub async fn time_seen(&self) -> Result<Option<Timestamp>, Unavailable> {
        Ok(self.read(Kind::Setting, TIME_SEEN).await?.value)
    }

    /// When each demand in `names` was first seen, by name; for a new one that is `now`.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn demands(
        &self,
        names: impl Iterator<Item = String>,
        now: Timestamp,
    ) -> Result<Since, Unavailable> {
        Ok(self.look_at_demands(names, now).await?.0)
    }

    /// Like [`Store::demands`], and stores the result. Demands that no longer exist are forgotten,
    /// so they start again if they come back.
    ///
    /// # Errors
    /// Like [`Store::update`].
    pub async fn demands_seen(
        &self,
        names: impl Iterator<Item = String>,
        now: Timestamp,
    ) -> Result<Since, Unavailable> {
        let (since, batch) = self.look_at_demands(names, now).await?;
        if !batch.steps().is_empty() {
            self.commit(batch, &[], None).await?;
        }
        Ok(since)
    }

    async fn look_at_demands(
        &self,
        names: impl Iterator<Item = String>,
        now: Timestamp,
    ) -> Result<(Since, Batch), Unavailable> {
        let mut since = Since::new();
        let mut batch = Batch::new();
        let kept = self.records.scan(Kind::Setting, KeyRange::prefix(DEMAND), usize::MAX).await?;
        let mut gone: BTreeMap<Vec<u8>, Timestamp> = BTreeMap::new();
        for entry in kept {
            let seen = self.open(Kind::Setting, &entry.key, &entry.record)?;
            gone.insert(entry.key, seen);
        }
        for name in names {
            let key = [DEMAND, name.as_bytes()].concat();
            let seen = if let Some(seen) = gone.remove(&key) {
                seen
            } else {
                batch = self.put(batch, Kind::Setting, &key, Expect::Any, None, &now)?;
                now
            };
            since.insert(name, seen);
        }
        for key in gone.into_keys() {
            batch = batch.delete(Kind::Setting, key, Expect::Any);
        }
        Ok((since, batch))
    }

    /// Whether the store can be written, as far as is known without trying.
    ///
    /// # Errors
    /// [`Unavailable`] with the reason why the last commit failed.
    pub fn writable(&self) -> Result<(), Unavailable> {
        self.records.writable()
    }

    /// Whether the store can be read.
    ///
    /// # Errors
    /// [`Unavailable`] if it cannot.
    pub async fn probe(&self) -> Result<(), Unavailable> {
        self.records.get(Kind::Setting, TIME_SEEN).await.map(|_| ())
    }
}
