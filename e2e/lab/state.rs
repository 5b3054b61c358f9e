//! Where a lab keeps its files, and whose it is: everything is named after the process that made it.

use super::{
    cgroup,
    error::{Doing, Result},
    process::{self, Process},
    run::until,
};
use nix::sys::signal::Signal;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

const PREFIX: &str = "virtualip-lab-";

/// How long the kernel may take to let go of a dead lab's groups and files.
const LET_GO: Duration = Duration::from_secs(20);

/// The directory of one lab.
#[derive(Clone, Debug)]
pub struct State {
    dir: PathBuf,
}

impl State {
    /// A new directory for this process, after removing what dead ones left behind.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn create() -> Result<Self> {
        for leftover in
            Self::all().into_iter().filter(|lab| lab.owner().is_none_or(|owner| !owner.is_alive()))
        {
            leftover.remove()?;
        }
        let state = Self { dir: std::env::temp_dir().join(format!("{PREFIX}{}", std::process::id())) };
        fs::create_dir_all(state.hosts()).doing(|| format!("make {}", state.dir.display()))?;
        state.own(Process::this()?)?;
        Ok(state)
    }

    /// The lab in this directory.
    pub fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Every lab of this machine, running or left behind.
    pub fn all() -> Vec<Self> {
        let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return Vec::new() };
        let labs = entries.filter_map(|entry| Some(entry.ok()?.path()));
        labs.filter(|dir| name(dir).starts_with(PREFIX)).map(Self::at).collect()
    }

    /// The newest lab that runs, or the one that the process `owner` owns.
    pub fn running(owner: Option<u32>) -> Option<Self> {
        let made = |lab: &Self| fs::metadata(lab.owner_file()).and_then(|file| file.modified()).ok();
        let is_wanted = |pid: u32| owner.is_none_or(|owner| owner == pid);
        let runs = |lab: &Self| lab.owner().is_some_and(|owner| owner.is_alive() && is_wanted(owner.pid));
        Self::all().into_iter().filter(runs).max_by_key(made)
    }

    /// The process that this lab belongs to: when it ends, the lab does.
    pub fn owner(&self) -> Option<Process> {
        process::recorded(&self.owner_file())
    }

    /// Makes `process` the owner.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn own(&self, process: Process) -> Result<()> {
        process::record(process, &self.owner_file())
    }

    /// A file of the lab.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The lab's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The directory of one host, which is also its disk.
    pub fn host(&self, name: &str) -> PathBuf {
        self.hosts().join(name)
    }

    /// The control group of one host, as kubelets name it: from the root of a hierarchy.
    pub fn cgroup(&self, host: &str) -> PathBuf {
        PathBuf::from(name(&self.dir)).join(host)
    }

    /// Ends the lab, whoever owns it.
    ///
    /// # Errors
    /// When something does not go away.
    pub fn end(&self) -> Result<()> {
        if let Some(owner) = self.owner().filter(|owner| owner.is_alive()) {
            owner.signal(Signal::SIGTERM)?;
            // Its janitor removes everything; this only waits for that.
            until("the lab's owner cleaned up", LET_GO, || Ok((!self.dir.exists()).then_some(())))?;
        }
        self.remove()
    }

    /// Ends every process of the lab and removes its control groups and files.
    ///
    /// # Errors
    /// When something does not go away.
    pub fn remove(&self) -> Result<()> {
        for init in self.inits() {
            // Also those that came from outside, such as a kubectl, which would wait for an answer for long.
            let found = process::in_network_of(init.pid);
            // Else the number may be another's by now, and these all that run on this machine.
            if init.is_alive() {
                for (process, _) in found {
                    // It may have ended by itself.
                    let _ = process.signal(Signal::SIGKILL);
                }
            }
        }
        until("the end of the lab's processes", LET_GO, || {
            Ok((!self.inits().any(Process::is_alive)).then_some(()))
        })?;
        let group = PathBuf::from(name(&self.dir));
        until("the end of the lab's control groups", LET_GO, || Ok(cgroup::remove(&group).then_some(())))?;
        until("the end of the lab's files", LET_GO, || match fs::remove_dir_all(&self.dir) {
            Err(error) if self.dir.exists() => Err(error).doing(|| format!("remove {}", self.dir.display())),
            _ => Ok(Some(())),
        })
    }

    fn hosts(&self) -> PathBuf {
        self.file("hosts")
    }

    fn owner_file(&self) -> PathBuf {
        self.file("owner")
    }

    /// The first process of each host.
    fn inits(&self) -> impl Iterator<Item = Process> + use<> {
        let entries = fs::read_dir(self.hosts()).into_iter().flatten();
        entries.filter_map(|entry| process::recorded(&entry.ok()?.path().join("init")))
    }
}

fn name(dir: &Path) -> String {
    dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
