//! The record port: what every storage backend must do. Backends see only sealed bytes.
//!
//! A record is stored under a [`Kind`] and a key and has a [`Version`](super::Version). It is
//! changed only by a [`Batch`]: a list of conditions, and of writes that are applied if all
//! conditions hold. This conditional write makes a one-time code work only once, on any backend and
//! with any number of writers.
//!
//! The port has no clock. An expired record exists until it is swept, so readers must check
//! [`Record::expires`]. A writer that replaces an expired record expects its version like that of
//! any other record.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::batch::{Batch, Outcome};
use super::record::{Change, Entry, KeyRange, Kind, Record};
use crate::domain::time::Timestamp;
use crate::unavailable::Unavailable;

/// Stores records. Shared as `Arc<dyn Records>`; all methods may be called concurrently.
#[async_trait]
pub trait Records: fmt::Debug + Send + Sync {
    /// The record of this kind under `key`, as of the last commit, even if it has expired.
    ///
    /// # Errors
    /// [`Unavailable`] if the store cannot be read.
    async fn get(&self, kind: Kind, key: &[u8]) -> Result<Option<Record>, Unavailable>;

    /// The first `limit` records of this kind with keys in `range`, in byte order of the keys, from
    /// one snapshot, even if they have expired.
    ///
    /// After a full page, continue with [`KeyRange::behind`] the last key.
    ///
    /// # Errors
    /// [`Unavailable`] if the store cannot be read.
    async fn scan(
        &self,
        kind: Kind,
        range: KeyRange,
        limit: usize,
    ) -> Result<Vec<Entry>, Unavailable>;

    /// Carries out all of `batch` or, if a condition does not hold, nothing of it.
    ///
    /// After [`Outcome::Committed`] the batch survives a crash of the process and of the machine. A
    /// batch may be carried out even if the caller no longer waits for the result.
    ///
    /// # Errors
    /// [`Unavailable`] if the store cannot be written. The batch may then have been carried out or
    /// not, but never partly; the versions show which.
    async fn commit(&self, batch: Batch) -> Result<Outcome, Unavailable>;

    /// Subscribes to all changes from now on.
    ///
    /// Changes are announced in commit order, after they are durable and before their commit is
    /// acknowledged. So a cache never returns outdated records if it processes all announced
    /// changes before each lookup, and does not keep a record if a change was announced since the
    /// read of that record began. A receiver that falls behind gets `Lagged` and must treat
    /// everything as changed.
    fn watch(&self) -> broadcast::Receiver<Arc<Change>>;

    /// Deletes records that have expired by `now`, oldest expiry first, at most
    /// [`SWEEP_AT_MOST`](super::record::SWEEP_AT_MOST). Returns how many. If the limit was reached,
    /// there may be more.
    ///
    /// # Errors
    /// [`Unavailable`] if the store cannot be written.
    async fn sweep(&self, now: Timestamp) -> Result<usize, Unavailable>;

    /// How many records there are, also expired ones.
    ///
    /// # Errors
    /// [`Unavailable`] if the store cannot be read.
    async fn count(&self) -> Result<u64, Unavailable> {
        let mut count = 0;
        for kind in Kind::ALL {
            let mut range = KeyRange::all();
            loop {
                let page = self.scan(kind, range, 1_000).await?;
                let Some(last) = page.last() else { break };
                count += page.len() as u64;
                range = KeyRange::all().behind(&last.key);
            }
        }
        Ok(count)
    }

    /// Whether commits work, as far as is known without trying.
    ///
    /// # Errors
    /// [`Unavailable`] with the reason why the last commit failed. Reading may still work.
    fn writable(&self) -> Result<(), Unavailable> {
        Ok(())
    }
}
