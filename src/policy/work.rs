//! A limit on the cost of reading and judging one request. Work is counted rather than timed, so
//! that the limit is the same on every machine, and a test can check the most expensive request.

/// The work spent on one request. A unit is about a nanosecond on a slow processor: the time to
/// examine one byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    spent: u32,
}

impl Work {
    /// The limit for one request: about the cost of twenty ordinary refusals.
    pub(super) const LIMIT: u32 = 80_000;

    /// Counts `units` that were spent, or are about to be.
    pub(super) fn spend(&mut self, units: usize) {
        self.spent = self.spent.saturating_add(u32::try_from(units).unwrap_or(u32::MAX));
    }

    /// Whether the [`LIMIT`](Self::LIMIT) is reached. Callers then stop, and the request is
    /// refused.
    pub(super) const fn is_spent(&self) -> bool {
        self.spent >= Self::LIMIT
    }

    /// How much was spent.
    pub(super) const fn spent(&self) -> u32 {
        self.spent
    }
}
