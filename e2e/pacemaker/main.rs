//! A real Pacemaker with our resource agent: Debian's packages, two nodes in namespaces, a client that judges.
//!
//! `make pacemaker`. Needs root, and the packages corosync, pacemaker and crmsh.

mod configuration;
#[path = "../lab/mod.rs"]
#[allow(dead_code, unused_imports)] // Each program uses its part of the lab.
mod lab;
mod node;
mod stack;
mod story;

use std::process::ExitCode;

fn main() -> ExitCode {
    lab::enter();
    match story::tell() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pacemaker: {}", lab::error::chain(&error));
            ExitCode::FAILURE
        }
    }
}
