//! What reading and judging one request may cost, counted and not timed: a limit that holds on
//! every machine, and that a test can hold the dearest request against.

/// Work that was spent on one request, in units of which each is about a nanosecond of a slow processor:
/// what it takes to look at one byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    spent: u32,
}

impl Work {
    /// What one request may cost: about what twenty ordinary refusals do.
    pub(super) const LIMIT: u32 = 80_000;

    /// Notes that `units` were spent, or are about to be.
    pub(super) fn spend(&mut self, units: usize) {
        self.spent = self.spent.saturating_add(u32::try_from(units).unwrap_or(u32::MAX));
    }

    /// Whether the [`LIMIT`](Self::LIMIT) is reached: whoever sees that stops, and the request is
    /// refused.
    pub(super) const fn is_spent(&self) -> bool {
        self.spent >= Self::LIMIT
    }

    /// How much was spent.
    pub(super) const fn spent(&self) -> u32 {
        self.spent
    }
}
