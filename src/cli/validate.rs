//! `virtualip validate`: manifests against the rules, without a cluster.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use serde_json::json;

use super::{FAILED, Output};
use crate::manifests::{Checked, SourceError, check, read};

/// Check manifests without a cluster
///
/// Applies the rules of the custom resource definitions, which the API server would apply, to every object of
/// virtualip.dev; objects of other kinds are passed over. Each problem is told with its file and line.
#[derive(Debug, clap::Args)]
#[command(after_help = CODES)]
pub struct Args {
    /// Files, folders, or - for standard input
    #[arg(short, long = "filename", value_name = "FILE", required = true, num_args = 1..)]
    filename: Vec<PathBuf>,

    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
}

const CODES: &str = "\
Exit codes:
  0  all objects keep the rules
  1  one does not, or a file cannot be read
  2  the arguments do not make sense

Examples:
  virtualip validate -f web.yaml              # web.yaml:5: VirtualIP web: spec.interface: ...
  virtualip validate -f deploy/ -o json       # every .yaml, .yml and .json in it
  kustomize build . | virtualip validate -f - # what a pipeline is about to apply";

/// Why nothing was checked.
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] SourceError),
    /// Standard output is closed.
    #[error("cannot print the result")]
    Print(#[source] io::Error),
}

/// Checks, prints, and says by the exit code whether all is well.
///
/// # Errors
/// When a file cannot be read, or the result cannot be printed.
pub fn run(args: &Args) -> Result<ExitCode, ValidateError> {
    let mut all = Checked::default();
    for path in &args.filename {
        for source in read(path)? {
            let checked = check(&source);
            all.objects.extend(checked.objects);
            all.problems.extend(checked.problems);
            all.others += checked.others;
        }
    }
    let text = match args.output {
        Output::Text => text(&all),
        Output::Json => json(&all),
    };
    io::stdout().lock().write_all(text.as_bytes()).map_err(ValidateError::Print)?;
    Ok(if all.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn text(all: &Checked) -> String {
    let mut lines: Vec<String> = all.problems.iter().map(ToString::to_string).collect();
    let passed =
        if all.others == 0 { String::new() } else { format!(", {} of other kinds passed over", all.others) };
    lines.push(format!("valid: {}, problems: {}{passed}", all.objects.len(), all.problems.len()));
    lines.join("\n") + "\n"
}

fn json(all: &Checked) -> String {
    let objects: Vec<_> = all
        .objects
        .iter()
        .map(|object| {
            let metadata = &object.value["metadata"];
            json!({"file": object.file, "line": object.line, "kind": object.kind, "namespace": metadata["namespace"],
                "name": metadata["name"]})
        })
        .collect();
    let valid = all.problems.is_empty();
    format!(
        "{}\n",
        json!({"valid": valid, "objects": objects, "problems": all.problems, "others": all.others})
    )
}
