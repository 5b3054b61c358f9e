//! The lab on the command line.

#[path = "../lab/mod.rs"]
#[allow(dead_code, unused_imports)] // Each program uses its part of the lab.
mod lab;

use clap::{Parser, Subcommand};
use lab::{Cluster, Plan, error::chain, programs, state::State};
use std::{process::ExitCode, time::Instant};

/// A real Kubernetes cluster on this machine, in namespaces.
#[derive(Parser)]
#[command(name = "lab", version)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a cluster and leave it running
    Up {
        /// How many nodes
        #[arg(long, default_value_t = 3)]
        nodes: usize,
    },
    /// End every cluster that was left running
    Down,
    /// Say where the programs of the cluster are kept, after building those that are missing
    Programs,
}

fn main() -> ExitCode {
    lab::enter();
    let done = match Options::parse().command {
        Command::Up { nodes } => up(nodes),
        Command::Down => down(),
        Command::Programs => list_programs(),
    };
    done.map_or_else(
        |error| {
            eprintln!("lab: {}", chain(&error));
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

fn up(nodes: usize) -> lab::Result<()> {
    let start = Instant::now();
    let cluster = Cluster::start(&Plan::of(nodes))?;
    println!("{nodes} nodes Ready after {:.1} s", start.elapsed().as_secs_f32());
    println!("{}", cluster.kubectl(&["get", "nodes", "-o", "wide"])?);
    let dir = cluster.keep()?;
    println!("files and logs: {}", dir.display());
    Ok(())
}

fn down() -> lab::Result<()> {
    State::all().iter().try_for_each(State::end)
}

fn list_programs() -> lab::Result<()> {
    programs::Programs::ready()?;
    programs::caches()?.iter().for_each(|cache| println!("{}", cache.display()));
    Ok(())
}
