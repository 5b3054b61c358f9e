//! The command line: one file per subcommand.

pub mod agent;
pub mod close_node;
pub mod completion;
pub mod crd;
mod duration;
pub mod ocf;
pub mod run;
pub mod validate;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::network::fence::is_built;

/// Something failed while running.
const FAILED: u8 = 1;
/// What was asked for makes no sense; also the code of the parser.
const USAGE: u8 = 2;

const EXIT_CODES: &str = "\
Exit codes:
  0  done; for agent and run: stopped by SIGTERM or SIGINT, with the addresses handed over, or removed
  1  something failed; the last lines on standard error say what
  2  the arguments do not make sense; nothing was done";

/// Floating addresses for Kubernetes on bare metal: one node answers, never two.
#[derive(Debug, Parser)]
#[command(
    name = "virtualip",
    version,
    long_version = version(),
    arg_required_else_help = true,
    after_help = EXIT_CODES
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Agent(agent::Args),
    /// Print the custom resource definitions
    Crd(crd::Args),
    Run(run::Args),
    Ocf(ocf::Args),
    Validate(validate::Args),
    CloseNode(close_node::Args),
    Completion(completion::Args),
}

/// How a subcommand prints what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What `--version` says: with the version whether this binary has the program of the exact fence.
fn version() -> &'static str {
    if is_built() {
        concat!(env!("CARGO_PKG_VERSION"), "\nexact fence: built in")
    } else {
        concat!(
            env!("CARGO_PKG_VERSION"),
            "\nno exact fence, only the kernel's address lifetimes: built without a BPF compiler (clang and libbpf-dev)"
        )
    }
}

/// Runs the program with the arguments of the process.
#[must_use]
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Agent(args) => match args.options() {
            Ok(options) => agent::run(&args, options).map_err(Into::into),
            Err(error) => return fail(&error, USAGE),
        },
        Command::Run(args) => run::run(&args).map_err(Into::into),
        // Its exit codes are not ours to choose.
        Command::Ocf(args) => return ocf::run(&args),
        Command::Validate(args) => match validate::run(&args) {
            Ok(code) => return code,
            Err(error) => Err(error.into()),
        },
        Command::Crd(args) => crd::run(&args).map_err(Into::into),
        Command::CloseNode(args) => close_node::run(&args).map_err(Into::into),
        Command::Completion(args) => completion::run(&args).map_err(Into::into),
    };
    outcome.map_or_else(|error: Box<dyn Error>| fail(error.as_ref(), FAILED), |()| ExitCode::SUCCESS)
}

/// Says what failed and why, on standard error.
fn fail(error: &dyn Error, code: u8) -> ExitCode {
    eprintln!("virtualip: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  because: {error}");
        cause = error.source();
    }
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_names_every_subcommand_and_the_exit_codes() {
        let help = Cli::command().render_long_help().to_string();
        for word in ["agent", "crd", "run", "ocf", "validate", "close-node", "completion", "Exit codes"] {
            assert!(help.contains(word), "{word} in {help}");
        }
    }
}
