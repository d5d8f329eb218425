//! The bytes that wait for visitors, and since when a visitor has taken none of them.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// The bytes that wait for many visitors: those of one address, or all.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Total(AtomicUsize);

impl Total {
    pub(in crate::proxy) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(in crate::proxy) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes off `bytes` that wait no longer.
    pub(in crate::proxy) fn remove(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The bytes that wait for the visitor of one connection.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Unsent {
    bytes: AtomicUsize,
    /// Whether the visitor has taken some since the last check.
    taken: AtomicBool,
    /// Since when none were taken, in ticks; 0: no bytes wait.
    since: AtomicU64,
}

impl Unsent {
    /// Whether bytes wait, or did at the last check.
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

    /// Takes off `bytes` that wait no longer.
    pub(in crate::proxy) fn remove(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Notes that the visitor has taken something.
    pub(in crate::proxy) fn take(&self) {
        self.taken.store(true, Ordering::Relaxed);
    }

    /// Notes that nothing waits.
    pub(in crate::proxy) fn rest(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    /// Since when the visitor has taken nothing. Each call resets `taken`, so only the sweep may
    /// call this.
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
