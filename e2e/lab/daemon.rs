//! A long-running program of a host: etcd, a kubelet ...

use super::{
    error::{Doing, Error, Result},
    host::Host,
    run,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A program that is started, signalled and started again.
#[derive(Debug)]
pub struct Daemon {
    host: Arc<Host>,
    words: Vec<String>,
    log: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Daemon {
    /// The program `words` of a host, not yet started; what it says goes to the host's file `<name>.log`.
    pub fn new(host: &Arc<Host>, name: &str, words: Vec<String>) -> Self {
        let log = host.file(&format!("{name}.log"));
        Self { host: Arc::clone(host), words, log, child: Mutex::new(None) }
    }

    /// Where it writes what it says.
    pub fn log(&self) -> &PathBuf {
        &self.log
    }

    /// Starts it, if it does not run.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self) -> Result<()> {
        let mut child = self.child();
        if running(&mut child) {
            return Ok(());
        }
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.doing(|| format!("open {}", self.log.display()))?;
        let errors = log.try_clone().doing(|| format!("open {}", self.log.display()))?;
        let mut command = run::command(&self.words);
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        *child = Some(self.host.spawn(command)?);
        Ok(())
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        running(&mut self.child())
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let name = self.words.first().map_or("", String::as_str);
        let down = || Error::other(format!("could not send {signal} to {name}: it does not run"));
        let mut child = self.child();
        let child = child.as_mut().ok_or_else(down)?;
        if !matches!(child.try_wait(), Ok(None)) {
            return Err(down());
        }
        kill(Pid::from_raw(child.id().cast_signed()), signal).doing(|| format!("send {signal} to {name}"))
    }

    /// Ends it with SIGKILL and waits until it is gone. One that does not run stays as it is.
    pub fn kill(&self) {
        if let Some(mut child) = self.child().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Lets it live on when this process ends. This handle has nothing more to do with it.
    pub fn keep(&self) {
        self.child().take();
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

fn running(child: &mut Option<Child>) -> bool {
    child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
}
