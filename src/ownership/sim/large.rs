//! Large clusters: what they ask of the API server, and from what addresses are silent. `VIRTUALIP_SIZES` says which
//! sizes, as `NODESxVIPS,...`; `VIRTUALIP_SECONDS` for how long each suffers; `VIRTUALIP_SEED` which run.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant as Clock};

use super::census::{Cause, Silences};
use super::outage::{Manner, Outage};
use super::placement::Spec;
use super::report::{Failover, Quiet, Report};
use super::world::{Happening, World};
use super::{MILLI, SECOND, key, seconds, wide_address};
use crate::ownership::source::Mode;
use crate::ownership::timing::{Fence, Timing};

/// For how long what happens.
#[derive(Clone, Copy)]
struct Spans {
    /// Until nodes that own nothing have grown slow and witnesses are chosen.
    settle: u64,
    /// Nothing happens.
    quiet: u64,
    /// The API server is away for all.
    away: u64,
    faults: u64,
}

/// For every test run.
const SHORT: Spans = Spans { settle: 20 * SECOND, quiet: 10 * SECOND, away: 5 * SECOND, faults: 20 * SECOND };
const LONG: Spans = Spans { settle: 30 * SECOND, quiet: 30 * SECOND, away: 30 * SECOND, faults: 60 * SECOND };

/// How long is waited for every address to be answered for.
const PATIENCE: u64 = 120 * SECOND;

struct Run {
    world: World,
    name: String,
    begun: Clock,
}

impl Run {
    fn new(seed: u64, nodes: usize, vips: usize, mode: Mode) -> Self {
        let timing = Timing::new(Duration::from_secs(3), Duration::from_secs(1)).unwrap();
        let mut world = match mode {
            Mode::Lease => World::new(seed, nodes, timing),
            _ => World::talking(seed, nodes, timing.with_witnesses(mode, None, Fence::Exact).unwrap()),
        };
        world.edit(|specs| {
            for vip in 0..vips {
                let addresses = [wide_address(vip)].into();
                let spec = Spec { addresses, created: vip as u64, deleted: false, prefer: None };
                specs.vips.insert(key(vip), spec);
            }
        });
        for node in 0..nodes {
            let at = world.rng.between(0, SECOND);
            world.at(at, Happening::Start(node));
        }
        world.count(vips);
        Self {
            world,
            name: format!("{nodes} nodes, {vips} VIPs, {mode:?}, seed {seed}"),
            begun: Clock::now(),
        }
    }

    fn say(&self, what: &str) {
        eprintln!(
            "{}: {:.0} s of its time, {:.0} s of ours: {what}",
            self.name,
            seconds(self.world.now),
            self.begun.elapsed().as_secs_f64()
        );
    }

    /// Lets time pass, forgets what nobody needs, and stops at a failure.
    fn pass(&mut self, span: u64) {
        let end = self.world.now + span;
        while self.world.now < end {
            self.world.run((self.world.now + SECOND).min(end));
            self.world.forget();
            if let Some(failure) = &self.world.failure {
                panic!("{}: {failure}", self.name);
            }
        }
    }

    fn silent(&self) -> usize {
        self.world.census.as_ref().unwrap().silent()
    }

    /// Waits until every address is answered for, and says how long that took.
    fn answered(&mut self) -> u64 {
        let start = self.world.now;
        while self.silent() > 0 {
            assert!(
                self.world.now < start + PATIENCE,
                "{}: {} addresses stay silent",
                self.name,
                self.silent()
            );
            self.pass(100 * MILLI);
        }
        self.world.now - start
    }

    fn quiet(&mut self, span: u64) -> Quiet {
        let (before, messages) = (self.world.traffic, self.world.messages);
        self.pass(span);
        Quiet::new(self.world.traffic.since(&before), self.world.messages - messages, span)
    }

    /// The API server refuses connections, then all come back at once.
    fn outage(&mut self, span: u64) -> u64 {
        self.world.go_away(Outage { until: self.world.now + span, manner: Manner::Down });
        self.pass(span);
        self.world.traffic.forget_busiest();
        self.pass(10 * SECOND);
        self.world.traffic.busiest
    }

