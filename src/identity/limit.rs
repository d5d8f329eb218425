//! How often one address may try to sign in.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::ops::Add;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::config::Limits;
use crate::domain::time::Timestamp;

/// Counts the posts of each address: so many at once, which come back evenly over a minute.
///
/// What it knows of an address is forgotten when it no longer matters. When it knows too many at a
/// time, those that come then share one count.
pub struct SignInLimit {
    limiter: RateLimiter<Source, DashMapStateStore<Source>, Given, NoOpMiddleware<Moment>>,
    known_at_most: usize,
    sweep_at: AtomicUsize,
}

impl SignInLimit {
    /// The sign-in posts of one address in a minute, unless the operator says otherwise.
    pub const A_MINUTE: NonZeroU32 = NonZeroU32::new(30).unwrap();

    /// How soon one more post is taken of an address that has had its share.
    pub const ONE_MORE: Duration = Duration::from_secs(2);

    /// As many addresses are known at a time; each costs about a hundred bytes.
    const KNOWN_AT_MOST: usize = 100_000;

    /// As the configuration says.
    pub fn of(limits: Limits) -> Self {
        Self::a_minute(NonZeroU32::new(limits.sign_in_posts).unwrap_or(NonZeroU32::MIN))
    }

    /// Allows `posts` a minute.
    pub fn a_minute(posts: NonZeroU32) -> Self {
        Self::knowing(posts, Self::KNOWN_AT_MOST)
    }

    fn knowing(posts: NonZeroU32, known_at_most: usize) -> Self {
        Self {
            limiter: RateLimiter::dashmap_with_clock(Quota::per_minute(posts), Given::default()),
            known_at_most,
            sweep_at: AtomicUsize::new(FIRST_SWEEP.min(known_at_most)),
        }
    }

    /// Whether one more post from `address` is taken, which is counted; those that are not taken
    /// are not counted either.
    pub fn admits(&self, address: IpAddr, now: Timestamp) -> bool {
        self.limiter.clock().set(now);
        self.limiter.check_key(&self.counted_as(Source::of(address))).is_ok()
    }

    fn counted_as(&self, source: Source) -> Source {
        let known = self.limiter.len();
        if known >= self.sweep_at.load(Ordering::Relaxed) {
            self.limiter.retain_recent();
            let next = (self.limiter.len() * 2).clamp(FIRST_SWEEP, self.known_at_most.max(1));
            self.sweep_at.store(next, Ordering::Relaxed);
        }
        if self.limiter.len() < self.known_at_most { source } else { Source::Crowd }
    }
}

impl Default for SignInLimit {
    fn default() -> Self {
        Self::a_minute(Self::A_MINUTE)
    }
}

impl fmt::Debug for SignInLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignInLimit").finish_non_exhaustive()
    }
}

/// Who is counted as one: an IPv4 address, or an IPv6 /64, which is what one household is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    V4(Ipv4Addr),
    V6([u16; 4]),
    Crowd,
}

impl Source {
    /// Who `address` is counted as; IPv4 written as IPv6 is IPv4.
    pub(super) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

/// The clock that the limiter reads: it shows what it was given last, and never goes back.
#[derive(Debug, Default)]
struct Given(AtomicU64);

impl Given {
    fn set(&self, now: Timestamp) {
        self.0.fetch_max(now.millis(), Ordering::Relaxed);
    }
}

impl Clock for Given {
    type Instant = Moment;

    fn now(&self) -> Moment {
        Moment(Duration::from_millis(self.0.load(Ordering::Relaxed)))
    }
}

/// Time since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Moment(Duration);

impl Add<Nanos> for Moment {
    type Output = Self;

    fn add(self, span: Nanos) -> Self {
        Self(self.0 + Duration::from(span))
    }
}

impl Reference for Moment {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }

    fn saturating_sub(&self, span: Nanos) -> Self {
        Self(self.0.checked_sub(span.into()).unwrap_or(self.0))
    }
}

/// Fewer addresses than these are not worth sweeping.
const FIRST_SWEEP: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + seconds)
    }

    fn posts(limit: &SignInLimit, address: &str, now: Timestamp) -> usize {
        (0..100).filter(|_| limit.admits(address.parse().unwrap(), now)).count()
    }

    #[test]
    fn an_address_may_try_thirty_times_a_minute() {
        let limit = SignInLimit::default();
        assert_eq!(posts(&limit, "192.0.2.1", at(0)), 30);
        assert_eq!(posts(&limit, "192.0.2.1", at(1)), 0);
        assert_eq!(posts(&limit, "192.0.2.1", at(2)), 1);
        assert_eq!(posts(&limit, "192.0.2.1", at(62)), 30);
    }

    #[test]
    fn other_addresses_have_counts_of_their_own() {
        let limit = SignInLimit::default();
        assert_eq!(posts(&limit, "192.0.2.1", at(0)), 30);
        assert_eq!(posts(&limit, "192.0.2.2", at(0)), 30);
        assert_eq!(posts(&limit, "::ffff:192.0.2.2", at(0)), 0);
    }

    #[test]
    fn an_ipv6_household_counts_as_one() {
        let limit = SignInLimit::default();
        assert_eq!(posts(&limit, "2001:db8:0:1::1", at(0)), 30);
        assert_eq!(posts(&limit, "2001:db8:0:1:ffff::2", at(0)), 0);
        assert_eq!(posts(&limit, "2001:db8:0:2::1", at(0)), 30);
    }

    #[test]
    fn a_clock_that_goes_back_gives_no_tries_back() {
        let limit = SignInLimit::default();
        assert_eq!(posts(&limit, "192.0.2.1", at(100)), 30);
        assert_eq!(posts(&limit, "192.0.2.1", at(0)), 0);
        assert_eq!(posts(&limit, "192.0.2.1", at(100)), 0);
    }

    #[test]
    fn a_flood_of_addresses_fills_no_memory_and_shares_one_count() {
        let limit = SignInLimit::knowing(SignInLimit::A_MINUTE, 2_000);
        let flood = (0..5_000_u32).map(|n| IpAddr::V4(Ipv4Addr::from(n)));
        assert_eq!(flood.filter(|address| limit.admits(*address, at(0))).count(), 2_000 + 30);
        assert!(limit.limiter.len() <= 2_001);
        assert_eq!(posts(&limit, "192.0.2.1", at(90)), 30);
        assert!(limit.limiter.len() < 10, "those who are quiet are forgotten");
    }
}
