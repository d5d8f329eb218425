//! A circuit breaker: while the provider fails, nobody waits for it.

use std::time::Duration;

use parking_lot::Mutex;

use crate::domain::phone::Number;
use crate::domain::time::Timestamp;

/// Counts the failures of the provider in a row. From [`Breaker::FAILURES`] on no text is tried for
/// [`Breaker::PAUSE`]; then one is, and its result decides.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

/// What an attempt tells about the provider.
#[derive(Clone, Copy, Debug)]
pub enum Attempt<'a> {
    /// It answered as one that works: it took the text, or refused this text only.
    Works,
    /// It failed.
    Fails,
    /// It failed, or refuses this number: each number counts once.
    FailsFor(&'a Number),
}

/// What an attempt changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// No texts are tried for a pause.
    Opened,
    /// Texts are tried again.
    Closed,
}

#[derive(Debug, Default)]
struct State {
    certain: u32,
    /// The last numbers for which it failed.
    numbers: Vec<Number>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, Default)]
enum Phase {
    #[default]
    Closed,
    /// Until then no text is tried.
    Open(Timestamp),
    /// One text is on its way. If it has no result until then, another one is tried.
    HalfOpen(Timestamp),
}

impl Breaker {
    /// How many failures in a row open it.
    pub const FAILURES: u32 = 3;
    /// For how long.
    pub const PAUSE: Duration = Duration::from_mins(1);

    /// Whether texts can be sent now, as far as is known.
    pub fn is_closed(&self, now: Timestamp) -> bool {
        !self.0.lock().phase.waits(now)
    }

    /// Whether a text may be handed over now. After a pause the first one decides: others are refused
    /// until its result is known, or for another pause.
    pub fn admits(&self, now: Timestamp) -> bool {
        let mut state = self.0.lock();
        if state.phase.waits(now) {
            return false;
        }
        if !matches!(state.phase, Phase::Closed) {
            state.phase = Phase::HalfOpen(now.plus(Self::PAUSE));
        }
        true
    }

    /// Takes back that a text was admitted: none was handed over.
    pub fn gives_back(&self, now: Timestamp) {
        let mut state = self.0.lock();
        if matches!(state.phase, Phase::HalfOpen(_)) {
            state.phase = Phase::Open(now);
        }
    }

    /// Begins anew, for another provider or other credentials.
    pub fn reset(&self) {
        *self.0.lock() = State::default();
    }

    /// Notes the result of an attempt.
    pub fn note(&self, attempt: Attempt<'_>, now: Timestamp) -> Change {
        let mut state = self.0.lock();
        let counts = match attempt {
            Attempt::Works => {
                let was_closed = matches!(state.phase, Phase::Closed);
                *state = State::default();
                return if was_closed { Change::None } else { Change::Closed };
            }
            Attempt::Fails => {
                state.certain = state.certain.saturating_add(1);
                true
            }
            Attempt::FailsFor(number) => state.is_new(number),
        };
        let opens = match state.phase {
            Phase::Closed => state.failures() >= Self::FAILURES,
            Phase::HalfOpen(_) if !counts => {
                // Somebody presses again and again for a number that is refused: another text decides.
                state.phase = Phase::Open(now);
                false
            }
            Phase::HalfOpen(_) => true,
            // The result of a text that was handed over before.
            Phase::Open(_) => false,
        };
        if opens {
            state.phase = Phase::Open(now.plus(Self::PAUSE));
        }
        if opens { Change::Opened } else { Change::None }
    }
}

impl State {
    /// Remembers a number for which it failed. Whether it is a new one.
    fn is_new(&mut self, number: &Number) -> bool {
        let is_new = !self.numbers.contains(number);
        if is_new {
            if self.numbers.len() == NUMBERS {
                self.numbers.remove(0);
            }
            self.numbers.push(number.clone());
        }
        is_new
    }

    fn failures(&self) -> u32 {
        let numbers = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        self.certain.saturating_add(numbers)
    }
}

impl Phase {
    /// Whether no text is tried at `now`. An end further away than a pause is no end: the clock went
    /// back.
    fn waits(self, now: Timestamp) -> bool {
        match self {
            Self::Closed => false,
            Self::Open(until) | Self::HalfOpen(until) => {
                until > now && until <= now.plus(Breaker::PAUSE)
            }
        }
    }
}

