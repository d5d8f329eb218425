//! A fifth of one processor for passwords, whatever else runs.
//!
//! Threads that hash run when nobody else wants to (`SCHED_IDLE`), so that those who guess slow nobody
//! down. Beside one busy program that leaves them three thousandths of a processor, and a sign-in takes ten
//! seconds. So one more thread has the priority of everything else. It works only while the others get
//! nowhere, also on what they have begun, and rests four times as long as it has worked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::job::Job;

/// How long the idle threads may get nowhere, at least.
const PATIENCE: Duration = Duration::from_millis(150);

/// One part in so many of a processor.
const A_FIFTH: u32 = 5;

/// What has begun, and whether anything comes of it.
#[derive(Debug)]
pub(super) struct Progress {
    begun: Vec<Arc<Job>>,
    /// When an idle thread last finished something, or when there was something to do at last.
    since: Instant,
    /// What the last job took of a processor.
    took: Duration,
}

impl Progress {
    pub(super) fn new(now: Instant) -> Self {
        Self { begun: Vec::new(), since: now, took: Duration::ZERO }
    }

    /// Something is to be done; `idle`: nothing else was.
    pub(super) fn comes(&mut self, idle: bool, now: Instant) {
        if idle && self.unfinished().is_none() {
            self.since = now;
        }
    }

    /// An idle thread begins with `job`.
    pub(super) fn begins(&mut self, job: &Arc<Job>) {
        self.begun.push(Arc::clone(job));
    }

    /// An idle thread is done with `job`, which took so much of a processor.
    pub(super) fn ends(&mut self, job: &Arc<Job>, took: Option<Duration>, now: Instant) {
        self.begun.retain(|begun| !Arc::ptr_eq(begun, job));
        self.since = now;
        self.took = took.unwrap_or(self.took);
    }

    /// What an idle thread has begun and nobody has answered yet.
    pub(super) fn unfinished(&self) -> Option<&Arc<Job>> {
        self.begun.iter().find(|job| job.is_wanted())
    }

    /// For how much longer the idle threads may get nowhere with what there is.
    pub(super) fn patience_left(&self, now: Instant) -> Duration {
        let patience = PATIENCE.max(self.took * A_FIFTH);
        patience.saturating_sub(now.saturating_duration_since(self.since))
    }
}

/// How much of a processor this thread has had since it was asked last.
#[derive(Debug)]
pub(super) struct Spent {
    began: Instant,
    processor: Option<Duration>,
}

impl Spent {
    pub(super) fn so_far() -> Self {
        Self { began: now(), processor: of_a_processor() }
    }

    /// How much it was; `None` where the system does not say.
    pub(super) fn since(&self) -> Option<Duration> {
        Some(of_a_processor()?.saturating_sub(self.processor?))
    }

    /// How long to rest, so that it was no more than a fifth.
    pub(super) fn rest(&self) -> Duration {
        let passed = now().saturating_duration_since(self.began);
        rest(self.since().unwrap_or(passed), passed)
    }
}

/// The real time, whatever a test says that it is: this is about what the machine is busy with.
#[expect(clippy::disallowed_methods, reason = "how busy a machine is shows in real time only")]
pub(super) fn now() -> Instant {
    Instant::now()
}

fn rest(worked: Duration, passed: Duration) -> Duration {
    (worked * A_FIFTH).saturating_sub(passed)
}

/// What this thread has had of a processor (proc(5), `/proc/thread-self/schedstat`).
fn of_a_processor() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gets_less_than_a_fifth_gets_nowhere() {
        let now = super::now();
        let mut progress = Progress::new(now);
        progress.comes(true, now);
        let after = |millis| now + Duration::from_millis(millis);
        assert_eq!(progress.patience_left(after(100)), Duration::from_millis(50));
        assert_eq!(progress.patience_left(after(150)), Duration::ZERO);
        // Digests from elsewhere take longer, and are given five times as long.
        progress.took = Duration::from_millis(200);
        assert_eq!(progress.patience_left(after(150)), Duration::from_millis(850));
        progress.comes(false, after(900));
        assert_eq!(progress.patience_left(after(1_000)), Duration::ZERO, "others waited already");
        progress.comes(true, after(900));
        assert_eq!(progress.patience_left(after(1_000)), Duration::from_millis(900));
    }

    #[test]
    fn four_times_as_long_as_it_worked_it_rests() {
        let millis = Duration::from_millis;
        assert_eq!(rest(millis(28), millis(28)), millis(112));
        assert_eq!(rest(millis(28), millis(60)), millis(80), "it had to share the processor");
        assert_eq!(rest(millis(28), millis(500)), Duration::ZERO);
    }
}
