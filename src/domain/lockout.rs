//! How long somebody who keeps guessing must wait.
//!
//! The first five failures cost nothing; then the wait is thirty seconds, and each further failure
//! doubles it, up to an hour. A full success forgets them all.
//!
//! Wrong codes from browsers that are not known ones are besides counted by the month
//! ([`WrongCodes`]), and nothing that their owner does makes that forgotten: a thief of the password
//! has so many guesses and no more.

use std::time::Duration;

use minicbor::{Decode, Encode};

use super::time::Timestamp;

/// How often, in a row, somebody has failed, and when last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Failures {
    #[n(0)]
    count: u32,
    #[n(1)]
    last: Option<Timestamp>,
}

/// A try that was counted as a failure before it was known to be one.
///
/// Slow work stands between the counting and the knowing, and whoever tries a hundred times at
/// once must get no further than one who tries a hundred times in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a charge is refunded when the try turns out right"]
pub struct Charge {
    at: Timestamp,
    before: Option<Timestamp>,
}

impl Failures {
    /// Failures that cost nothing.
    pub const FREE: u32 = 5;
    /// Failures of a second factor in a row that lock until a recovery code or a reset
    /// (NIST SP 800-63B-4 §3.2.2 allows no more than 100).
    pub const LOCKING: u32 = 50;

    /// How long failures of a password are remembered after the last.
    pub const FORGOTTEN_AFTER: Duration = Duration::from_hours(30 * 24);

    const FIRST_WAIT: Duration = Duration::from_secs(30);
    const LONGEST_WAIT: Duration = Duration::from_hours(1);

    /// How many there were in a row.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Until when no try is read, if that is still to come.
    pub fn closed_until(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.last?.plus(self.wait()?);
        (until > now).then_some(until)
    }

    /// Whether there were so many that waiting no longer helps. Passwords are never locked so: a
    /// stranger could lock anybody out.
    pub fn are_locking(&self) -> bool {
        self.count >= Self::LOCKING
    }

    /// Counts a failure.
    pub fn fail(&mut self, now: Timestamp) {
        self.count = self.count.saturating_add(1);
        self.last = Some(now);
    }

    /// Counts a failure ahead of slow work that will show whether it is one.
    ///
    /// # Errors
    /// The moment at which the next try is read, if that is still to come; nothing is counted.
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

    /// Takes `charge` back: the try was right. What was counted meanwhile stays counted.
    pub fn refund(&mut self, charge: &Charge) {
        self.count = self.count.saturating_sub(1);
        if self.last == Some(charge.at) {
            self.last = charge.before;
        }
    }

    /// From when on they are forgotten; `None`: there are none.
    pub fn forgotten_at(&self) -> Option<Timestamp> {
        self.last.map(|last| last.plus(Self::FORGOTTEN_AFTER))
    }

    /// Forgets all failures.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn wait(&self) -> Option<Duration> {
        let doublings = self.count.checked_sub(Self::FREE)?;
        let factor = 1_u32.checked_shl(doublings).filter(|f| *f > 0).unwrap_or(u32::MAX);
        Some(Self::FIRST_WAIT.saturating_mul(factor).min(Self::LONGEST_WAIT))
    }
}

/// When wrong codes came from browsers that are not known ones.
///
/// Whoever knows the password could else go on guessing for ever: each sign-in of the owner in a new
/// browser would forget what they have tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct WrongCodes {
    /// Of the last [`WrongCodes::SPAN`], the oldest first; no more than [`WrongCodes::AT_MOST`].
    #[n(0)]
    at: Vec<Timestamp>,
}

impl WrongCodes {
    /// So many are read in [`WrongCodes::SPAN`] (NIST SP 800-63B-4 §3.2.2 allows no more than 100 in
    /// a row). Three codes of a million are right at a time where the clock may be a step off: fifty
    /// guesses find one with a probability of 0.015 %.
    pub const AT_MOST: usize = 50;

    /// How long each is remembered.
    pub const SPAN: Duration = Duration::from_hours(30 * 24);

    /// Counts one.
    pub fn count(&mut self, now: Timestamp) {
        self.at.retain(|at| remembered(*at, now));
        self.at.push(now);
    }

    /// How many there were in this span until now.
    pub fn within(&self, span: Duration, now: Timestamp) -> usize {
        self.at.iter().filter(|at| at.plus(span) > now).count()
    }

    /// Until when no more are read, if there were too many.
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
