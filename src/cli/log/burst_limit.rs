//! Limits how often one place in the code may write a log line.
//!
//! Visitors can cause most lines as often as they like, and a full disk would stop us. So every
//! line passes through here, including those of libraries: each place has a burst, which refills at
//! one line a second. Suppressed lines are counted and reported.
//!
//! Only events about known users are always written: the users are known, and their failures are
//! slowed down.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Metadata};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Filter};

/// Lets through as many lines as a disk can take.
#[derive(Debug, Default)]
pub(super) struct BurstLimit {
    places: Mutex<HashMap<Identifier, Bucket>>,
}

/// How many lines were suppressed since the last call.
pub(in crate::cli) fn left_out() -> u64 {
    LEFT_OUT.swap(0, Ordering::Relaxed)
}

/// There is one log for the whole process.
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// What one place may still write.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    lines: u32,
    since: Instant,
}

impl Bucket {
    /// How many lines one place may write at once: more than there are at a start.
    const AT_ONCE: u32 = 100;
    /// How long it takes to refill one line.
    const ONE_MORE: Duration = Duration::from_secs(1);

    fn full(now: Instant) -> Self {
        Self { lines: Self::AT_ONCE, since: now }
    }

    /// Takes one line, if one is left.
    fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.since).as_secs();
        let back = u32::try_from(passed / Self::ONE_MORE.as_secs()).unwrap_or(u32::MAX);
        if back > 0 {
            self.since = now;
            self.lines = self.lines.saturating_add(back).min(Self::AT_ONCE);
        }
        let taken = self.lines > 0;
        self.lines = self.lines.saturating_sub(1);
        taken
    }
}

impl BurstLimit {
    fn lets_through(&self, place: Identifier, now: Instant) -> bool {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let through = places.entry(place).or_insert_with(|| Bucket::full(now)).take(now);
        if !through {
            LEFT_OUT.fetch_add(1, Ordering::Relaxed);
        }
        through
    }
}

impl<S> Filter<S> for BurstLimit {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    #[expect(clippy::disallowed_methods, reason = "a disk fills in real time")]
    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        metadata.target() == PEOPLE || self.lets_through(metadata.callsite(), Instant::now())
    }

    /// Combined filters have the lower of their two maximum levels, and having none counts as the
    /// lowest: then libraries would format each of their records, at every request, for nothing.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }
}

/// The target of events about users; see `store::facade::events::log`.
const PEOPLE: &str = "doorward::event";

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::{Layer, SubscriberExt};
    use tracing_subscriber::{fmt, registry};

    use super::*;
    use crate::cli::log::captured::Captured;

    #[test]
    fn a_flood_of_lines_of_one_place_is_cut_and_others_and_peoples_events_are_written() {
        let text = Captured::default();
        let writer = text.clone();
        let lines = fmt::layer().with_writer(move || writer.clone()).with_ansi(false);
        let log = registry().with(lines.with_filter(BurstLimit::default()));
        left_out();
        tracing::subscriber::with_default(log, || {
            for number in 0..5_000 {
                tracing::info!(number, "a stranger did something");
                tracing::info!(target: "doorward::event", number, "a person did something");
            }
            tracing::error!("something else");
        });
        let text = text.text();
        let count = |what: &str| text.lines().filter(|line| line.contains(what)).count();
        let strangers = count("a stranger did something");
        assert!((100..=160).contains(&strangers), "{strangers}");
        assert_eq!(count("a person did something"), 5_000);
        assert_eq!(count("something else"), 1);
        assert!(left_out() >= 4_800);
    }

    #[expect(clippy::disallowed_methods, reason = "there is no other way to have an instant")]
    fn epoch() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_place_that_was_quiet_may_write_again() {
        let now = epoch();
        let mut bucket = Bucket::full(now);
        let takes = |bucket: &mut Bucket, now| (0..1_000).filter(|_| bucket.take(now)).count();
        assert_eq!(takes(&mut bucket, now), 100);
        assert_eq!(takes(&mut bucket, now + Duration::from_secs(3)), 3);
        assert_eq!(takes(&mut bucket, now + Duration::from_hours(1)), 100);
    }
}
