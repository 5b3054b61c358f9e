//! The rest of this node's right, computed when it is asked for: a gauge that nobody sets cannot lie.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::network::clock;
use crate::ownership::Time;

/// Until when this node may answer. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Right(Arc<AtomicU64>);

impl Right {
    /// The right runs until this moment.
    pub fn set(&self, until: Time) {
        self.0.store(until.0, Ordering::Relaxed);
    }

    /// There is none.
    pub fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// What is left of it at `now`; zero when it has ended.
    #[must_use]
    pub fn rest(&self, now: Time) -> Duration {
        Time(self.0.load(Ordering::Relaxed)).since(now)
    }
}

impl Collector for Right {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let boot = clock::now().map_err(|_| fmt::Error)?;
        let rest = self.rest(Time::from_boot(boot));
        let help = "Seconds until this node would have to stop answering, without another renewal";
        let metric =
            encoder.encode_descriptor("virtualip_right_remaining_seconds", help, None, MetricType::Gauge)?;
        ConstGauge::new(rest.as_secs_f64()).encode(metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_shrinks_with_time_and_ends_at_zero() {
        let right = Right::default();
        assert_eq!(right.rest(Time(0)), Duration::ZERO);
        right.set(Time::from_boot(Duration::from_secs(10)));
        assert_eq!(right.rest(Time::from_boot(Duration::from_secs(7))), Duration::from_secs(3));
        assert_eq!(right.rest(Time::from_boot(Duration::from_secs(11))), Duration::ZERO);
        right.clear();
        assert_eq!(right.rest(Time::from_boot(Duration::from_secs(7))), Duration::ZERO);
    }
}
