//! Measures how long the storage backend takes.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::batch::{Batch, Outcome};
use super::record::{Change, Entry, KeyRange, Kind, Record};
use super::records::Records;
use crate::domain::time::Timestamp;
use crate::histogram::Histogram;
use crate::unavailable::Unavailable;

/// Records that measure how long reads and commits take, also those that fail.
#[derive(Debug)]
pub struct Timed {
    records: Arc<dyn Records>,
    reads: Arc<Histogram>,
    commits: Arc<Histogram>,
}

impl Timed {
    /// Counts the durations of operations on `records`.
    pub fn over(records: Arc<dyn Records>, reads: Arc<Histogram>, commits: Arc<Histogram>) -> Self {
        Self { records, reads, commits }
    }
}

async fn timed<T>(durations: &Histogram, operation: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let done = operation.await;
    durations.count(began.elapsed());
    done
}

#[async_trait]
impl Records for Timed {
    async fn get(&self, kind: Kind, key: &[u8]) -> Result<Option<Record>, Unavailable> {
        timed(&self.reads, self.records.get(kind, key)).await
    }

    async fn scan(
        &self,
        kind: Kind,
        range: KeyRange,
        limit: usize,
    ) -> Result<Vec<Entry>, Unavailable> {
        timed(&self.reads, self.records.scan(kind, range, limit)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Outcome, Unavailable> {
        timed(&self.commits, self.records.commit(batch)).await
    }

    fn watch(&self) -> broadcast::Receiver<Arc<Change>> {
        self.records.watch()
    }

    async fn sweep(&self, now: Timestamp) -> Result<usize, Unavailable> {
        self.records.sweep(now).await
    }

    async fn count(&self) -> Result<u64, Unavailable> {
        timed(&self.reads, self.records.count()).await
    }

    fn writable(&self) -> Result<(), Unavailable> {
        self.records.writable()
    }
}
