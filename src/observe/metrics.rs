//! What an agent counts and measures. The names are an interface: dashboards and alerts use them.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

pub use super::labels::{
    Announcement, AnnouncementLabels, ApiLabels, ApiWrite, ApiWriteLabels, Direction, HandoverLabels,
    KernelLabels, Operation, Outcome, Source, SourceLabels,
};
use super::right::Right;
use crate::ownership::Mode;

/// All metrics of an agent. Clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// This node began to answer for a `VirtualIP`, however it came to it.
    pub moves: Counter,
    /// Claims that succeeded: nobody held it, or its holder was dead.
    pub claims: Counter,
    /// Handovers, completed.
    pub handovers: Family<HandoverLabels, Counter>,
    /// This node's right ended before it was renewed.
    pub lapses: Counter,
    /// Dead nodes that this one closed.
    pub closes: Counter,
    /// `VirtualIP`s that this node answers for.
    pub held: Gauge,
    /// 1 where the fence is exact, 0 where the kernel's lifetimes are the fence.
    pub fence_exact: Gauge,
    /// Until when this node may answer.
    pub right: Right,
    /// One for the source of the right, zero for the others.
    sources: Family<SourceLabels, Gauge>,
    /// Promises that witnesses were asked for; those that came are counted by their round trip.
    pub promises_asked: Counter,
    round_trip: Histogram,
    /// See [`Metrics::wrote`].
    api_writes: Family<ApiWriteLabels, Counter>,
    api_latency: Family<ApiLabels, Histogram>,
    announcements: Family<AnnouncementLabels, Counter>,
    /// Claims of an address by a host outside the cluster, as heard on the wire.
    pub conflicts: Counter,
    kernel_operations: Family<KernelLabels, Counter>,
    loop_lateness: Histogram,
    /// 1 where the loop runs before ordinary programs.
    pub loop_realtime: Gauge,
    /// 1 where the agent's memory stays in RAM.
    pub memory_locked: Gauge,
    /// Events that were not sent: too many, or the API server was away.
    pub events_dropped: Counter,
}

/// A registry with the metrics of an agent.
#[must_use]
pub fn registry() -> (Metrics, Registry) {
    let mut registry = Registry::default();
    (Metrics::register(&mut registry), registry)
}

