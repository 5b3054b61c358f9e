//! A client host on the wire that asks for addresses and notes who answers: the judge of the end-to-end tests.

mod args;
mod ask;
mod judge;
#[cfg(test)]
mod namespaces;
mod session;
mod wire;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use clap::Parser;
use nix::sys::signal::{SigSet, Signal};

fn main() -> ExitCode {
    let Err(error) = run() else { return ExitCode::SUCCESS };
    eprintln!("observer: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  because: {error}");
        cause = error.source();
    }
    ExitCode::FAILURE
}

fn run() -> Result<(), Box<dyn Error>> {
    let plan = args::Args::parse().plan();
    let stop = stop_on_signals()?;
    let report = session::observe(&plan, &stop, || eprintln!("ready"))?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

/// Set by SIGINT and SIGTERM. Called before other threads exist, so that they inherit the mask.
fn stop_on_signals() -> nix::Result<Arc<AtomicBool>> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    signals.thread_block()?;
    let stop = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&stop);
    thread::spawn(move || {
        // Failing to wait stops as well: better an early report than none.
        signals.wait().ok();
        set.store(true, Ordering::Relaxed);
    });
    Ok(stop)
}
