//! The current time, with protection against a clock that goes back.
//!
//! Waits, sessions and one-time codes need a clock that does not go back. So `now` never returns
//! less than the highest time seen, and a clock that is too far behind it is an error.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::time::Timestamp;
use crate::unavailable::{Kind, Unavailable};

/// Tells the time.
pub struct Clock {
    read: Box<dyn Fn() -> Timestamp + Send + Sync>,
    highest: AtomicU64,
}

impl Clock {
    /// How far the clock may be behind the highest time seen.
    pub const SLACK: Duration = Duration::from_mins(5);

    /// A clock that reads `read`: the system clock, or one that a test sets by hand.
    pub fn new(read: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { read: Box::new(read), highest: AtomicU64::new(0) }
    }

    /// Takes into account a time that was seen in an earlier run.
    pub fn has_seen(&self, moment: Timestamp) {
        self.highest.fetch_max(moment.millis(), Ordering::Relaxed);
    }

    /// What the clock shows, whether or not it went back: for logs, never for decisions.
    pub fn reading(&self) -> Timestamp {
        (self.read)()
    }

    /// The current time; it never goes back.
    ///
    /// # Errors
    /// [`Kind::Clock`] if the clock is more than [`Clock::SLACK`] behind the highest time seen.
    pub fn now(&self) -> Result<Timestamp, Unavailable> {
        let read = (self.read)();
        let highest = self.highest.fetch_max(read.millis(), Ordering::Relaxed);
        let highest = Timestamp::from_millis(highest).max(read);
        if read.plus(Self::SLACK) < highest {
            return Err(Unavailable::new(Kind::Clock, "it is more than five minutes behind"));
        }
        Ok(highest)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("highest", &self.highest).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn clock_at(seconds: u64) -> (Arc<AtomicU64>, Clock) {
        let hand = Arc::new(AtomicU64::new(seconds));
        let read = Arc::clone(&hand);
        (hand, Clock::new(move || Timestamp::from_secs(read.load(Ordering::SeqCst))))
    }

    #[test]
    fn time_never_goes_back() {
        let (hand, clock) = clock_at(1_000);
        assert_eq!(clock.now().unwrap(), Timestamp::from_secs(1_000));
        hand.store(900, Ordering::SeqCst);
        assert_eq!(clock.now().unwrap(), Timestamp::from_secs(1_000));
        hand.store(1_001, Ordering::SeqCst);
        assert_eq!(clock.now().unwrap(), Timestamp::from_secs(1_001));
    }

    #[test]
    fn a_clock_far_behind_is_not_believed_until_it_has_caught_up() {
        let (hand, clock) = clock_at(10_000);
        clock.has_seen(Timestamp::from_secs(10_301));
        assert!(clock.now().is_err());
        hand.store(10_001, Ordering::SeqCst);
        assert_eq!(clock.now().unwrap(), Timestamp::from_secs(10_301));
    }
}
