//! Logs: text for people, with colours only on a terminal, or one JSON object per line.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::util::TryInitError;

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Why logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter makes no sense.
    #[error("read the log filter {filter:?}")]
    Filter {
        /// The filter.
        filter: String,
        /// What the parser said.
        source: ParseError,
    },
    /// Logging was started before.
    #[error("take over the logging of this process")]
    Taken(#[from] TryInitError),
}

/// Sends the logs of this process to standard error.
///
/// # Errors
/// When the filter makes no sense, or logging was started before.
pub fn start(format: Format, filter: &str) -> Result<(), LogError> {
    let level = EnvFilter::try_new(filter)
        .map_err(|source| LogError::Filter { filter: filter.to_owned(), source })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(level)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .with_writer(io::stderr);
    match format {
        Format::Text => lines.finish().try_init()?,
        Format::Json => lines.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}
