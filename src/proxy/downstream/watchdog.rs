//! How long an application has said nothing to a visitor who waits for its answer.
//!
//! Nothing is set up for a request and taken down after it, as a timer would be: whoever looks at all
//! links anyway looks at this, too.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// The silence of an application towards one link. Time is in ticks.
#[derive(Debug)]
pub(in crate::proxy) struct Watchdog {
    /// How long it may last; 0: nobody waits.
    at_most: AtomicU64,
    /// Whether something was heard since somebody looked.
    heard: AtomicBool,
    /// Whether it is the visitor who is waited for: nobody listens to the application meanwhile.
    paused: AtomicBool,
    /// How long that may last.
    pause_at_most: u64,
    /// When somebody looked last, and something had been heard.
    since: AtomicU64,
    /// Whether it has lasted too long: see the constants below.
    in_vain: AtomicU8,
}

/// It has lasted too long, and the request under way has not been told, or has been.
const UNTOLD: u8 = 1;
const TOLD: u8 = 2;

impl Watchdog {
    /// Of nobody yet; a visitor may take nothing for as long as `pause_at_most`.
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

    /// From now on an answer is waited for, which may let us wait for so long each time.
    pub(in crate::proxy) fn begin(&self, at_most: u64) {
        self.in_vain.store(0, Ordering::Relaxed);
        self.last(at_most);
    }

    fn last(&self, at_most: u64) {
        self.hear();
        // Whoever sees that there is a limit sees that its time begins now.
        self.at_most.store(at_most, Ordering::Release);
    }

    /// Nobody waits any more, and whatever was found out has been told.
    pub(in crate::proxy) fn reset(&self) {
        self.end();
        self.in_vain.store(0, Ordering::Relaxed);
    }

    /// Nobody waits any more.
    pub(in crate::proxy) fn end(&self) {
        self.at_most.store(0, Ordering::Relaxed);
    }

    /// The visitor takes something of an answer: what the application says goes on to them at once.
    pub(in crate::proxy) fn hear(&self) {
        self.heard.store(true, Ordering::Relaxed);
        self.paused.store(false, Ordering::Relaxed);
    }

    /// The visitor does not take what there is to be sent. Until they do, the application may be
    /// silent.
    pub(in crate::proxy) fn pause(&self) {
        if !self.is_paused() {
            self.heard.store(true, Ordering::Relaxed);
            self.paused.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the visitor is waited for.
    pub(in crate::proxy) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Looks whether it lasts too long. Call it from one place only, again and again.
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

    /// It has lasted too long; gives whether that was known. What is done about it may take as long
    /// as `grace`.
    pub(in crate::proxy) fn give_up(&self, grace: u64) -> bool {
        self.last(grace);
        self.in_vain.compare_exchange(0, UNTOLD, Ordering::Relaxed, Ordering::Relaxed).is_err()
    }

    /// Whether the application is waited for in vain, and the request is to be told that now; once.
    pub(in crate::proxy) fn tells(&self) -> bool {
        let news = self.in_vain.load(Ordering::Relaxed) == UNTOLD;
        if news {
            self.in_vain.store(TOLD, Ordering::Relaxed);
        }
        news
    }

    /// Whether the application is waited for in vain, as the request knows from now on.
    pub(in crate::proxy) fn is_in_vain(&self) -> bool {
        self.tells() || self.in_vain.load(Ordering::Relaxed) == TOLD
    }
}

/// A span in ticks. Begun ticks count as whole ones: nobody gets less than they are due.
pub(in crate::proxy) fn ticks(span: Duration) -> u64 {
    u64::try_from(span.as_millis() / TICK.as_millis()).unwrap_or(u64::MAX - 1) + 1
}

/// How often all links are looked at.
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
