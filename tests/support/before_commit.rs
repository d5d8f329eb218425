//! A store in which something happens before each commit.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use doorward::domain::time::Timestamp;
use doorward::store::record::{Change, Entry, KeyRange};
use doorward::store::{Batch, Kind, Outcome, Record, Records};
use doorward::unavailable::Unavailable;
use tokio::sync::broadcast;

/// What happens before a commit.
#[async_trait]
pub(crate) trait Before: Send + Sync + 'static {
    /// The commit of this batch begins when this ends; with an error, it does not begin.
    async fn before(&self, batch: &Batch) -> Result<(), Unavailable>;
}

/// Records over other records.
pub(crate) struct BeforeCommit<B> {
    pub(super) before: B,
    inner: Arc<dyn Records>,
}

impl<B> BeforeCommit<B> {
    pub(crate) fn new(before: B, inner: Arc<dyn Records>) -> Self {
        Self { before, inner }
    }
}

impl<B> fmt::Debug for BeforeCommit<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BeforeCommit").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[async_trait]
impl<B: Before> Records for BeforeCommit<B> {
    async fn get(&self, kind: Kind, key: &[u8]) -> Result<Option<Record>, Unavailable> {
        self.inner.get(kind, key).await
    }

    async fn scan(
        &self,
        kind: Kind,
        range: KeyRange,
        limit: usize,
    ) -> Result<Vec<Entry>, Unavailable> {
        self.inner.scan(kind, range, limit).await
    }

    async fn commit(&self, batch: Batch) -> Result<Outcome, Unavailable> {
        self.before.before(&batch).await?;
        self.inner.commit(batch).await
    }

    fn watch(&self) -> broadcast::Receiver<Arc<Change>> {
        self.inner.watch()
    }

    fn writable(&self) -> Result<(), Unavailable> {
        self.inner.writable()
    }

    async fn sweep(&self, now: Timestamp) -> Result<usize, Unavailable> {
        self.inner.sweep(now).await
    }
}
