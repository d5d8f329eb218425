//! Guarantees password hashing a fifth of one processor on a busy machine.
//!
//! The hashing threads run at idle priority (`SCHED_IDLE`), so that password guessing does not slow
//! down anything else. But beside one busy program they get only 0.3 % of a processor, and a
//! sign-in takes ten seconds. So one more thread has normal priority. It works only while the idle
//! threads make no progress, including on jobs that they have begun, and rests four times as long
//! as it has worked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::job::Job;

/// How long the idle threads may make no progress before the floor thread starts; the minimum.
const PATIENCE: Duration = Duration::from_millis(150);

/// The floor thread gets one part in this many of a processor.
const A_FIFTH: u32 = 5;

/// Which jobs have begun, and when the idle threads last made progress.
#[derive(Debug)]
pub(super) struct Progress {
    begun: Vec<Arc<Job>>,
    /// When an idle thread last finished a job, or when the queue last became non-empty.
    since: Instant,
    /// How much processor time the last job took.
    took: Duration,
}

impl Progress {
    pub(super) fn new(now: Instant) -> Self {
        Self { begun: Vec::new(), since: now, took: Duration::ZERO }
    }

    /// Records a new job. `idle` means that the queue was empty.
    pub(super) fn comes(&mut self, idle: bool, now: Instant) {
        if idle && self.unfinished().is_none() {
            self.since = now;
        }
    }

    /// Records that an idle thread begins `job`.
    pub(super) fn begins(&mut self, job: &Arc<Job>) {
        self.begun.push(Arc::clone(job));
    }

    /// Records that an idle thread has finished `job`, which took this much processor time.
    pub(super) fn ends(&mut self, job: &Arc<Job>, took: Option<Duration>, now: Instant) {
        self.begun.retain(|begun| !Arc::ptr_eq(begun, job));
        self.since = now;
        self.took = took.unwrap_or(self.took);
    }

    /// How many jobs the idle threads have begun.
    pub(super) fn running(&self) -> usize {
        self.begun.len()
    }

    /// A job that an idle thread has begun and that still waits for its answer.
    pub(super) fn unfinished(&self) -> Option<&Arc<Job>> {
        self.begun.iter().find(|job| job.is_wanted())
    }

    /// How much longer the idle threads may make no progress on the current work.
    pub(super) fn patience_left(&self, now: Instant) -> Duration {
        let patience = PATIENCE.max(self.took * A_FIFTH);
        patience.saturating_sub(now.saturating_duration_since(self.since))
    }
}

/// Measures the processor time of this thread from a starting point.
#[derive(Debug)]
pub(super) struct Spent {
    began: Instant,
    processor: Option<Duration>,
}

impl Spent {
    pub(super) fn so_far() -> Self {
        Self { began: now(), processor: of_a_processor() }
    }

    /// The processor time used since the start; `None` if the system does not tell.
    pub(super) fn since(&self) -> Option<Duration> {
        Some(of_a_processor()?.saturating_sub(self.processor?))
    }

    /// How long to rest so that at most a fifth of the time was spent working.
    pub(super) fn rest(&self) -> Duration {
        let passed = now().saturating_duration_since(self.began);
        rest(self.since().unwrap_or(passed), passed)
    }
}

/// The real time, even in tests with a fake clock, because this measures the load of the machine.
#[expect(
    clippy::disallowed_methods,
    reason = "the load of a machine can only be measured in real time"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}

fn rest(worked: Duration, passed: Duration) -> Duration {
    (worked * A_FIFTH).saturating_sub(passed)
}

/// The processor time of this thread so far (proc(5), `/proc/thread-self/schedstat`).
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
        // Imported digests take longer and get five times as long.
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
