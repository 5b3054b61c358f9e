//! Datagrams between agents, as the socket counts them.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use crate::mesh::{Counts, Reject};

/// Reads the socket's counters when it is asked.
#[derive(Clone, Debug)]
pub struct Datagrams(Counts);

impl Datagrams {
    /// The metrics of these counters.
    #[must_use]
    pub fn new(counts: Counts) -> Self {
        Self(counts)
    }
}

impl Collector for Datagrams {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let figures = self.0.figures();
        let mut plain = |name: &str, help: &str, value: u64| {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(value).encode(metric)
        };
        plain("virtualip_datagrams_sent", "Datagrams sent to agents of other nodes", figures.sent)?;
        plain(
            "virtualip_datagrams_unsent",
            "Datagrams that the kernel of this node refused to send, for want of a route or by a filter",
            figures.unsent,
        )?;
        plain(
            "virtualip_datagrams_received",
            "Authentic new datagrams from agents of other nodes",
            figures.received,
        )?;
        let help = "Datagrams that were dropped unanswered, by reason";
        let mut rejected =
            encoder.encode_descriptor("virtualip_datagrams_rejected", help, None, MetricType::Counter)?;
        for reason in Reject::ALL {
            let labels = [("reason", reason.name())];
            ConstCounter::new(figures.rejected[reason.index()]).encode(rejected.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::registry::Registry;

    #[test]
    fn every_reason_has_a_line_from_the_start() {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Datagrams::new(Counts::default())));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "virtualip_datagrams_sent_total 0",
            "virtualip_datagrams_received_total 0",
            "virtualip_datagrams_rejected_total{reason=\"forged\"} 0",
            "virtualip_datagrams_rejected_total{reason=\"replayed\"} 0",
        ] {
            assert!(text.lines().any(|seen| seen == line), "{line} in\n{text}");
        }
    }
}