/// How many numbers are remembered.
const NUMBERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn fails(breaker: &Breaker, second: u64) -> Change {
        breaker.note(Attempt::Fails, at(second))
    }

    fn open() -> Breaker {
        let breaker = Breaker::default();
        for second in 100..103 {
            fails(&breaker, second);
        }
        breaker
    }

    #[test]
    fn the_third_failure_in_a_row_opens_it_for_a_minute() {
        let breaker = Breaker::default();
        assert_eq!([fails(&breaker, 0), fails(&breaker, 1)], [Change::None; 2]);
        assert!(breaker.is_closed(at(2)) && breaker.admits(at(2)));
        assert_eq!(fails(&breaker, 2), Change::Opened);
        assert_eq!(fails(&breaker, 30), Change::None, "it is open, and no longer for this");
        assert!(!breaker.is_closed(at(61)) && !breaker.admits(at(61)));
        assert!(breaker.is_closed(at(62)));
    }

    #[test]
    fn after_the_pause_the_result_of_one_text_decides() {
        let breaker = open();
        assert!(breaker.admits(at(162)));
        assert!(!breaker.admits(at(162)), "the first has no result yet");
        assert_eq!(fails(&breaker, 163), Change::Opened, "one failure is enough now");
        assert!(breaker.admits(at(223)));
        assert_eq!(breaker.note(Attempt::Works, at(223)), Change::Closed);
        assert!(breaker.admits(at(224)) && breaker.admits(at(224)));
    }

    #[test]
    fn a_text_without_a_result_does_not_keep_it_open() {
        let breaker = open();
        assert!(breaker.admits(at(162)));
        assert!(!breaker.admits(at(221)) && breaker.admits(at(222)));
    }

    #[test]
    fn a_success_forgets_the_failures() {
        let breaker = Breaker::default();
        fails(&breaker, 0);
        fails(&breaker, 0);
        assert_eq!(breaker.note(Attempt::Works, at(0)), Change::None);
        assert_eq!([fails(&breaker, 1), fails(&breaker, 1)], [Change::None; 2]);
    }

    #[test]
    fn a_clock_that_goes_back_does_not_keep_it_open() {
        let breaker = open();
        assert!(!breaker.is_closed(at(102)));
        assert!(breaker.is_closed(at(10)) && breaker.admits(at(10)));
    }

    fn number(of: u8) -> Number {
        Number::parse(&format!("+41 79 123 45 {of}"), None).unwrap()
    }

    #[test]
    fn one_number_that_is_refused_again_and_again_does_not_open_it() {
        let breaker = Breaker::default();
        for second in 0..10 {
            for of in [67, 68] {
                let refused = Attempt::FailsFor(&number(of));
                assert_eq!(breaker.note(refused, at(second)), Change::None);
            }
        }
        assert_eq!(breaker.note(Attempt::FailsFor(&number(69)), at(10)), Change::Opened);
    }

    #[test]
    fn one_number_that_is_refused_does_not_keep_it_open() {
        let breaker = Breaker::default();
        for of in 67..70 {
            breaker.note(Attempt::FailsFor(&number(of)), at(100));
        }
        assert!(!breaker.is_closed(at(101)) && breaker.admits(at(160)));
        assert_eq!(breaker.note(Attempt::FailsFor(&number(67)), at(160)), Change::None);
        assert!(breaker.is_closed(at(160)) && breaker.admits(at(160)), "another text decides");
        assert_eq!(breaker.note(Attempt::Works, at(160)), Change::Closed);
    }

    #[test]
    fn a_further_number_that_is_refused_does_not_keep_it_open_either() {
        let breaker = Breaker::default();
        for of in 67..70 {
            breaker.note(Attempt::FailsFor(&number(of)), at(100));
        }
        assert!(breaker.admits(at(160)));
        assert_eq!(breaker.note(Attempt::FailsFor(&number(70)), at(160)), Change::Opened);
        assert!(breaker.admits(at(220)));
        assert_eq!(breaker.note(Attempt::FailsFor(&number(70)), at(220)), Change::None);
        assert!(breaker.admits(at(220)), "another text decides");
    }

    #[test]
    fn an_attempt_that_was_not_made_lets_another_one_be_made() {
        let breaker = open();
        assert!(breaker.admits(at(162)) && !breaker.admits(at(162)));
        breaker.gives_back(at(162));
        assert!(breaker.admits(at(162)));
        let closed = Breaker::default();
        closed.gives_back(at(0));
        assert!(closed.admits(at(0)) && closed.admits(at(0)));
    }

    #[test]
    fn a_new_provider_begins_anew() {
        let breaker = open();
        breaker.reset();
        assert!(breaker.is_closed(at(103)));
    }
}
