//! How many requests are under way, so that a stop can wait for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// How many requests are under way.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight(Arc<Count>);

#[derive(Debug, Default)]
struct Count {
    requests: AtomicUsize,
    /// Notified when a request ends, once somebody waits for that.
    ended: Notify,
    is_watched: AtomicBool,
}

/// A request under way, until dropped.
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
            // Registered before the look: a request that ends in between is not missed.
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
