//! `virtualip completion`: completions for a shell.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;

/// Print completions for a shell
///
/// For bash, in this session: source <(virtualip completion bash)
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the completions.
///
/// # Errors
/// When standard output is closed.
pub fn run(args: &Args) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "virtualip", &mut script);
    io::stdout().lock().write_all(&script)
}
