//! What can go wrong in the lab, said so that a person knows what was tried.

use std::{fmt::Write, io, process::ExitStatus, time::Duration};

/// The result of everything that the lab does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of the lab itself or of a program that it ran.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused something.
    #[error("could not {doing}")]
    Io {
        /// What was tried.
        doing: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A program ended unhappily.
    #[error("`{command}` failed ({status}): {output}")]
    Command {
        /// The program and its arguments.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said on its standard error, or else on its standard output.
        output: String,
    },
    /// Something that was waited for never came.
    #[error("{what} did not come true within {limit:?}; the last look said: {last}")]
    Timeout {
        /// The sentence that should have come true.
        what: String,
        /// How long was waited.
        limit: Duration,
        /// What was seen instead.
        last: String,
    },
    /// A text that another program wrote could not be read.
    #[error("could not read {what}")]
    Json {
        /// Whose text it is.
        what: String,
        /// The parser's complaint.
        source: serde_json::Error,
    },
    /// A certificate could not be made.
    #[error("could not make the certificate of {name}")]
    Certificate {
        /// Its common name.
        name: String,
        /// The library's complaint.
        source: rcgen::Error,
    },
    /// Anything else, in one sentence.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// An error of one sentence.
    pub fn other(sentence: impl Into<String>) -> Self {
        Self::Other(sentence.into())
    }
}

/// Says what was tried when the operating system refuses.
pub trait Doing<T> {
    /// Turns an [`io::Error`] (or an errno) into an [`Error`] that names what was tried.
    ///
    /// # Errors
    /// The same failure, with its sentence.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<io::Error>> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Io { doing: what(), source: source.into() })
    }
}

/// The whole chain of causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        // Writing to a String cannot fail.
        let _ = write!(line, ": {next}");
        cause = next.source();
    }
    line
}
