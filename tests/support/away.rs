//! A store that can be away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use async_trait::async_trait;
use doorward::domain::time::Timestamp;
use doorward::store::records::{Change, Entry, KeyRange, Kind, Record, Records, Unavailable};
use doorward::store::{Batch, Outcome};
use tokio::sync::broadcast;

/// Records over other records, which are there or not.
#[derive(Debug)]
pub(crate) struct Away {
    inner: Arc<dyn Records>,
    state: AtomicU8,
}

const THERE: u8 = 0;
const READ_ONLY: u8 = 1;
const GONE: u8 = 2;

impl Away {
    pub(crate) fn over(inner: Arc<dyn Records>) -> Self {
        Self { inner, state: AtomicU8::new(THERE) }
    }

    pub(crate) fn goes(&self) {
        self.state.store(GONE, Ordering::SeqCst);
    }

    pub(crate) fn cannot_be_written(&self) {
        self.state.store(READ_ONLY, Ordering::SeqCst);
    }

    pub(crate) fn comes_back(&self) {
        self.state.store(THERE, Ordering::SeqCst);
    }

    fn allows(&self, most: u8) -> Result<(), Unavailable> {
        let state = self.state.load(Ordering::SeqCst);
        if state <= most { Ok(()) } else { Err(Unavailable::new("away, as the test says")) }
    }
}

#[async_trait]
impl Records for Away {
    async fn get(&self, kind: Kind, key: &[u8]) -> Result<Option<Record>, Unavailable> {
        self.allows(READ_ONLY)?;
        self.inner.get(kind, key).await
    }

    async fn scan(
        &self,
        kind: Kind,
        range: KeyRange,
        limit: usize,
    ) -> Result<Vec<Entry>, Unavailable> {
        self.allows(READ_ONLY)?;
        self.inner.scan(kind, range, limit).await
    }

    async fn commit(&self, batch: Batch) -> Result<Outcome, Unavailable> {
        self.allows(THERE)?;
        self.inner.commit(batch).await
    }

    fn watch(&self) -> broadcast::Receiver<Arc<Change>> {
        self.inner.watch()
    }

    async fn sweep(&self, now: Timestamp) -> Result<usize, Unavailable> {
        self.allows(THERE)?;
        self.inner.sweep(now).await
    }
}
