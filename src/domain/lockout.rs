//! How long somebody who keeps guessing must wait.
//!
//! The first five failures cost nothing. Then the wait is thirty seconds, and each further failure
//! doubles it, up to an hour. A complete sign-in clears the failures.
//!
//! Wrong codes from unknown browsers are also counted over thirty days ([`WrongCodes`]). Nothing
//! that the owner does clears that count, so somebody who stole the password has a limited number
//! of guesses.

use std::time::Duration;

use minicbor::{Decode, Encode};

use super::time::Timestamp;

/// How many failures in a row there were, and when the last one was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Failures {
    #[n(0)]
    count: u32,
    #[n(1)]
    last: Option<Timestamp>,
}

/// An attempt that was counted as a failure before its result was known.
///
/// Checking takes long. Somebody who sends a hundred attempts at once must not get further than
/// somebody who sends them one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a charge is refunded when the try turns out right"]
pub struct Charge {
    at: Timestamp,
    before: Option<Timestamp>,
}

impl Failures {
    /// The number of failures without a wait.
    pub const FREE: u32 = 5;
    /// The number of failed second factors in a row after which only a recovery code or a reset
    /// helps (NIST SP 800-63B-4 §3.2.2 allows at most 100).
    pub const LOCKING: u32 = 50;

    /// How long failed passwords are remembered after the last one.
    pub const FORGOTTEN_AFTER: Duration = Duration::from_hours(30 * 24);

    /// The wait after the last failure that is free; each further failure doubles it.
    pub const FIRST_WAIT: Duration = Duration::from_secs(30);
    /// The longest wait.
    pub const LONGEST_WAIT: Duration = Duration::from_hours(1);

    /// The number of failures in a row.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// When the next attempt is accepted, if that is in the future.
    pub fn closed_until(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.last?.plus(self.wait()?);
        (until > now).then_some(until)
    }

    /// Whether there were so many failures that waiting no longer helps. Not used for passwords,
    /// because strangers could lock anybody out.
    pub fn are_locking(&self) -> bool {
        self.count >= Self::LOCKING
    }

    /// Counts a failure.
    pub fn fail(&mut self, now: Timestamp) {
        self.count = self.count.saturating_add(1);
        self.last = Some(now);
    }

    /// Counts a failure before the slow check that shows whether it is one.
    ///
    /// # Errors
    /// The time at which the next attempt is accepted, if that is in the future. Nothing is counted
    /// then.
    pub fn charge(&mut self, now: Timestamp) -> Result<Charge, Timestamp> {
        if let Some(until) = self.closed_until(now) {
            return Err(until);
        }
        if self.last.is_some_and(|last| last.plus(Self::FORGOTTEN_AFTER) <= now) {
            self.clear();
        }
        let before = self.last;
        self.fail(now);
        Ok(Charge { at: now, before })
    }

    /// Takes `charge` back because the attempt was right. Failures that were counted meanwhile
    /// stay.
    pub fn refund(&mut self, charge: &Charge) {
        self.count = self.count.saturating_sub(1);
        if self.last == Some(charge.at) {
            self.last = charge.before;
        }
    }

    /// When the failures are forgotten; `None` if there are none.
    pub fn forgotten_at(&self) -> Option<Timestamp> {
        self.last.map(|last| last.plus(Self::FORGOTTEN_AFTER))
    }

    /// Clears all failures.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn wait(&self) -> Option<Duration> {
        let doublings = self.count.checked_sub(Self::FREE)?;
        let factor = 1_u32.checked_shl(doublings).filter(|f| *f > 0).unwrap_or(u32::MAX);
        Some(Self::FIRST_WAIT.saturating_mul(factor).min(Self::LONGEST_WAIT))
    }
}

/// The failed attempts from one class of browsers, for both factors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Tries {
    /// Failed passwords.
    #[n(0)]
    pub password: Failures,
    /// Failed second factors of all kinds.
    #[n(1)]
    pub second_factor: Failures,
}

/// The times of wrong codes from unknown browsers.
///
/// Without this count somebody who knows the password could guess for ever, because each sign-in of
/// the owner in a new browser clears the failures in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct WrongCodes {
    /// The times within the last [`WrongCodes::SPAN`], oldest first; at most
    /// [`WrongCodes::AT_MOST`].
    #[n(0)]
    at: Vec<Timestamp>,
}

