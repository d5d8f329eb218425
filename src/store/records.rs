//! The record port: what every store must do, over bytes that it cannot read.
//!
//! A record lies under a [`Kind`] and a key and carries a [`Version`]. It is changed only by a
//! [`Batch`]: a list of things that must be so and of writes that follow if all of them are. That
//! one conditional step is what makes a one-time code one-time, whatever the backend and however
//! many write to it.
//!
//! The port has no clock. A record that has expired is still there until it is swept, so readers
//! look at [`Record::expires`] themselves; whoever replaces such a record expects its version, as
//! of any other.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::batch::{Batch, Outcome};
use super::record::{Change, Entry, KeyRange, Kind, Record};
use super::unavailable::Unavailable;
use crate::domain::time::Timestamp;

/// Keeps records. Shared as `Arc<dyn Records>`; every method may be called at the same time as
/// every other.
#[async_trait]
pub trait Records: fmt::Debug + Send + Sync {
    /// The record of this kind under `key`, as of the last commit; expired or not.
    ///
    /// # Errors
    /// [`Unavailable`] if the store cannot be read.
    async fn get(&self, kind: Kind, key: &[u8]) -> Result<Option<Record>, Unavailable>;

    /// The first `limit` records of this kind whose keys lie in `range`, in the order of their
    /// keys' bytes, all as of one moment; expired or not.
    ///
    /// To go on behind a full page, ask again for [`KeyRange::behind`] the last key.
    ///
    /// # Errors
    /// [`Unavailable`] if the store cannot be read.
    async fn scan(
        &self,
        kind: Kind,
        range: KeyRange,
        limit: usize,
    ) -> Result<Vec<Entry>, Unavailable>;

    /// Carries out all of `batch`, or, if anything it expects is not so, nothing of it.
    ///
    /// What [`Outcome::Committed`] acknowledges survives a crash of the process and of the machine.
    /// A batch that was handed over may be carried out although nobody waits for the answer any
    /// more.
    ///
    /// # Errors
    /// [`Unavailable`] if the store cannot be written. The batch may or may not have been carried
    /// out then, but never in part; the versions tell.
    async fn commit(&self, batch: Batch) -> Result<Outcome, Unavailable>;

    /// Hears of every change from now on.
    ///
    /// A change is announced in the order of the commits, when it is durable and before its commit
    /// is acknowledged: a cache that takes in what has been announced before each lookup never
    /// serves what somebody was told is gone, provided it also drops a record whose read began
    /// before a change of which it has heard since. A receiver that falls behind gets `Lagged`
    /// and must take everything for changed.
    fn watch(&self) -> broadcast::Receiver<Arc<Change>>;

    /// Deletes records that have expired by `now`, the longest expired first, at most
    /// [`SWEEP_AT_MOST`] of them, and says how many. A full count means that more may be waiting.
    ///
    /// # Errors
    /// [`Unavailable`] if the store cannot be written.
    async fn sweep(&self, now: Timestamp) -> Result<usize, Unavailable>;

    /// Whether commits can be carried out, as far as is known without trying.
    ///
    /// # Errors
    /// [`Unavailable`] says why the last one failed. What is kept may still be readable.
    fn writable(&self) -> Result<(), Unavailable> {
        Ok(())
    }
}
