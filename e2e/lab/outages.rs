//! What can happen to the API server and its store, and its undoing.

use super::{control_plane::ControlPlane, error::Result};
use nix::sys::signal::Signal;

impl ControlPlane {
    /// SIGKILLs the API server.
    pub fn kill_api(&self) {
        self.api.kill();
    }

    /// Starts the API server, if it does not run, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_api(&self) -> Result<()> {
        self.api.start()?;
        self.wait_ready()
    }

    /// SIGKILLs the API server and starts it at once, without waiting until it is ready.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn restart_api(&self) -> Result<()> {
        self.api.kill();
        self.api.start()
    }

    /// SIGSTOPs the API server: connections stay, nothing answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn stop_api(&self) -> Result<()> {
        self.api.signal(Signal::SIGSTOP)
    }

    /// SIGCONTs the API server.
    ///
    /// # Errors
    /// When it does not run.
    pub fn continue_api(&self) -> Result<()> {
        self.api.signal(Signal::SIGCONT)
    }

    /// SIGSTOPs etcd: the API server is there, but no write comes through.
    ///
    /// # Errors
    /// When it does not run.
    pub fn stop_etcd(&self) -> Result<()> {
        self.etcd.signal(Signal::SIGSTOP)
    }

    /// SIGCONTs etcd.
    ///
    /// # Errors
    /// When it does not run.
    pub fn continue_etcd(&self) -> Result<()> {
        self.etcd.signal(Signal::SIGCONT)
    }

    /// Undoes every outage. What had to be started is waited for; what had been stopped may still be coming to itself.
    ///
    /// # Errors
    /// When something does not come up.
    pub fn repair(&self) -> Result<()> {
        self.host.signal_all(Signal::SIGCONT)?;
        if self.all_run() { Ok(()) } else { self.start_all() }
    }
}
