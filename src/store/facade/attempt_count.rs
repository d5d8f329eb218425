//! How many records of failed passwords are kept, and when to count them.

use std::sync::atomic::AtomicUsize;

/// The maximum number of records of failed passwords, for users and unknown names. One hashing
/// thread does thirty guesses a second, so a flood needs more than two hours to displace a record
/// that is older than the flood.
pub(super) const AT_MOST: usize = 250_000;

/// Counts new records of failed passwords since all of them were last counted.
#[derive(Debug)]
pub(super) struct AttemptCount {
    pub(super) new: AtomicUsize,
    pub(super) look_at: AtomicUsize,
}

impl AttemptCount {
    /// The number of existing records is unknown, so the first sweep counts them.
    pub(super) const fn unknown() -> Self {
        Self { new: AtomicUsize::new(0), look_at: AtomicUsize::new(0) }
    }
}
