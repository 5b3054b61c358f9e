//! Processes as /proc shows them. A process is known by its id *and* its start: ids are used again.

use super::error::{Doing, Error, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, SysconfVar, sysconf},
};
use std::{fs, path::Path, str::FromStr, time::Duration};

/// `PF_EXITING` of the kernel's `sched.h`. The first process of a host may stay so for long: until everybody has
/// taken the exit codes of their children in the host.
const ENDING: u32 = 4;

/// A process of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id in this machine's pid namespace.
    pub pid: u32,
    /// When it started, in clock ticks since the machine did.
    start: u64,
}

impl Process {
    /// The running process with this id, if there is one: neither a zombie, nor one that the kernel is ending.
    pub fn find(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may contain anything: fields are counted after its closing parenthesis.
        let mut fields = text.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?;
        let flags: u32 = fields.nth(5)?.parse().ok()?;
        let start = fields.nth(12)?.parse().ok()?;
        (state != "Z" && flags & ENDING == 0).then_some(Self { pid, start })
    }

    /// This very process.
    ///
    /// # Errors
    /// When /proc does not show it.
    pub fn this() -> Result<Self> {
        let pid = std::process::id();
        Self::find(pid).ok_or(nix::errno::Errno::ESRCH).doing(|| format!("find process {pid} in /proc"))
    }

    /// When it started, on `CLOCK_BOOTTIME`, to a clock tick.
    ///
    /// # Errors
    /// When the kernel does not say how long a tick is.
    pub fn started(self) -> Result<Duration> {
        let ticks =
            sysconf(SysconfVar::CLK_TCK).doing(|| "ask for the clock ticks of a second".to_owned())?;
        let ticks = ticks.and_then(|ticks| u64::try_from(ticks).ok());
        let since = ticks.and_then(|ticks| self.start.saturating_mul(1000).checked_div(ticks));
        since.map(Duration::from_millis).ok_or_else(|| Error::other("a second has no clock ticks"))
    }

    /// Whether it still runs.
    pub fn is_alive(self) -> bool {
        Self::find(self.pid) == Some(self)
    }

    /// Sends a signal, if it still runs.
    ///
    /// # Errors
    /// When the kernel refuses, for instance because the process is gone.
    pub fn signal(self, signal: Signal) -> Result<()> {
        let gone = || format!("send {signal} to process {}", self.pid);
        if !self.is_alive() {
            return Err(nix::errno::Errno::ESRCH).doing(gone);
        }
        kill(Pid::from_raw(self.pid.cast_signed()), signal).doing(gone)
    }
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.pid, self.start)
    }
}

impl FromStr for Process {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (pid, start) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        Ok(Self { pid: pid.parse()?, start: start.parse()? })
    }
}

/// Writes a process into a file, whole or not at all.
///
/// # Errors
/// When the file cannot be written.
pub fn record(process: Process, file: &Path) -> Result<()> {
    let draft = file.with_extension("new");
    fs::write(&draft, process.to_string())
        .and_then(|()| fs::rename(&draft, file))
        .doing(|| format!("write {}", file.display()))
}

/// The process that [`record`] wrote into a file.
pub fn recorded(file: &Path) -> Option<Process> {
    fs::read_to_string(file).ok()?.parse().ok()
}

/// Every process whose network namespace is that of `pid`, with its command line.
pub fn in_network_of(pid: u32) -> Vec<(Process, Vec<String>)> {
    let network = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let Some(wanted) = network(pid) else { return Vec::new() };
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| network(*pid).as_ref() == Some(&wanted))
        .filter_map(|pid| Some((Process::find(pid)?, command_line(pid)?)))
        .collect()
}

fn command_line(pid: u32) -> Option<Vec<String>> {
    let raw = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = raw.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    Some(words.map(|word| String::from_utf8_lossy(word).into_owned()).collect())
}