    /// One node that owns something is powered off.
    fn failover(&mut self) -> Failover {
        let before = self.world.traffic;
        let owner = self.world.census.as_ref().unwrap().owner(0).unwrap();
        let addresses = self.world.nodes[owner].kernel.up.len();
        self.world.power_off(owner);
        self.pass(500 * MILLI);
        let took = 500 * MILLI + self.answered();
        let traffic = self.world.traffic.since(&before);
        self.world.at(self.world.now, Happening::Start(owner));
        self.pass(20 * SECOND);
        Failover { addresses, took, claims: traffic.claims, events: traffic.delivered }
    }

    fn suffer(&mut self, span: u64) -> Vec<(Cause, Silences)> {
        self.world.census.as_mut().unwrap().silences.clear();
        self.world.faulty = true;
        self.world.at(self.world.now, Happening::Fault);
        let mut left = span;
        while left > 0 {
            let part = left.min(60 * SECOND);
            self.pass(part);
            left -= part;
            self.say(&format!("{} faults so far", self.world.faults));
        }
        self.world.recover();
        self.pass(MILLI);
        self.answered();
        self.world.census.as_ref().unwrap().silences.clone().into_iter().collect()
    }
}

fn run(seed: u64, nodes: usize, vips: usize, mode: Mode, spans: Spans) -> Report {
    let mut run = Run::new(seed, nodes, vips, mode);
    let first = run.answered();
    run.say("every address is answered for");
    run.pass(spans.settle);
    let quiet = run.quiet(spans.quiet);
    run.say("quiet");
    let back = run.outage(spans.away);
    run.answered();
    run.say("the API server was away");
    let failover = run.failover();
    run.say("a node was powered off");
    let before = run.world.traffic;
    let silences = run.suffer(spans.faults);
    run.say("faults are over");
    let traffic = run.world.traffic.since(&before);
    Report {
        seed,
        nodes,
        vips,
        mode,
        first,
        quiet,
        back,
        failover,
        span: spans.faults,
        faults: run.world.faults,
        traffic,
        silences,
    }
}

fn sizes() -> Option<Vec<(usize, usize)>> {
    let text = std::env::var("VIRTUALIP_SIZES").ok()?;
    let size = |text: &str| {
        let (nodes, vips) = text.split_once('x').unwrap();
        (nodes.parse().unwrap(), vips.parse().unwrap())
    };
    Some(text.split(',').map(size).collect())
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn what_a_cluster_asks_of_the_api_server_grows_with_its_nodes_and_not_with_their_square() {
    let asked = sizes();
    let small = || vec![(4, 8), (8, 8)];
    // One that nobody has seen before: RandomState draws its key anew in each process.
    let random = RandomState::new().hash_one("large") >> 1;
    let seeds = match (number("VIRTUALIP_SEED"), &asked) {
        (Some(seed), _) => vec![seed],
        (None, Some(_)) => vec![1],
        (None, None) => vec![1, random],
    };
    let mut spans = if asked.is_some() { LONG } else { SHORT };
    if let Some(seconds) = number("VIRTUALIP_SECONDS") {
        spans.faults = seconds * SECOND;
    }
    println!("seeds {seeds:?}");
    for seed in seeds {
        for mode in [Mode::Lease, Mode::Both] {
            let mut reports = Vec::new();
            for (nodes, vips) in asked.clone().unwrap_or_else(small) {
                reports.push(run(seed, nodes, vips, mode, spans));
            }
            println!("{}", super::report::table(&reports));
            if let Ok(file) = std::env::var("VIRTUALIP_JSON") {
                super::report::append(&file, &reports);
            }
            for report in &reports {
                report.check();
            }
        }
    }
}

#[test]
fn a_seed_reproduces_a_run() {
    let once = || run(7, 3, 6, Mode::Both, SHORT).json().to_string();
    assert_eq!(once(), once());
}
