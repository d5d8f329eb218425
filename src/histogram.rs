//! How long something takes, counted in buckets without a lock.
//!
//! Several threads count at once. A reader may see a measurement that is counted in its bucket and
//! not in the sum yet; Prometheus reads again a few seconds later.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts durations by size.
#[derive(Debug)]
pub struct Histogram {
    /// The upper bounds of the buckets, included in them, in microseconds and in ascending order.
    bounds: &'static [u64],
    /// One count for each bucket, and one for all that is longer.
    counts: Box<[AtomicU64]>,
    /// All durations together, in nanoseconds. That is enough for five centuries.
    sum: AtomicU64,
}

/// The state of a histogram at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// All durations together, in seconds.
    pub sum: f64,
    /// How many there were.
    pub count: u64,
    /// The upper bound of each bucket in seconds, the last one infinite, and how many durations are
    /// in it and in no smaller one.
    pub buckets: Vec<(f64, u64)>,
}

impl Histogram {
    /// An empty histogram with buckets up to `bounds`, in microseconds and in ascending order.
    pub fn new(bounds: &'static [u64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }

    /// Counts one duration.
    pub fn count(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = self.bounds.partition_point(|bound| bound.saturating_mul(1_000) < nanos);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(nanos, Ordering::Relaxed);
    }

    /// What was counted so far.
    #[expect(clippy::cast_precision_loss, reason = "a rounded sum is as good")]
    pub fn read(&self) -> Reading {
        let bounds = self.bounds.iter().map(|bound| *bound as f64 / 1e6);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<_> = bounds.chain([f64::INFINITY]).zip(counts).collect();
        Reading {
            sum: self.sum.load(Ordering::Relaxed) as f64 / 1e9,
            count: buckets.iter().map(|(_, count)| count).sum(),
            buckets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_in_the_smallest_bucket_that_holds_it() {
        let histogram = Histogram::new(&[1_000, 10_000]);
        for micros in [0, 1_000, 1_001, 10_000, 10_001, 90_000_000] {
            histogram.count(Duration::from_micros(micros));
        }
        histogram.count(Duration::from_nanos(1_000_001));
        let Reading { sum, count, buckets } = histogram.read();
        assert_eq!(buckets, [(0.001, 2), (0.01, 3), (f64::INFINITY, 2)]);
        assert_eq!((count, (sum * 1e6).round()), (7, 90_022_002.0 + 1_000.0));
    }
}
