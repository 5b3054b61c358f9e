//! A small process that outlives the lab's owner and removes everything that is left when it dies.

use super::{
    error::{Doing, Result, chain},
    init::KEEP,
    process::Process,
    state::State,
};
use nix::sys::signal::{SigSet, Signal};
use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

/// The word on the command line that makes this program a janitor.
pub const WORD: &str = "__janitor";

/// The owner's hold on its janitor. Dropping it cleans up and waits until all is clean.
#[derive(Debug)]
pub struct Janitor {
    child: Child,
    kept: bool,
}

impl Janitor {
    /// Starts the janitor of a lab, in a process group of its own: Ctrl-C is for the owner.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(state: &State) -> Result<Self> {
        let log = state.file("janitor.log");
        let errors = File::create(&log).doing(|| format!("make {}", log.display()))?;
        let mut command = Command::new("/proc/self/exe");
        // It may outlive us: whoever reads our output must not wait for it.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(errors);
        command.arg(WORD).arg(state.dir()).process_group(0);
        let child = command.spawn().doing(|| "start the lab's janitor".into())?;
        Ok(Self { child, kept: false })
    }

    /// Makes the janitor the owner of the lab, which then runs until the janitor is sent SIGTERM.
    ///
    /// # Errors
    /// When the janitor is gone.
    pub fn keep(&mut self, state: &State) -> Result<()> {
        self.kept = true;
        let stdin = self.child.stdin.as_mut();
        stdin
            .map_or(Ok(()), |pipe| pipe.write_all(&[KEEP]))
            .doing(|| "hand the lab to its janitor".into())?;
        let pid = self.child.id();
        super::run::until("the janitor owns the lab", std::time::Duration::from_secs(5), || {
            Ok(state.owner().filter(|owner| owner.pid == pid).map(drop))
        })
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        if !self.kept && !self.child.wait().is_ok_and(|status| status.success()) {
            eprintln!("the lab left something behind; see janitor.log in its directory");
        }
    }
}

/// Runs as the janitor of the lab in `dir`.
///
/// # Errors
/// When something could not be removed.
pub fn main(dir: &Path) -> Result<()> {
    let state = State::at(dir.to_owned());
    let end = SigSet::from(Signal::SIGTERM);
    end.thread_block().doing(|| "block SIGTERM".into())?;
    let mut byte = [0];
    if matches!(io::stdin().read(&mut byte), Ok(1) if byte[0] == KEEP) {
        state.own(Process::this()?)?;
        end.wait().doing(|| "wait for SIGTERM".into())?;
    }
    state.remove().inspect_err(|error| eprintln!("{}", chain(error)))
}
