//! Running programs in a lab that another process started.

use super::{
    control_plane::kubectl_for,
    error::{Doing, Error, Result},
    namespaces, process,
    programs::Programs,
    run,
    state::State,
};
use std::process::ExitStatus;

/// A lab that was left running.
#[derive(Debug)]
pub struct Attached {
    state: State,
}

impl Attached {
    /// The newest lab of this machine, or the one that a process owns.
    ///
    /// # Errors
    /// When none runs.
    pub fn find(owner: Option<u32>) -> Result<Self> {
        let state = State::running(owner).ok_or_else(|| Error::other("no lab runs; `lab up` starts one"))?;
        Ok(Self { state })
    }

    /// Runs a program on a host of the lab (a node, `client`, `control-plane`, `wire`), on this terminal.
    ///
    /// # Errors
    /// When there is no such host or no such program.
    pub fn exec(&self, host: &str, words: &[String]) -> Result<ExitStatus> {
        wait(namespaces::spawn_in(self.init(host)?, run::command(words))?)
    }

    /// Runs kubectl as administrator, on this terminal.
    ///
    /// # Errors
    /// When kubectl cannot be started.
    pub fn kubectl(&self, words: &[String]) -> Result<ExitStatus> {
        let mut command = kubectl_for(&Programs::ready()?, &self.state);
        command.args(words);
        wait(namespaces::spawn_in_network(self.init("control-plane")?, command)?)
    }

    fn init(&self, host: &str) -> Result<u32> {
        let init = process::recorded(&self.state.host(host).join("init")).filter(|init| init.is_alive());
        init.map(|init| init.pid)
            .ok_or_else(|| Error::other(format!("the lab has no host {host} that is on")))
    }
}

fn wait(mut child: std::process::Child) -> Result<ExitStatus> {
    child.wait().doing(|| "wait for the program".into())
}
