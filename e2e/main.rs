//! End-to-end tests on one real cluster: `cargo test --test e2e [NAME]`.

mod admission;
#[path = "lab/mod.rs"]
#[allow(dead_code, unused_imports)] // Each program uses its part of the lab.
mod lab;
mod repeat;
mod runner;
mod tests;

use std::process::ExitCode;

fn main() -> ExitCode {
    lab::enter();
    runner::run(&tests::all())
}
