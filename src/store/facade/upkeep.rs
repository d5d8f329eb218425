//! Housekeeping, and whether the store is there at all.

use super::Store;
use crate::domain::time::Timestamp;
use crate::store::batch::{Batch, Expect};
use crate::store::records::{Kind, Unavailable};

/// The setting that says how late it was when it was last noted.
const TIME_SEEN: &[u8] = b"time-seen";

impl Store {
    /// Deletes what has expired by `now`, and names that no user has beyond the most that are
    /// remembered; says how many records went.
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
        Ok(gone + self.forget_strangers().await?)
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

    /// Whether the store can be read.
    ///
    /// # Errors
    /// [`Unavailable`] if it cannot.
    pub async fn probe(&self) -> Result<(), Unavailable> {
        self.records.get(Kind::Setting, TIME_SEEN).await.map(|_| ())
    }
}
