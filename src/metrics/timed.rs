//! A histogram of durations as a metric.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

use crate::histogram::Histogram;

/// Counts durations by size.
#[derive(Clone, Debug)]
pub(super) struct Timed(Arc<Histogram>);

impl Timed {
    /// With buckets up to `bounds`, in microseconds and in ascending order.
    pub(super) fn new(bounds: &'static [u64]) -> Self {
        Self(Arc::new(Histogram::new(bounds)))
    }

    pub(super) fn count(&self, took: Duration) {
        self.0.count(took);
    }

    pub(super) fn histogram(&self) -> Arc<Histogram> {
        Arc::clone(&self.0)
    }
}

impl TypedMetric for Timed {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Timed {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let read = self.0.read();
        encoder.encode_histogram::<NoLabelSet>(read.sum, read.count, &read.buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}
