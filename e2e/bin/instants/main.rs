//! The owner's agent is stopped or killed at random instants, again and again, and the client on the wire says when the
//! node answered for the last time: before the deadline that stood in its kernel, or after. What to do comes from the
//! environment: see `make help`.

#[path = "../../lab/mod.rs"]
#[allow(dead_code, unused_imports)] // Each program uses its part of the lab.
mod lab;
mod once;
#[path = "../chaos/random.rs"]
mod random;
mod tally;

use lab::{
    Cluster, Plan, Result,
    program::{self, number, text},
    stage::{Stage, Vip},
};
use once::{Fate, Instant};
use random::Random;
use std::process::ExitCode;
use tally::Tally;

/// So many instants are seen by one observer, and saved together.
const BATCH: usize = 20;

fn main() -> ExitCode {
    program::main("instants", all)
}

/// Whether all was well.
fn all() -> Result<bool> {
    let wanted = number("N")?.unwrap_or(200);
    let mut tally = if text("RESUME").is_some() { Tally::load()? } else { Tally::default() };
    let seed = number("SEED")?.unwrap_or_else(Random::seed);
    let source = text("SOURCE").unwrap_or_else(|| "witness".to_owned());
    let mut random = Random::new(seed);
    eprintln!("seed {seed}; {} instants are done; starting three nodes ...", tally.count());
    let lab = Cluster::start(&Plan::default())?;
    lab.deploy()?;
    lab.use_source(&source)?;
    while tally.count() < wanted {
        batch(&lab, &mut random, BATCH.min(wanted - tally.count()), &mut tally)?;
        tally.save()?;
    }
    println!("{:#}", tally.summary());
    Ok(tally.is_good())
}

fn batch(lab: &Cluster, random: &mut Random, count: usize, tally: &mut Tally) -> Result<()> {
    lab.wait_agents_ready()?;
    let vip = Vip::dual("web", 200);
    let stage = Stage::set(lab, vec![vip.clone()])?;
    let mut owner = stage.owner.clone();
    let mut instants: Vec<Instant> = Vec::new();
    for _ in 0..count {
        let fate = if random.below(2) == 0 { Fate::Stopped } else { Fate::Killed };
        // Where another agent is not whole yet nobody could take over.
        lab.wait_witnesses()?;
        let wait = random.below(once::SPREAD_US);
        let (instant, next) = once::happen(lab, &vip, &owner, fate, wait)?;
        instants.push(instant);
        owner = next;
    }
    let verdict = stage.end()?.verdict;
    tally.add(&vip, &verdict, &instants)
}
