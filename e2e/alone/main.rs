//! What the program does without a cluster, through the program: `cargo test --test alone [NAME]`.
//!
//! Root is needed (network namespaces), and `ip` (iproute2).

#[path = "../ocf/host.rs"]
mod host;
mod options;
mod run;
mod standing;
mod validate;
mod weak_spots;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_virtualip");

/// How a test ends.
type Outcome = Result<(), String>;

/// A test and its name.
type Test = (&'static str, fn() -> Outcome);

fn main() -> ExitCode {
    let trial = |(name, test): Test| Trial::test(name, move || test().map_err(Failed::from));
    let tests = run::TESTS
        .iter()
        .chain(options::TESTS)
        .chain(weak_spots::TESTS)
        .chain(validate::TESTS)
        .copied()
        .map(trial)
        .collect();
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}
