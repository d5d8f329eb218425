//! A store in which somebody else writes first.
//!
//! `Overtaken` is the race between two gateways over one store, staged: what is handed to it runs
//! to its end between our read and our commit.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use doorward::domain::time::Timestamp;
use doorward::store::record::{Change, Entry, KeyRange};
use doorward::store::{Batch, Kind, Outcome, Record, Records, Unavailable};
use tokio::sync::broadcast;

type Other = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Records over other records. Whoever overtakes writes to those directly, perhaps through a
/// façade of its own.
pub(crate) struct Overtaken {
    inner: Arc<dyn Records>,
    staged: Mutex<Staged>,
}

#[derive(Default)]
struct Staged {
    commits: usize,
    before: BTreeMap<usize, Vec<Other>>,
}

impl Overtaken {
    /// Nobody overtakes until told to.
    pub(crate) fn over(inner: Arc<dyn Records>) -> Self {
        Self { inner, staged: Mutex::default() }
    }

    /// Lets `other` run right before our next commit.
    pub(crate) fn by(&self, other: impl Future<Output = ()> + Send + 'static) {
        self.by_after(0, other);
    }

    /// Lets `other` run right before a later commit of ours, `commits` further on.
    pub(crate) fn by_after(
        &self,
        commits: usize,
        other: impl Future<Output = ()> + Send + 'static,
    ) {
        let mut staged = self.staged.lock().unwrap();
        let turn = staged.commits + commits;
        staged.before.entry(turn).or_default().push(Box::pin(other));
    }

    /// Whether everybody who was to overtake us has had a turn.
    pub(crate) fn is_played_out(&self) -> bool {
        self.staged.lock().unwrap().before.is_empty()
    }

    fn whose_turn_it_is(&self) -> Vec<Other> {
        let mut staged = self.staged.lock().unwrap();
        let turn = staged.commits;
        staged.commits += 1;
        staged.before.remove(&turn).unwrap_or_default()
    }
}

impl fmt::Debug for Overtaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overtaken").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[async_trait]
impl Records for Overtaken {
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
        for other in self.whose_turn_it_is() {
            other.await;
        }
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
