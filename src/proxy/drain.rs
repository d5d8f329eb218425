//! Counts requests in progress, so that a shutdown can wait for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The number of requests in progress.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight(Arc<Count>);

#[derive(Debug, Default)]
struct Count {
    requests: AtomicUsize,
    /// Notified when a request ends, if somebody waits for that.
    ended: Notify,
    is_watched: AtomicBool,
}

/// Counts as a request in progress until dropped.
#[derive(Debug)]
pub(super) struct RequestGuard(Arc<Count>);

impl InFlight {
    pub(super) fn begin(&self) -> RequestGuard {
        self.0.requests.fetch_add(1, Ordering::SeqCst);
        RequestGuard(Arc::clone(&self.0))
    }

    pub(super) async fn ended(&self) {
        let Count { requests, ended, is_watched } = &*self.0;
        is_watched.store(true, Ordering::SeqCst);
        loop {
            // Register before the check: a request that ends in between is not missed.
            let next = ended.notified();
            if requests.load(Ordering::SeqCst) == 0 {
                return;
            }
            next.await;
        }
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::SeqCst);
        if self.0.is_watched.load(Ordering::SeqCst) {
            self.0.ended.notify_one();
        }
    }
}