impl Metrics {
    /// Makes the metrics and enters them into `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::new();
        registry.register_collector(Box::new(metrics.right.clone()));
        let registry = registry.sub_registry_with_prefix("virtualip");
        metrics.register_ownership(registry);
        metrics.register_effects(registry);
        metrics
    }

    fn new() -> Self {
        // From 1 ms, a write to a healthy API server nearby, to 8 s, when a call was given up long ago.
        let latency = || Histogram::new(exponential_buckets(0.001, 2.0, 14));
        Self {
            moves: Counter::default(),
            claims: Counter::default(),
            handovers: Family::default(),
            lapses: Counter::default(),
            closes: Counter::default(),
            held: Gauge::default(),
            fence_exact: Gauge::default(),
            right: Right::default(),
            sources: Family::default(),
            promises_asked: Counter::default(),
            // From 0.1 ms, a quiet network, to 1.6 s, when promises end.
            round_trip: Histogram::new(exponential_buckets(0.0001, 2.0, 15)),
            api_writes: Family::default(),
            api_latency: Family::new_with_constructor(latency),
            announcements: Family::default(),
            conflicts: Counter::default(),
            kernel_operations: Family::default(),
            // From 0.1 ms, a quiet machine, to 1.6 s, when rights end.
            loop_lateness: Histogram::new(exponential_buckets(0.0001, 2.0, 15)),
            loop_realtime: Gauge::default(),
            memory_locked: Gauge::default(),
            events_dropped: Counter::default(),
        }
    }

    fn register_ownership(&self, registry: &mut Registry) {
        registry.register("moves", "VirtualIPs that this node began to answer for", self.moves.clone());
        registry.register(
            "claims",
            "VirtualIPs that this node took because nobody living held them",
            self.claims.clone(),
        );
        registry.register("handovers", "VirtualIPs handed over between living nodes", self.handovers.clone());
        registry.register(
            "lapses",
            "Times that this node stopped answering because its right ended without a renewal",
            self.lapses.clone(),
        );
        registry.register("closes", "Dead nodes whose Lease this node closed", self.closes.clone());
        registry.register("held", "VirtualIPs that this node answers for", self.held.clone());
        registry.register(
            "fence_exact",
            "1 where the kernel keeps an exact deadline for this node's addresses, 0 where it only has lifetimes",
            self.fence_exact.clone(),
        );
        registry.register(
            "right_source",
            "1 for where this node's right to answer comes from: lease, both or witness",
            self.sources.clone(),
        );
        registry.register(
            "promises_asked",
            "Promises that witnesses were asked for; virtualip_promise_round_trip_seconds_count came",
            self.promises_asked.clone(),
        );
        registry.register_with_unit(
            "promise_round_trip",
            "Time from asking a witness until its promise came",
            Unit::Seconds,
            self.round_trip.clone(),
        );
    }

    fn register_effects(&self, registry: &mut Registry) {
        registry.register(
            "api_writes",
            "Writes to the API server, by kind and outcome; in steady state only node_lease grows",
            self.api_writes.clone(),
        );
        registry.register_with_unit(
            "api_write_latency",
            "Time until the API server answered a write",
            Unit::Seconds,
            self.api_latency.clone(),
        );
        registry.register(
            "announcements",
            "Gratuitous ARP packets and unsolicited neighbour advertisements sent",
            self.announcements.clone(),
        );
        registry.register(
            "conflicts",
            "Packets heard in which a host outside the cluster claims an address that this node holds",
            self.conflicts.clone(),
        );
        registry.register(
            "kernel_operations",
            "Changes of this node's addresses asked of the kernel, by operation and outcome",
            self.kernel_operations.clone(),
        );
        registry.register_with_unit(
            "loop_lateness",
            "How much later than due the agent's loop woke; rights are lost when this nears their length",
            Unit::Seconds,
            self.loop_lateness.clone(),
        );
        registry.register(
            "loop_realtime",
            "1 where the agent's loop has real-time priority, 0 where it waits among ordinary programs",
            self.loop_realtime.clone(),
        );
        registry.register(
            "memory_locked",
            "1 where the agent's memory is locked and never waits for a disk, 0 where it may",
            self.memory_locked.clone(),
        );
        registry.register(
            "events_dropped",
            "Kubernetes Events that were not sent, because there were too many or the API server was away",
            self.events_dropped.clone(),
        );
    }

    /// A write to the API server was answered, or given up, after `took`.
    pub fn wrote(&self, kind: ApiWrite, outcome: Outcome, took: Duration) {
        self.api_writes.get_or_create(&ApiWriteLabels { kind, outcome }).inc();
        self.api_latency.get_or_create(&ApiLabels { kind }).observe(took.as_secs_f64());
    }

    /// The right comes from there now.
    pub fn source(&self, now: Mode) {
        for (source, mode) in
            [(Source::Lease, Mode::Lease), (Source::Both, Mode::Both), (Source::Witness, Mode::Witness)]
        {
            self.sources.get_or_create(&SourceLabels { source }).set(i64::from(mode == now));
        }
    }

    /// A promise came so long after it was asked for.
    pub fn promised(&self, after: Duration) {
        self.round_trip.observe(after.as_secs_f64());
    }

    /// A handover is complete.
    pub fn handed_over(&self, direction: Direction) {
        self.handovers.get_or_create(&HandoverLabels { direction }).inc();
    }

    /// The kernel was asked to change an address.
    pub fn kernel(&self, operation: Operation, outcome: Outcome) {
        self.kernel_operations.get_or_create(&KernelLabels { operation, outcome }).inc();
    }

    /// An announcement was sent.
    pub fn announced(&self, protocol: Announcement) {
        self.announcements.get_or_create(&AnnouncementLabels { protocol }).inc();
    }

    /// The agent's loop woke so much later than it should have.
    pub fn late(&self, by: Duration) {
        self.loop_lateness.observe(by.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrape(registry: &Registry) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
        text
    }

    #[test]
    fn what_happened_is_read_under_its_documented_name() {
        let (metrics, registry) = registry();
        metrics.moves.inc();
        metrics.claims.inc();
        metrics.handed_over(Direction::Given);
        metrics.lapses.inc();
        metrics.closes.inc();
        metrics.held.set(7);
        metrics.fence_exact.set(1);
        metrics.wrote(ApiWrite::NodeLease, Outcome::Ok, Duration::from_millis(3));
        metrics.announced(Announcement::Arp);
        metrics.conflicts.inc();
        metrics.kernel(Operation::Remove, Outcome::Error);
        metrics.late(Duration::from_micros(200));
        metrics.source(Mode::Both);
        metrics.promises_asked.inc();
        metrics.promised(Duration::from_micros(200));
        let text = scrape(&registry);
        for line in [
            "virtualip_moves_total 1",
            "virtualip_claims_total 1",
            "virtualip_handovers_total{direction=\"given\"} 1",
            "virtualip_lapses_total 1",
            "virtualip_closes_total 1",
            "virtualip_held 7",
            "virtualip_fence_exact 1",
            "virtualip_right_remaining_seconds 0.0",
            "virtualip_api_writes_total{kind=\"node_lease\",outcome=\"ok\"} 1",
            "virtualip_api_write_latency_seconds_count{kind=\"node_lease\"} 1",
            "virtualip_announcements_total{protocol=\"arp\"} 1",
            "virtualip_conflicts_total 1",
            "virtualip_kernel_operations_total{operation=\"remove\",outcome=\"error\"} 1",
            "virtualip_loop_lateness_seconds_count 1",
            "virtualip_loop_realtime 0",
            "virtualip_memory_locked 0",
            "virtualip_events_dropped_total 0",
            "virtualip_right_source{source=\"lease\"} 0",
            "virtualip_right_source{source=\"both\"} 1",
            "virtualip_promises_asked_total 1",
            "virtualip_promise_round_trip_seconds_count 1",
        ] {
            assert!(text.lines().any(|seen| seen == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn every_metric_explains_itself() {
        let (_metrics, registry) = registry();
        let text = scrape(&registry);
        let named = |kind: &str| text.lines().filter(|line| line.starts_with(kind)).count();
        assert_eq!(named("# HELP"), named("# TYPE"));
        assert!(
            text.lines().filter(|line| line.starts_with("# HELP")).all(|line| line.split(' ').count() > 5)
        );
    }
}
