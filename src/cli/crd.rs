//! `virtualip crd`: prints the custom resource definitions.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use crate::api::crd;

/// Arguments of `virtualip crd`.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Write one file per definition into this folder instead of printing them
    #[arg(long, value_name = "FOLDER")]
    pub directory: Option<PathBuf>,
}

/// Why the definitions could not be printed.
#[derive(Debug, thiserror::Error)]
pub enum CrdError {
    /// A schema is no YAML.
    #[error("cannot write the custom resource definitions as YAML")]
    Yaml(#[from] serde_yaml::Error),
    /// Standard output is closed.
    #[error("cannot print the custom resource definitions")]
    Print(#[source] io::Error),
    /// A file cannot be written.
    #[error("cannot write {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Prints the definitions to standard output, or writes them as files.
///
/// # Errors
/// When the output cannot be written.
pub fn run(args: &Args) -> Result<(), CrdError> {
    let Some(directory) = &args.directory else {
        let text = crd::crds_yaml()?;
        return io::stdout().lock().write_all(text.as_bytes()).map_err(CrdError::Print);
    };
    for (name, text) in crd::crd_files()? {
        let path = directory.join(name);
        std::fs::write(&path, text).map_err(|source| CrdError::File { path, source })?;
    }
    Ok(())
}
