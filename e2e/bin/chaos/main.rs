//! The matrix of faults, on a cluster of three nodes on this machine, with the client on the wire as judge. What it is told
//! comes from the environment: see `make help`.

mod cells;
#[path = "../../lab/mod.rs"]
#[allow(dead_code, unused_imports)] // Each program uses its part of the lab.
mod lab;
mod random;
mod run;
mod subject;
mod table;

use cells::{FAULTS, Fault, Pair};
use lab::{
    Cluster, Plan, Result,
    error::{Error, chain},
    program::{self, number, text},
    slow_api::SlowApi,
};
use random::Random;
use run::Seen;
use std::{process::ExitCode, thread, time::Duration};
use subject::{Agents, Subject};
use table::Row;

/// The cell of two faults at once.
const TWO: &str = "two faults at random";

/// What to run.
struct Wish {
    runs: usize,
    /// The names of the cells.
    cells: Vec<&'static str>,
    sources: Vec<String>,
    seed: u64,
    resume: bool,
    /// Not our agents but others.
    peers: bool,
}

fn main() -> ExitCode {
    program::main("chaos", matrix)
}

/// Whether all was well.
fn matrix() -> Result<bool> {
    let wish = Wish::read()?;
    println!("{}", Row::heading());
    let good = if wish.peers { of_others(&wish)? } else { of_ours(&wish)? };
    eprintln!("written to {}", table::file().display());
    Ok(good)
}

fn of_ours(wish: &Wish) -> Result<bool> {
    let (lab, api) = three_nodes(wish)?;
    lab.deploy()?;
    let mut good = true;
    for source in &wish.sources {
        lab.use_source(source)?;
        good &= cells_of(&lab, &api, wish, &Agents(source.clone()))?;
    }
    Ok(good)
}

/// Each on a cluster of its own. Whatever they do is well: it is for comparison.
fn of_others(wish: &Wish) -> Result<bool> {
    for start in subject::others() {
        let (lab, api) = three_nodes(wish)?;
        let subject = start(&lab)?;
        cells_of(&lab, &api, wish, subject.as_ref())?;
    }
    Ok(true)
}

fn three_nodes(wish: &Wish) -> Result<(Cluster, SlowApi)> {
    eprintln!("seed {}; starting three nodes ...", wish.seed);
    let lab = Cluster::start(&Plan::default())?;
    let api = SlowApi::start(&lab)?;
    Ok((lab, api))
}

/// Every cell that was asked for; whether all was well.
fn cells_of(lab: &Cluster, api: &SlowApi, wish: &Wish, subject: &dyn Subject) -> Result<bool> {
    let mut good = true;
    for &name in &wish.cells {
        let fault = FAULTS.iter().find(|fault| fault.name == name);
        let is_for_others = fault.is_some_and(|fault| !fault.suits(subject));
        if is_for_others || wish.resume && table::is_done(name, subject.name(), wish.runs)? {
            continue;
        }
        let row = cell(lab, api, wish, name, subject)?;
        println!("{}", row.line());
        row.save()?;
        good &= !row.is_bad();
    }
    Ok(good)
}

fn while_it_lasts(fault: &Fault, scene: cells::Scene<'_>) -> Result<()> {
    (fault.begin)(scene)?;
    thread::sleep(fault.lasts);
    (fault.lift)(scene)
}

fn cell(lab: &Cluster, api: &SlowApi, wish: &Wish, name: &str, subject: &dyn Subject) -> Result<Row> {
    let mut random = Random::new(wish.seed);
    let (mut seen, mut broken) = (Vec::new(), 0);
    let fault = FAULTS.iter().find(|fault| fault.name == name);
    for turn in 1..=wish.runs {
        eprintln!("{name} ({}): {turn} of {}", subject.name(), wish.runs);
        match fault.map_or_else(|| two(lab, api, subject, &mut random), |fault| one(lab, api, subject, fault))
        {
            Ok(run) => {
                eprintln!("    {run}");
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
    Ok(Row { cell: name.to_owned(), source: subject.name().to_owned(), seed: wish.seed, seen, broken })
}

fn one(lab: &Cluster, api: &SlowApi, subject: &dyn Subject, fault: &Fault) -> Result<Seen> {
    if fault.kills {
        subject.renew(lab)?;
    }
    run::once(lab, api, subject, &|scene| while_it_lasts(fault, scene))
}

fn two(lab: &Cluster, api: &SlowApi, subject: &dyn Subject, random: &mut Random) -> Result<Seen> {
    let pair = Pair::draw(random, subject);
    let [first, second] = pair.faults.map(|fault| fault.name);
    eprintln!("    {first}, after {:?} {second}", pair.after);
    run::once(lab, api, subject, &|scene| pair.happen(scene))
}

impl Wish {
    fn read() -> Result<Self> {
        Ok(Self {
            runs: number("N")?.unwrap_or(20),
            cells: cells(&list("T").unwrap_or_default())?,
            sources: list("MODES").unwrap_or_else(|| vec!["both".to_owned()]),
            seed: number("SEED")?.unwrap_or_else(Random::seed),
            resume: text("RESUME").is_some(),
            peers: text("PEERS").is_some(),
        })
    }
}

/// The cells whose names contain one of these parts, in the order in which they were asked for; all where none is. A part that is in
/// no name would be a cell that nobody misses.
fn cells(parts: &[String]) -> Result<Vec<&'static str>> {
    let all: Vec<_> = FAULTS.iter().map(|fault| fault.name).chain([TWO]).collect();
    if parts.is_empty() {
        return Ok(all);
    }
    let mut cells = Vec::new();
    for part in parts {
        let these: Vec<_> = all.iter().copied().filter(|name| name.contains(part)).collect();
        if these.is_empty() {
            let all = all.join(", ");
            return Err(Error::other(format!("no cell is called anything like {part:?}; there are {all}")));
        }
        for name in these {
            if !cells.contains(&name) {
                cells.push(name);
            }
        }
    }
    Ok(cells)
}

fn list(name: &str) -> Option<Vec<String>> {
    text(name).map(|words| words.split(',').map(str::to_owned).collect())
}
