//! Events about unknown names, summed by the hour until they are written.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::event::{Event, What};
use crate::domain::time::Timestamp;

/// Events about unknown names that are not in the stored sums yet. A crash loses them, but not the
/// failures, which are records.
#[derive(Debug, Default)]
pub(super) struct Unsummed(Mutex<Vec<Sum>>);

/// How many events of one kind there were in an hour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sum {
    pub(super) hour: Timestamp,
    pub(super) what: What,
    pub(super) times: u64,
}

impl Unsummed {
    pub(super) fn add(&self, sum: Sum) {
        let mut sums = self.sums();
        // A few kinds in an hour at most, so the list stays short even if nothing can be written.
        match sums.iter_mut().find(|one| (one.hour, one.what) == (sum.hour, sum.what)) {
            Some(one) => one.times = one.times.saturating_add(sum.times),
            None => sums.push(sum),
        }
    }

    pub(super) fn take(&self) -> Vec<Sum> {
        std::mem::take(&mut *self.sums())
    }

    fn sums(&self) -> MutexGuard<'_, Vec<Sum>> {
        // No code that can panic runs under this lock, so a poisoned lock is safe to use.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sum {
    /// The sum to which this event adds one.
    pub(super) fn of(event: &Event) -> Self {
        const HOUR: u64 = 3_600_000;
        let hour = Timestamp::from_millis(event.at.millis() - event.at.millis() % HOUR);
        Self { hour, what: event.what, times: 1 }
    }

    /// The key of its record.
    pub(super) fn key(self) -> [u8; 16] {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&self.hour.millis().to_be_bytes());
        // No batch has this many events, so the key sorts after all others of its time.
        key[8] = u8::MAX;
        let what = minicbor::to_vec(self.what).unwrap_or_default();
        for (byte, of_what) in key[9..].iter_mut().zip(what) {
            *byte = of_what;
        }
        key
    }
}
