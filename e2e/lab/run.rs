//! Running a program to its end, and waiting for something to come true.

use super::error::{Doing, Error, Result};
use std::{
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How often something that cannot be waited for in a better way is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A program with its arguments, as one would type it.
pub fn command<S: AsRef<str>>(words: &[S]) -> Command {
    let mut words = words.iter().map(AsRef::as_ref);
    let mut command = Command::new(words.next().unwrap_or("true"));
    command.args(words);
    command
}

/// The words of a command line, for messages.
pub fn spelled(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    command.get_args().fold(program, |line, word| line + " " + &word.to_string_lossy())
}

/// Sets a command up so that [`finish`] can read what it says.
pub fn piped(mut command: Command) -> Command {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits for the end of a program and gives what it said, happy or not.
///
/// # Errors
/// When it cannot be waited for.
pub fn finish(child: Child, spelled: &str) -> Result<Output> {
    child.wait_with_output().doing(|| format!("wait for `{spelled}`"))
}

/// Runs a program on this machine to its happy end and gives what it printed.
///
/// # Errors
/// When it cannot be started or ends unhappily.
pub fn run(command: Command) -> Result<String> {
    let spelled = spelled(&command);
    let child = piped(command).spawn().doing(|| format!("start `{spelled}`"))?;
    happy(&spelled, &finish(child, &spelled)?)
}

/// Runs a program that takes its time to its happy end, and lets it tell the user how it gets on.
///
/// # Errors
/// When it cannot be started or ends unhappily.
pub fn run_openly(mut command: Command) -> Result<()> {
    let spelled = spelled(&command);
    let status = command.stdin(Stdio::null()).status().doing(|| format!("start `{spelled}`"))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Command { command: spelled, status, output: "see above".to_owned() })
}

/// The standard output of a program that ended happily.
///
/// # Errors
/// When it did not, with what it said.
pub fn happy(spelled: &str, output: &Output) -> Result<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = if output.stderr.is_empty() { text(&output.stdout) } else { text(&output.stderr) };
    Err(Error::Command { command: spelled.to_owned(), status: output.status, output: said })
}

/// Looks until `look` finds something; a failing or empty look is taken as "not yet".
///
/// # Errors
/// [`Error::Timeout`] with the sentence `what` and the last thing that was seen.
pub fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        let last = match look() {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => "not yet".to_owned(),
            Err(error) => super::error::chain(&error),
        };
        if start.elapsed() >= limit {
            return Err(Error::Timeout { what: what.to_owned(), limit, last });
        }
        thread::sleep(LOOK_EVERY);
    }
}
