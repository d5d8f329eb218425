//! A store that can be away.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use doorward::domain::time::Timestamp;
use doorward::store::record::{Change, Entry, KeyRange, Kind, Record};
use doorward::store::records::Records;
use doorward::store::{Batch, Outcome};
use doorward::unavailable::Kind::Damage;
use doorward::unavailable::Unavailable;
use tokio::sync::broadcast;

/// Records over other records, which are there or not.
#[derive(Debug)]
pub(crate) struct Away {
    inner: Arc<dyn Records>,
    state: AtomicU8,
    changes: Mutex<broadcast::Receiver<Arc<Change>>>,
    told: broadcast::Sender<Arc<Change>>,
}

const THERE: u8 = 0;
const SILENT: u8 = 1;
const READ_ONLY: u8 = 2;
const GONE: u8 = 3;
const DAMAGED: u8 = 4;
const GARBLED: u8 = 5;

impl Away {
    pub(crate) fn over(inner: Arc<dyn Records>) -> Self {
        let changes = Mutex::new(inner.watch());
        Self { inner, state: AtomicU8::new(THERE), changes, told: broadcast::Sender::new(1024) }
    }

    pub(crate) fn goes(&self) {
        self.state.store(GONE, Ordering::SeqCst);
    }

    /// What is read of it makes no sense.
    pub(crate) fn is_damaged(&self) {
        self.state.store(DAMAGED, Ordering::SeqCst);
    }

    /// What is read of it was sealed by nobody.
    pub(crate) fn is_garbled(&self) {
        self.state.store(GARBLED, Ordering::SeqCst);
    }

    pub(crate) fn cannot_be_written(&self) {
        self.state.store(READ_ONLY, Ordering::SeqCst);
    }

    /// What is written is carried out, but nobody hears of it: not even whoever wrote it.
    pub(crate) fn falls_silent(&self) {
        self.state.store(SILENT, Ordering::SeqCst);
    }

    pub(crate) fn comes_back(&self) {
        self.state.store(THERE, Ordering::SeqCst);
    }

    /// Tells those who watch of what has changed, or keeps it from them.
    fn passes_on(&self, tells: bool) {
        let mut changes = self.changes.lock().unwrap();
        while let Ok(change) = changes.try_recv() {
            if tells {
                self.told.send(change).ok();
            }
        }
    }

    fn allows(&self, most: u8) -> Result<(), Unavailable> {
        let state = self.state.load(Ordering::SeqCst);
        match state {
            _ if state <= most => Ok(()),
            DAMAGED => {
                let why = std::io::Error::other("a page of no kind");
                Err(Unavailable::new(Damage, "as the test says").because(why))
            }
            _ => Err(Unavailable::store("away, as the test says")),
        }
    }
}

#[async_trait]
impl Records for Away {
    async fn get(&self, kind: Kind, key: &[u8]) -> Result<Option<Record>, Unavailable> {
        if self.state.load(Ordering::SeqCst) == GARBLED {
            let found = self.inner.get(kind, key).await?;
            return Ok(found.map(|record| Record { body: "nobody".into(), ..record }));
        }
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
        if self.state.load(Ordering::SeqCst) == SILENT {
            self.inner.commit(batch).await?;
            self.passes_on(false);
            return Err(Unavailable::store("silent, as the test says"));
        }
        self.allows(THERE)?;
        let outcome = self.inner.commit(batch).await;
        self.passes_on(true);
        outcome
    }

    fn watch(&self) -> broadcast::Receiver<Arc<Change>> {
        self.told.subscribe()
    }

    fn writable(&self) -> Result<(), Unavailable> {
        self.allows(THERE)
    }

    async fn sweep(&self, now: Timestamp) -> Result<usize, Unavailable> {
        self.allows(THERE)?;
        let swept = self.inner.sweep(now).await;
        self.passes_on(true);
        swept
    }
}
