//! How many records of failed passwords are kept.

use std::sync::atomic::AtomicUsize;

/// The maximum number of records of failed passwords, for users and unknown names. One hashing
/// thread does thirty guesses a second, so a flood needs more than two hours to displace a record
/// that is older than the flood.
pub(super) const AT_MOST: usize = 250_000;

/// Counts new records of failed passwords since all of them were last counted.
#[derive(Debug)]
pub(super) struct FailureCount {
    pub(super) new: AtomicUsize,
    pub(super) look_at: AtomicUsize,
}

impl FailureCount {
    /// The number of existing records is unknown, so the first sweep counts them.
    pub(super) const fn unknown() -> Self {
        Self { new: AtomicUsize::new(0), look_at: AtomicUsize::new(0) }
    }
}

/// The key of a name that refers to nobody.
pub(super) const ABSENT: [u8; 32] = [0; 32];
