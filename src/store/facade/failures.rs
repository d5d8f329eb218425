//! How many failures of passwords are kept.

use std::sync::atomic::AtomicUsize;

/// How many failures of people and names are remembered. At thirty guesses a second, which is what a
/// thread hashes, a flood takes over two hours to have one forgotten that is older than itself.
pub(super) const AT_MOST: usize = 250_000;

/// Counts the records of failures that came since the last look at all of them.
#[derive(Debug)]
pub(super) struct FailureCount {
    pub(super) new: AtomicUsize,
    pub(super) look_at: AtomicUsize,
}

impl FailureCount {
    /// How many there are is not known: the first sweep looks.
    pub(super) const fn unknown() -> Self {
        Self { new: AtomicUsize::new(0), look_at: AtomicUsize::new(0) }
    }
}

/// The key of a name that leads to nobody.
pub(super) const ABSENT: [u8; 32] = [0; 32];
