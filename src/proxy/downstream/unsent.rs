//! How many bytes wait for a visitor to take them, and since when nothing was taken.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// What waits for the visitor of one link.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Unsent {
    bytes: AtomicUsize,
    /// Whether some of it was taken since somebody looked.
    taken: AtomicBool,
    /// Since when nothing was taken, in ticks; 0: nothing waits.
    since: AtomicU64,
}

impl Unsent {
    /// Whether something waits, or did when somebody looked last.
    pub(in crate::proxy) fn is_any(&self) -> bool {
        self.bytes() > 0 || self.since.load(Ordering::Relaxed) > 0
    }

    /// How many bytes wait.
    pub(in crate::proxy) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(in crate::proxy) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many bytes wait no more.
    pub(in crate::proxy) fn remove(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The visitor has taken something.
    pub(in crate::proxy) fn take(&self) {
        self.taken.store(true, Ordering::Relaxed);
    }

    /// Nothing waits.
    pub(in crate::proxy) fn rest(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    /// Since when nothing was taken of what waits. Call it from one place only, again and again.
    pub(in crate::proxy) fn stalled_since(&self, now: u64) -> u64 {
        let since = self.since.load(Ordering::Relaxed);
        if since > 0 && !self.taken.load(Ordering::Relaxed) {
            return since;
        }
        self.taken.store(false, Ordering::Relaxed);
        self.since.store(now, Ordering::Relaxed);
        now
    }
}
