//! The matrix of faults, on a cluster of three nodes on this machine, with the client on the wire as judge. What it is told
//! comes from the environment: see `make help`.

mod cells;
#[path = "../../lab/mod.rs"]
#[allow(dead_code, unused_imports)] // Each program uses its part of the lab.
mod lab;
mod random;
mod run;
mod table;

use cells::{FAULTS, Fault, PEERS_FAULTS, Pair};
use lab::{
    Cluster, Plan, Result,
    deploy::{AGENTS, NAMESPACE},
    error::chain,
    keepalived::Keepalived,
    program::{end, number, text},
    slow_api::SlowApi,
    stage::Vip,
};
use random::Random;
use run::Seen;
use std::{process::ExitCode, thread, time::Duration};
use table::Row;

/// In the table, where our rows say where the right comes from.
const KEEPALIVED: &str = "keepalived";

/// The cell of two faults at once.
const TWO: &str = "two faults at random";

/// What to run.
struct Wish {
    runs: usize,
    /// Parts of names; none means all.
    only: Vec<String>,
    sources: Vec<String>,
    seed: u64,
    resume: bool,
    /// Not our agents but others.
    peers: bool,
}

fn main() -> ExitCode {
    lab::enter();
    end("chaos", matrix())
}

/// Whether all was well.
fn matrix() -> Result<bool> {
    let wish = Wish::read()?;
    eprintln!("seed {}; starting three nodes ...", wish.seed);
    let lab = Cluster::start(&Plan::default())?;
    let api = SlowApi::start(&lab)?;
    if wish.peers {
        return matrix_of_keepalived(&lab, &api, &wish);
    }
    lab.deploy()?;
    println!("{}", Row::heading());
    let mut good = true;
    for source in &wish.sources {
        lab.use_source(source)?;
        for name in wish.cells() {
            if wish.resume && table::is_done(name, source, wish.runs)? {
                continue;
            }
            let row = cell(&lab, &api, &wish, name, source)?;
            println!("{}", row.line());
            row.save()?;
            good &= !row.is_bad();
        }
    }
    eprintln!("written to {}", table::file().display());
    Ok(good)
}

/// The cells that make sense for it. Whatever it does is well: it is for comparison.
fn matrix_of_keepalived(lab: &Cluster, api: &SlowApi, wish: &Wish) -> Result<bool> {
    let addresses = Vip::dual("web", 200).addresses;
    let keepalived = Keepalived::start(lab, &addresses, Duration::from_secs(1))?;
    println!("{}", Row::heading());
    for fault in PEERS_FAULTS.iter().filter(|fault| wish.wants(fault.name)) {
        if wish.resume && table::is_done(fault.name, KEEPALIVED, wish.runs)? {
            continue;
        }
        let (mut seen, mut broken) = (Vec::new(), 0);
        for turn in 1..=wish.runs {
            eprintln!("{} ({KEEPALIVED}): {turn} of {}", fault.name, wish.runs);
            match run::once_with_keepalived(lab, api, &keepalived, &addresses, &|scene| {
                while_it_lasts(fault, scene)
            }) {
                Ok(run) => seen.push(run),
                Err(error) => {
                    eprintln!("    NO RESULT: {}", chain(&error));
                    broken += 1;
                    lab.repair()?;
                }
            }
        }
        let row =
            Row { cell: fault.name.to_owned(), source: KEEPALIVED.to_owned(), seed: wish.seed, seen, broken };
        println!("{}", row.line());
        row.save()?;
    }
    eprintln!("written to {}", table::file().display());
    Ok(true)
}

fn while_it_lasts(fault: &Fault, scene: cells::Scene<'_>) -> Result<()> {
    (fault.begin)(scene)?;
    thread::sleep(fault.lasts);
    (fault.lift)(scene)
}

fn cell(lab: &Cluster, api: &SlowApi, wish: &Wish, name: &str, source: &str) -> Result<Row> {
    let mut random = Random::new(wish.seed);
    let (mut seen, mut broken) = (Vec::new(), 0);
    for turn in 1..=wish.runs {
        eprintln!("{name} ({source}): {turn} of {}", wish.runs);
        let fault = FAULTS.iter().find(|fault| fault.name == name);
        match fault.map_or_else(|| two(lab, api, source, &mut random), |fault| one(lab, api, source, fault)) {
            Ok(run) => {
                eprintln!("    {run:?}");
                seen.push(run);
            }
            Err(error) => {
                eprintln!("    NO RESULT: {}", chain(&error));
                broken += 1;
                api.delay(Duration::ZERO);
                lab.repair()?;
                lab.refuse_nothing()?;
            }
        }
    }
    Ok(Row { cell: name.to_owned(), source: source.to_owned(), seed: wish.seed, seen, broken })
}

fn one(lab: &Cluster, api: &SlowApi, source: &str, fault: &Fault) -> Result<Seen> {
    if fault.kills {
        lab.kubectl(&["rollout", "restart", AGENTS, "-n", NAMESPACE])?;
        lab.wait_agents_ready()?;
    }
    run::once(lab, api, source, &|scene| while_it_lasts(fault, scene))
}

fn two(lab: &Cluster, api: &SlowApi, source: &str, random: &mut Random) -> Result<Seen> {
    let pair = Pair::draw(random);
    let [first, second] = pair.faults.map(|fault| fault.name);
    eprintln!("    {first}, after {:?} {second}", pair.after);
    run::once(lab, api, source, &|scene| pair.happen(scene))
}

impl Wish {
    fn read() -> Result<Self> {
        Ok(Self {
            runs: number("N")?.unwrap_or(20),
            only: list("T").unwrap_or_default(),
            sources: list("MODES").unwrap_or_else(|| vec!["both".to_owned()]),
            seed: number("SEED")?.unwrap_or_else(Random::seed),
            resume: text("RESUME").is_some(),
            peers: text("PEERS").is_some(),
        })
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part))
    }

    /// The cells to run, in the order in which they were asked for.
    fn cells(&self) -> Vec<&'static str> {
        let all: Vec<_> = FAULTS.iter().map(|fault| fault.name).chain([TWO]).collect();
        if self.only.is_empty() {
            return all;
        }
        let mut cells = Vec::new();
        for part in &self.only {
            let these: Vec<_> =
                all.iter().filter(|name| name.contains(part) && !cells.contains(*name)).collect();
            cells.extend(these);
        }
        cells
    }
}

fn list(name: &str) -> Option<Vec<String>> {
    text(name).map(|words| words.split(',').map(str::to_owned).collect())
}
