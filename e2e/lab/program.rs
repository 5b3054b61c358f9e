//! What programs of the lab have in common that are told by the environment what to do: how they read it, and how they end.

use super::error::{Error, Result, chain};
use std::{env, process::ExitCode, str::FromStr};

/// What a variable says, if it is set and says something.
pub fn text(name: &str) -> Option<String> {
    env::var(name).ok().filter(|text| !text.is_empty())
}

/// The number that a variable says.
///
/// # Errors
/// When it says something else.
pub fn number<T: FromStr>(name: &str) -> Result<Option<T>> {
    let wrong = |text: &String| Error::other(format!("{name} is {text}, which is not a number"));
    text(name).map(|text| text.parse().map_err(|_| wrong(&text))).transpose()
}

/// Ends the program with this name: well if all was found to be well.
pub fn end(name: &str, well: Result<bool>) -> ExitCode {
    match well {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{name}: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}
