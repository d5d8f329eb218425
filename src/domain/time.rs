//! Points in time.
//!
//! Nothing in the domain reads a clock; `now` is always an argument.

use std::fmt;
use std::time::Duration;

use minicbor::{Decode, Encode};

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Timestamp(#[n(0)] u64);

impl Timestamp {
    /// The time this many milliseconds after the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// The time this many seconds after the epoch.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down (Unix time in RFC 6238).
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// The time `span` later; saturates at the maximum.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; `None` if it is in the future.
    pub fn since(self, earlier: Self) -> Option<Duration> {
        self.0.checked_sub(earlier.0).map(Duration::from_millis)
    }

    /// How long it is until `later`; zero if it has passed.
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0))
    }

    /// Whether `event` happened no longer than `span` ago. Future events do not count.
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
