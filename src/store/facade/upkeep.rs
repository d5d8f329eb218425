//! Housekeeping, and whether the store is there at all.

use std::collections::BTreeMap;

use super::Store;
use crate::domain::demand::Since;
use crate::domain::time::Timestamp;
use crate::store::batch::{Batch, Expect};
use crate::store::record::{KeyRange, Kind};
use crate::store::unavailable::Unavailable;

/// The setting that says how late it was when it was last noted.
const TIME_SEEN: &[u8] = b"time-seen";
/// What settings begin with that say when a demand was first seen; its name follows.
const DEMAND: &[u8] = b"demand ";

impl Store {
    /// Deletes what has expired by `now`, and failures beyond the most that are remembered; says how
    /// many records went.
    ///
    /// # Errors
    /// As [`Store::update`].
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

    /// The highest moment that was seen before this run, if there was one.
    ///
    /// # Errors
    /// As [`Store::user`]. A store that was sealed with other keys shows itself here, at the start.
    pub async fn time_seen(&self) -> Result<Option<Timestamp>, Unavailable> {
        Ok(self.read(Kind::Setting, TIME_SEEN).await?.value)
    }

    /// Notes that this moment was seen.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub async fn note_time(&self, now: Timestamp) -> Result<(), Unavailable> {
        let batch = self.put(Batch::new(), Kind::Setting, TIME_SEEN, Expect::Any, None, &now)?;
        self.commit(batch, &[], None).await.map(|_| ())
    }

    /// When each demand of `names` was first seen, by name; one that is new is seen now.
    ///
    /// # Errors
    /// As [`Store::user`].
    pub async fn demands(
        &self,
        names: impl Iterator<Item = String>,
        now: Timestamp,
    ) -> Result<Since, Unavailable> {
        Ok(self.look_at_demands(names, now).await?.0)
    }

    /// As [`Store::demands`], and notes it: one that is gone is forgotten, so that it begins anew
    /// should it come back.
    ///
    /// # Errors
    /// As [`Store::update`].
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
    /// [`Unavailable`] says why the last commit failed.
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
