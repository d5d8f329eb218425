//! Notices an application that is silent while a visitor waits for its answer.
//!
//! A request needs no timer of its own: the task that checks all connections checks this, too.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// How long an application has been silent on one connection. Time is in ticks.
#[derive(Debug)]
pub(in crate::proxy) struct Watchdog {
    /// How long the silence may last; 0: nobody waits for an answer.
    at_most: AtomicU64,
    /// Whether something was received since the last check.
    heard: AtomicBool,
    /// Whether we wait for the visitor to read: the application is not read meanwhile.
    paused: AtomicBool,
    /// How long that pause may last.
    pause_at_most: u64,
    /// The last check that found that something had been received.
    since: AtomicU64,
    /// Whether the silence has lasted too long: see the constants below.
    in_vain: AtomicU8,
}

/// It has lasted too long, and the current request has not been told yet, or has been.
const UNTOLD: u8 = 1;
const TOLD: u8 = 2;

impl Watchdog {
    /// Not active yet. A visitor may take nothing for `pause_at_most`.
    pub(in crate::proxy) fn new(pause_at_most: u64) -> Self {
        Self {
            at_most: AtomicU64::new(0),
            heard: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            pause_at_most,
            since: AtomicU64::new(0),
            in_vain: AtomicU8::new(0),
        }
    }

    /// An answer is waited for from now on. Each silence may last `at_most`.
    pub(in crate::proxy) fn begin(&self, at_most: u64) {
        self.in_vain.store(0, Ordering::Relaxed);
        self.last(at_most);
    }

    fn last(&self, at_most: u64) {
        self.hear();
        // Release: a thread that sees the limit also sees that its time begins now.
        self.at_most.store(at_most, Ordering::Release);
    }

    /// Stops waiting, and forgets that the application was given up.
    pub(in crate::proxy) fn reset(&self) {
        self.end();
        self.in_vain.store(0, Ordering::Relaxed);
    }

    /// Stops waiting.
    pub(in crate::proxy) fn end(&self) {
        self.at_most.store(0, Ordering::Relaxed);
    }

    /// The visitor has taken part of an answer. This counts as a sign of the application, whose
    /// data is passed on at once.
    pub(in crate::proxy) fn hear(&self) {
        self.heard.store(true, Ordering::Relaxed);
        self.paused.store(false, Ordering::Relaxed);
    }

    /// The visitor does not read. Until they do, the application may be silent.
    pub(in crate::proxy) fn pause(&self) {
        if !self.is_paused() {
            self.heard.store(true, Ordering::Relaxed);
            self.paused.store(true, Ordering::Relaxed);
        }
    }

    /// Whether we wait for the visitor to read.
    pub(in crate::proxy) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Checks whether the silence has lasted too long. Each call resets `heard`, so only the sweep
    /// may call this.
    pub(in crate::proxy) fn lasts_too_long(&self, now: u64) -> bool {
        let mut at_most = self.at_most.load(Ordering::Acquire);
        if at_most == 0 {
            return false;
        }
        if self.heard.load(Ordering::Relaxed) {
            self.heard.store(false, Ordering::Relaxed);
            self.since.store(now, Ordering::Relaxed);
            return false;
        }
        if self.is_paused() {
            at_most = at_most.max(self.pause_at_most);
        }
        now > self.since.load(Ordering::Relaxed) + at_most
    }

    /// Gives up the application. Returns whether it was given up before. The reaction may take
    /// `grace`.
    pub(in crate::proxy) fn give_up(&self, grace: u64) -> bool {
        self.last(grace);
        self.in_vain.compare_exchange(0, UNTOLD, Ordering::Relaxed, Ordering::Relaxed).is_err()
    }

    /// Whether the request must be told now that the application was given up. True only once.
    pub(in crate::proxy) fn tells(&self) -> bool {
        let news = self.in_vain.load(Ordering::Relaxed) == UNTOLD;
        if news {
            self.in_vain.store(TOLD, Ordering::Relaxed);
        }
        news
    }

    /// Whether the application was given up. After this call the request counts as told.
    pub(in crate::proxy) fn is_in_vain(&self) -> bool {
        self.tells() || self.in_vain.load(Ordering::Relaxed) == TOLD
    }
}

/// A duration in ticks, rounded up: nobody gets less than their due.
pub(in crate::proxy) fn ticks(span: Duration) -> u64 {
    u64::try_from(span.as_millis() / TICK.as_millis()).unwrap_or(u64::MAX - 1) + 1
}

/// The interval between two checks of all connections.
pub(in crate::proxy) const TICK: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lasts_from_the_last_sound() {
        let watchdog = Watchdog::new(50);
        assert!(!watchdog.lasts_too_long(1000), "nobody waits");
        watchdog.begin(4);
        assert!(!watchdog.lasts_too_long(1001));
        assert!(!watchdog.lasts_too_long(1005));
        watchdog.hear();
        assert!(!watchdog.lasts_too_long(1006));
        assert!(!watchdog.lasts_too_long(1010));
        assert!(watchdog.lasts_too_long(1011));
        watchdog.pause();
        assert!(!watchdog.lasts_too_long(1020) && !watchdog.lasts_too_long(1070), "nobody listens");
        watchdog.pause();
        assert!(watchdog.lasts_too_long(1071), "nor for ever");
        watchdog.hear();
        assert!(!watchdog.lasts_too_long(1101) && watchdog.lasts_too_long(1106));
        watchdog.end();
        assert!(!watchdog.lasts_too_long(2000), "the answer has ended");
    }

    #[test]
    fn it_is_given_up_once() {
        let watchdog = Watchdog::new(50);
        assert!(!watchdog.tells() && !watchdog.is_in_vain());
        assert!(!watchdog.give_up(2));
        assert!(watchdog.tells() && !watchdog.tells());
        assert!(watchdog.is_in_vain());
        assert!(!watchdog.lasts_too_long(10));
        assert!(watchdog.lasts_too_long(13));
        assert!(watchdog.give_up(2));
        watchdog.begin(2);
        assert!(!watchdog.is_in_vain(), "that was another request");
    }
}
