//! What was found in large clusters, for people and for programs.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::{Value, json};

use super::census::{Cause, Silences};
use super::traffic::Traffic;
use super::{Instant, seconds};
use crate::ownership::source::Mode;

/// A cluster in which nothing happens, per second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quiet {
    pub(super) writes: f64,
    pub(super) reads: f64,
    pub(super) events: f64,
    pub(super) messages: f64,
}

impl Quiet {
    pub(super) fn new(traffic: Traffic, messages: u64, span: Instant) -> Self {
        let rate = |count| ratio(count, 1) / seconds(span);
        Self {
            writes: rate(traffic.writes),
            reads: rate(traffic.reads),
            events: rate(traffic.delivered),
            messages: rate(messages),
        }
    }
}

/// A node that died.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failover {
    pub(super) addresses: usize,
    pub(super) took: Instant,
    pub(super) claims: u64,
    pub(super) events: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) seed: u64,
    pub(super) nodes: usize,
    pub(super) vips: usize,
    pub(super) mode: Mode,
    /// Until every address was answered for.
    pub(super) first: Instant,
    pub(super) quiet: Quiet,
    /// Requests in the busiest second after the API server was away.
    pub(super) back: u64,
    pub(super) failover: Failover,
    /// For how long faults happened, and how many.
    pub(super) span: Instant,
    pub(super) faults: u64,
    pub(super) traffic: Traffic,
    pub(super) silences: Vec<(Cause, Silences)>,
}

#[allow(clippy::cast_precision_loss)] // counts are small
fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / b.max(1) as f64
}

impl Report {
    fn each(&self, rate: f64) -> f64 {
        rate / ratio(self.nodes as u64, 1)
    }

    /// What holds for every size.
    pub(super) fn check(&self) {
        let Quiet { writes, reads, events, .. } = self.quiet;
        assert!(self.each(writes) < 1.3, "a node renews once a second: {writes} writes");
        assert!(self.each(reads) < 0.3, "{reads} reads a second");
        assert!(
            self.each(events) < 7.0,
            "a node hears of itself and of four others: {events} events a second"
        );
        let Failover { addresses, claims, .. } = self.failover;
        assert!(claims <= 2 * addresses as u64 + 4, "{claims} claims for {addresses} addresses");
    }

    pub(super) fn json(&self) -> Value {
        let silences: serde_json::Map<String, Value> = self
            .silences
            .iter()
            .map(|(cause, found)| {
                let found = json!({"count": found.count, "total_s": seconds(found.total), "longest_s": seconds(found.longest)});
                (cause.name().to_owned(), found)
            })
            .collect();
        json!({
            "seed": self.seed,
            "nodes": self.nodes,
            "virtualips": self.vips,
            "source": format!("{:?}", self.mode).to_lowercase(),
            "all_answered_after_s": seconds(self.first),
            "quiet_per_s": {
                "writes": self.quiet.writes, "reads": self.quiet.reads,
                "watch_events": self.quiet.events, "messages": self.quiet.messages,
            },
            "busiest_second_after_api_outage_requests": self.back,
            "node_off": {
                "addresses": self.failover.addresses, "silent_s": seconds(self.failover.took),
                "claims": self.failover.claims, "watch_events": self.failover.events,
            },
            "faults": {
                "virtual_s": seconds(self.span), "count": self.faults, "two_owners_s": 0.0,
                "writes_per_s": ratio(self.traffic.writes, 1) / seconds(self.span),
                "reads_per_s": ratio(self.traffic.reads, 1) / seconds(self.span),
                "watch_events_per_s": ratio(self.traffic.delivered, 1) / seconds(self.span),
                "busiest_second_requests": self.traffic.busiest,
                "claims": self.traffic.claims, "claims_won": self.traffic.claimed,
                "unowned": silences,
            },
        })
    }

    fn row(&self) -> Vec<String> {
        let Quiet { writes, reads, events, messages } = self.quiet;
        let Failover { addresses, took, claims, .. } = self.failover;
        vec![
            self.nodes.to_string(),
            self.vips.to_string(),
            format!("{writes:.1}"),
            format!("{reads:.1}"),
            format!("{events:.1}"),
            format!("{:.2}", self.each(writes)),
            format!("{:.2}", self.each(events)),
            format!("{:.1}", self.each(messages)),
            format!("{:.1}", self.each(ratio(self.back, 1))),
            addresses.to_string(),
            format!("{:.1}", seconds(took)),
            format!("{:.2}", ratio(claims, addresses as u64)),
            self.faults.to_string(),
            "0".to_owned(),
            format!("{:.2}", ratio(self.traffic.claims, self.traffic.claimed)),
            format!("{:.1}", self.each(ratio(self.traffic.busiest, 1))),
        ]
    }
}

const HEAD: [[&str; 16]; 2] = [
    [
        "",
        "",
        "quiet:",
        "reads",
        "watch",
        "a node:",
        "watch",
        "mes-",
        "requests",
        "node off:",
        "silent",
        "claims",
        "",
        "two",
        "claims",
        "busiest",
    ],
    [
        "nodes",
        "VIPs",
        "writes/s",
        "/s",
        "events/s",
        "writes/s",
        "events/s",
        "sages/s",
        "when back",
        "addresses",
        "s",
        "each",
        "faults",
        "owners s",
        "per move",
        "s a node",
    ],
];

/// An aligned table; below it what silences come from.
pub(super) fn table(reports: &[Report]) -> String {
    let mut rows: Vec<Vec<String>> = HEAD.iter().map(|row| row.map(str::to_owned).to_vec()).collect();
    rows.extend(reports.iter().map(Report::row));
    let mut text = String::new();
    if let Some(report) = reports.first() {
        let _ = writeln!(text, "rights from {:?}, seed {}", report.mode, report.seed);
    }
    text += &aligned(&rows);
    text += "\nsilent addresses under faults, by cause: how many, seconds on average, the longest\n";
    let mut rows = Vec::new();
    for report in reports {
        for (cause, found) in &report.silences {
            rows.push(vec![
                report.nodes.to_string(),
                report.vips.to_string(),
                cause.name().to_owned(),
                found.count.to_string(),
                format!("{:.2}", seconds(found.total / found.count.max(1))),
                format!("{:.2}", seconds(found.longest)),
            ]);
        }
    }
    text + &aligned(&rows)
}

fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}"));
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// Adds one line for each to a file.
pub(super) fn append(file: &str, reports: &[Report]) {
    let mut file = std::fs::File::options().create(true).append(true).open(file).unwrap();
    for report in reports {
        writeln!(file, "{}", report.json()).unwrap();
    }
}
