//! `virtualip run`: one host, without a cluster.

use std::{io, path::PathBuf};

use super::Output;
use crate::standalone::{self, Printer, Style};

/// Keep addresses up on this host, without a cluster
///
/// Takes the same manifests as the cluster does and watches them for changes. The addresses are added,
/// announced, repaired and defended against other hosts for as long as this runs, and removed when it is told to stop;
/// if it is killed the kernel removes them within 10 seconds. Nothing is elected: run it on one host. Placement is not
/// looked at.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// A file, or a folder with files, that ends in .yaml, .yml or .json
    #[arg(long, value_name = "FILE|FOLDER")]
    manifests: PathBuf,

    /// How to print the status: a table when something changed, or a line of JSON for each change
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
}

const AFTER_HELP: &str = "\
Exit codes:
  0  stopped by SIGTERM or SIGINT, and all addresses removed
  1  something failed; the last lines on standard error say what
  2  the arguments do not make sense; nothing was done

Examples:
  virtualip run --manifests web.yaml              # with the file:
    apiVersion: virtualip.dev/v1alpha1
    kind: VirtualIP
    metadata: {name: web}
    spec: {addresses: [192.0.2.10]}               # on the interface that has this subnet
  virtualip run --manifests /etc/virtualip -o json  # for each change a line such as
    {\"name\":\"web\",\"address\":\"192.0.2.10\",\"interface\":\"eth0\",\"ready\":true,\"message\":\"\", ...}

A file with a mistake counts as it was before; `virtualip validate` finds mistakes beforehand.";

/// Why it ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The system refused an event queue.
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
    /// What was done.
    #[error(transparent)]
    Standalone(#[from] standalone::Error),
}

/// Runs until it is told to stop.
///
/// # Errors
/// [`RunError`]: what made it impossible to go on.
pub fn run(args: &Args) -> Result<(), RunError> {
    let style = match args.output {
        Output::Text => Style::Table,
        Output::Json => Style::Json,
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RunError::Runtime)?;
    let printer = Printer::new(style, io::stdout());
    Ok(runtime.block_on(standalone::run(args.manifests.clone(), printer))?)
}