impl WrongCodes {
    /// How many are allowed in [`WrongCodes::SPAN`] (NIST SP 800-63B-4 §3.2.2 allows at most 100 in
    /// a row). With a clock skew of one step, three codes of an authenticator in a million are right at
    /// any time, and one that was sent, so fifty guesses succeed with a probability of 0.02 %.
    pub const AT_MOST: usize = 50;

    /// How long each is remembered.
    pub const SPAN: Duration = Duration::from_hours(30 * 24);

    /// Counts a wrong code.
    pub fn count(&mut self, now: Timestamp) {
        self.at.retain(|at| remembered(*at, now));
        self.at.push(now);
    }

    /// How many there were within `span` before `now`.
    pub fn within(&self, span: Duration, now: Timestamp) -> usize {
        self.at.iter().filter(|at| at.plus(span) > now).count()
    }

    /// Until when codes are refused, if there were too many.
    pub fn closed_until(&self, now: Timestamp) -> Option<Timestamp> {
        let newest = self.at.iter().rev().nth(Self::AT_MOST - 1);
        newest.map(|at| at.plus(Self::SPAN)).filter(|until| *until > now)
    }
}

fn remembered(at: Timestamp, now: Timestamp) -> bool {
    at.plus(WrongCodes::SPAN) > now
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn failed(times: u32, last: Timestamp) -> Failures {
        let mut failures = Failures::default();
        for _ in 0..times {
            failures.fail(last);
        }
        failures
    }

    #[test]
    fn the_wait_starts_at_the_fifth_failure_and_doubles_up_to_an_hour() {
        let waits: Vec<_> = [4, 5, 6, 7, 11, 12, 13, 200]
            .into_iter()
            .map(|times| failed(times, at(0)).closed_until(at(0)).map(Timestamp::seconds))
            .collect();
        assert_eq!(
            waits,
            [None, Some(30), Some(60), Some(120), Some(1920), Some(3600), Some(3600), Some(3600)]
        );
    }

    #[test]
    fn a_try_during_the_wait_is_not_counted() {
        let mut failures = failed(5, at(100));
        assert_eq!(failures.charge(at(129)), Err(at(130)));
        assert_eq!(failures.count(), 5);
        assert!(failures.charge(at(130)).is_ok());
    }

    #[test]
    fn of_a_hundred_tries_at_once_five_are_charged() {
        let mut failures = Failures::default();
        let charged = (0..100).filter(|_| failures.charge(at(7)).is_ok()).count();
        assert_eq!(charged, 5);
    }

    #[test]
    fn a_refund_gives_back_the_wait_that_was_there_before() {
        let mut failures = failed(6, at(100));
        let before = failures.clone();
        let charge = failures.charge(at(500)).unwrap();
        failures.refund(&charge);
        assert_eq!(failures, before);
    }

    #[test]
    fn failures_of_a_month_ago_are_forgotten() {
        let month = Failures::FORGOTTEN_AFTER;
        let mut failures = failed(9, at(0));
        let _charge = failures.charge(at(0).plus(month)).unwrap();
        assert_eq!(failures.count(), 1);
        let mut failures = failed(9, at(1));
        let _charge = failures.charge(at(0).plus(month)).unwrap();
        assert_eq!(failures.count(), 10);
    }

    #[test]
    fn fifty_wrong_codes_of_a_month_are_read_and_then_one_for_each_that_is_older() {
        let mut wrong = WrongCodes::default();
        for day in 0..50 {
            assert_eq!(wrong.closed_until(at(day)), None, "{day}");
            wrong.count(at(day));
        }
        let month = |second| at(second).plus(WrongCodes::SPAN);
        assert_eq!(wrong.closed_until(at(50)), Some(month(0)));
        assert_eq!(wrong.closed_until(month(0)), None);
        wrong.count(month(0));
        assert_eq!(wrong.closed_until(month(0)), Some(month(1)));
        assert_eq!(wrong.within(WrongCodes::SPAN, month(0)), 50);
        assert_eq!(wrong.within(Duration::from_hours(1), month(0)), 1);
        assert_eq!(wrong.at.len(), 50, "no more are kept than count");
    }

    #[test]
    fn fifty_failures_lock() {
        assert!(!failed(49, at(0)).are_locking());
        assert!(failed(50, at(0)).are_locking());
    }

    proptest! {
        #[test]
        fn one_more_failure_never_shortens_the_wait(times in 0_u32..300, last in 0_u64..1_000_000) {
            let (fewer, more) = (failed(times, at(last)), failed(times + 1, at(last)));
            prop_assert!(fewer.closed_until(at(last)) <= more.closed_until(at(last)));
        }
    }
}
