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

/// What a program is that takes no words, with its name: does it, and ends well if all was found to be well. It is not begun for
/// a word that somebody hoped it would know: it takes hours.
pub fn main(name: &str, does: fn() -> Result<bool>) -> ExitCode {
    super::enter();
    let usage = format!("{name} takes no words, but variables: `make help` names those of `make {name}`");
    match env::args().nth(1).as_deref() {
        None => end(name, does()),
        Some("-h" | "--help") => {
            println!("{usage}");
            ExitCode::SUCCESS
        }
        Some(word) => {
            eprintln!("{name}: what is {word}? {usage}");
            ExitCode::from(2)
        }
    }
}

fn end(name: &str, well: Result<bool>) -> ExitCode {
    match well {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{name}: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}
