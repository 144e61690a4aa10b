//! A histogram that many threads add to without waiting for each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Upper bounds, in microseconds: three steps for each factor of ten.
const BOUNDS: [u64; 16] = [
    200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    2_000_000, 5_000_000, 10_000_000, 60_000_000,
];

/// Durations by how long they are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buckets(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// The last is of what is over every bound.
    counts: [AtomicU64; BOUNDS.len() + 1],
    sum_us: AtomicU64,
}

/// How long something took, between two looks at it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// How often it happened.
    pub count: u64,
    /// Half of them took at most so long.
    pub p50: Duration,
    /// 99 of 100 took at most so long.
    pub p99: Duration,
}

/// How the counts stood at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stand([u64; BOUNDS.len() + 1]);

impl Buckets {
    pub(crate) fn observe(&self, took: Duration) {
        self.observe_many(took, 1);
    }

    pub(crate) fn observe_many(&self, took: Duration, count: u64) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX / 4);
        let place = BOUNDS.partition_point(|bound| *bound < us);
        self.0.counts[place].fetch_add(count, Ordering::Relaxed);
        self.0.sum_us.fetch_add(us.saturating_mul(count), Ordering::Relaxed);
    }

    pub(crate) fn stand(&self) -> Stand {
        Stand(std::array::from_fn(|place| self.0.counts[place].load(Ordering::Relaxed)))
    }
}

impl Stand {
    /// What came since an earlier stand. A quantile is the bound above it, or between two
    /// bounds in proportion.
    pub(crate) fn since(&self, earlier: &Self) -> Quantiles {
        let new: [u64; BOUNDS.len() + 1] =
            std::array::from_fn(|place| self.0[place].saturating_sub(earlier.0[place]));
        let count = new.iter().sum();
        Quantiles { count, p50: quantile(&new, count, 50), p99: quantile(&new, count, 99) }
    }
}

fn quantile(counts: &[u64; BOUNDS.len() + 1], count: u64, percent: u64) -> Duration {
    if count == 0 {
        return Duration::ZERO;
    }
    let rank = (count * percent).div_ceil(100);
    let mut below = 0;
    for (place, &here) in counts.iter().enumerate() {
        if below + here >= rank {
            let low = if place == 0 { 0 } else { BOUNDS[place - 1] };
            let Some(&high) = BOUNDS.get(place) else { return Duration::from_micros(low) };
            return Duration::from_micros(low + (high - low) * (rank - below) / here);
        }
        below += here;
    }
    Duration::ZERO
}

impl EncodeMetric for Buckets {
    fn encode(&self, mut encoder: MetricEncoder) -> Result<(), std::fmt::Error> {
        let Stand(counts) = self.stand();
        let bounds = BOUNDS.iter().map(|bound| seconds(*bound)).chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let sum = seconds(self.0.sum_us.load(Ordering::Relaxed));
        encoder.encode_histogram::<NoLabelSet>(sum, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for Buckets {
    const TYPE: MetricType = MetricType::Histogram;
}

#[expect(clippy::cast_precision_loss, reason = "a sum of durations is no account")]
fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_what_came_between_two_stands() {
        let buckets = Buckets::default();
        buckets.observe_many(Duration::from_secs(50), 1_000);
        let before = buckets.stand();
        assert_eq!(buckets.stand().since(&before), Quantiles::default());
        buckets.observe_many(Duration::from_micros(700), 98);
        buckets.observe_many(Duration::from_millis(30), 2);
        let Quantiles { count, p50, p99 } = buckets.stand().since(&before);
        assert_eq!(count, 100);
        assert!(p50 > Duration::from_micros(500) && p50 <= Duration::from_millis(1), "{p50:?}");
        assert!(p99 > Duration::from_millis(20) && p99 <= Duration::from_millis(50), "{p99:?}");
        buckets.observe_many(Duration::from_hours(1), 1_000_000);
        assert_eq!(buckets.stand().since(&before).p99, Duration::from_secs(60));
    }
}
