//! A circuit breaker: while the provider fails, nobody waits for it.

use std::time::Duration;

use parking_lot::Mutex;

use crate::domain::time::Timestamp;

/// Counts the failures of the provider in a row. From [`Breaker::FAILURES`] on no text is tried for
/// [`Breaker::PAUSE`]; then one is, and its result decides.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open_until: Option<Timestamp>,
}

impl Breaker {
    /// How many failures in a row open it.
    pub const FAILURES: u32 = 3;
    /// For how long.
    pub const PAUSE: Duration = Duration::from_mins(1);

    /// Whether texts can be sent now, as far as is known.
    pub fn is_closed(&self, now: Timestamp) -> bool {
        self.0.lock().open_until.is_none_or(|until| until <= now)
    }

    /// Whether a text may be handed over now. After a pause the first one decides: others are refused
    /// until its result is known, or for another pause.
    pub fn admits(&self, now: Timestamp) -> bool {
        let mut state = self.0.lock();
        match state.open_until {
            Some(until) if until > now => false,
            Some(_) => {
                state.open_until = Some(now.plus(Self::PAUSE));
                true
            }
            None => true,
        }
    }

    /// The provider has answered. Returns whether it had failed before.
    pub fn works(&self) -> bool {
        let mut state = self.0.lock();
        let failed = state.open_until.is_some();
        *state = State::default();
        failed
    }

    /// The provider has failed. Returns whether this opened the breaker.
    pub fn fails(&self, now: Timestamp) -> bool {
        let mut state = self.0.lock();
        state.failures = state.failures.saturating_add(1);
        let opens = state.failures >= Self::FAILURES;
        if opens {
            state.open_until = Some(now.plus(Self::PAUSE));
        }
        opens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    #[test]
    fn the_third_failure_in_a_row_opens_it_for_a_minute() {
        let breaker = Breaker::default();
        assert!(!breaker.fails(at(0)) && !breaker.fails(at(1)));
        assert!(breaker.is_closed(at(2)) && breaker.admits(at(2)));
        assert!(breaker.fails(at(2)));
        assert!(!breaker.is_closed(at(61)) && !breaker.admits(at(61)));
        assert!(breaker.is_closed(at(62)));
    }

    #[test]
    fn after_the_pause_one_text_is_tried() {
        let breaker = Breaker::default();
        for second in 0..3 {
            breaker.fails(at(second));
        }
        assert!(breaker.admits(at(62)));
        assert!(!breaker.admits(at(62)), "the first has no result yet");
        assert!(breaker.fails(at(63)), "one failure is enough now");
        assert!(breaker.admits(at(123)));
        assert!(breaker.works());
        assert!(breaker.admits(at(124)) && breaker.admits(at(124)));
    }

    #[test]
    fn a_success_forgets_the_failures() {
        let breaker = Breaker::default();
        breaker.fails(at(0));
        breaker.fails(at(0));
        assert!(!breaker.works());
        assert!(!breaker.fails(at(1)) && !breaker.fails(at(1)));
    }
}
