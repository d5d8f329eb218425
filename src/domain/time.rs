//! Points in time.
//!
//! Nothing here reads a clock: `now` comes in as an argument, from the edge.

use std::fmt;
use std::time::Duration;

use minicbor::{Decode, Encode};

/// A moment, in milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Timestamp(#[n(0)] u64);

impl Timestamp {
    /// The moment this many milliseconds after the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// The moment this many seconds after the epoch.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down; what RFC 6238 calls Unix time.
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// The moment `span` later; saturates at the end of time.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was, or `None` if it lies in the future.
    pub fn since(self, earlier: Self) -> Option<Duration> {
        self.0.checked_sub(earlier.0).map(Duration::from_millis)
    }

    /// How long it is until `later`; zero once it has passed.
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0))
    }

    /// Whether `event` happened, and no longer than `span` ago. The future is never recent.
    pub fn within(self, span: Duration, event: Self) -> bool {
        self.since(event).is_some_and(|age| age <= span)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}s", self.0 / 1000, self.0 % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_future_is_never_recent() {
        let now = Timestamp::from_secs(100);
        assert!(now.within(Duration::from_secs(5), Timestamp::from_secs(95)));
        assert!(!now.within(Duration::from_secs(5), Timestamp::from_secs(94)));
        assert!(!now.within(Duration::from_secs(5), Timestamp::from_secs(101)));
    }
}
