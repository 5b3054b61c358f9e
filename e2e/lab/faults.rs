//! What can happen to a node, and its undoing. [`Node::repair`] undoes everything at once.

use super::{
    daemon::Daemon,
    error::{Error, Result},
    node::Node,
    process::{Process, in_network_of},
    run::until,
};
use nix::sys::signal::Signal;
use std::time::Duration;

/// How long killed processes may take to die.
const DEATH: Duration = Duration::from_secs(10);
/// How long the kubelet may take to bring an agent back.
const AGENT_COMES: Duration = Duration::from_mins(1);

impl Node {
    /// The agent's process.
    ///
    /// # Errors
    /// When no agent runs on the node.
    pub fn agent(&self) -> Result<Process> {
        let is_agent = |words: &[String]| matches!(words, [program, command, ..] if program.ends_with("virtualip") && command == "agent");
        self.process("agent", is_agent)
    }

    /// The process on the node whose command line `is_it`.
    ///
    /// # Errors
    /// When no such process runs there.
    pub fn process(&self, what: &str, is_it: impl Fn(&[String]) -> bool) -> Result<Process> {
        let found = in_network_of(self.host.pid()?).into_iter().find(|(_, words)| is_it(words));
        found
            .map(|(process, _)| process)
            .ok_or_else(|| Error::other(format!("no {what} runs on {}", self.name())))
    }

    /// Waits until an agent runs that is another one than `old`.
    ///
    /// # Errors
    /// When none comes within a minute.
    pub fn wait_new_agent(&self, old: Process) -> Result<Process> {
        until(&format!("a new agent runs on {}", self.name()), AGENT_COMES, || {
            self.agent().map(|agent| (agent != old).then_some(agent))
        })
    }

    /// SIGKILLs the agent and gives the process that was; the kubelet starts another one.
    ///
    /// # Errors
    /// When no agent runs on the node.
    pub fn kill_agent(&self) -> Result<Process> {
        let agent = self.agent()?;
        agent.signal(Signal::SIGKILL).map(|()| agent)
    }

    /// SIGSTOPs the agent.
    ///
    /// # Errors
    /// When no agent runs on the node.
    pub fn stop_agent(&self) -> Result<Process> {
        let agent = self.agent()?;
        agent.signal(Signal::SIGSTOP).map(|()| agent)
    }

    /// SIGCONTs the agent.
    ///
    /// # Errors
    /// When no agent runs on the node.
    pub fn continue_agent(&self) -> Result<()> {
        self.agent()?.signal(Signal::SIGCONT)
    }

    /// SIGSTOPs the kubelet, so that it starts no new agent and probes none.
    ///
    /// # Errors
    /// When it does not run.
    pub fn stop_kubelet(&self) -> Result<()> {
        self.kubelet.signal(Signal::SIGSTOP)
    }

    /// SIGCONTs the kubelet.
    ///
    /// # Errors
    /// When it does not run.
    pub fn continue_kubelet(&self) -> Result<()> {
        self.kubelet.signal(Signal::SIGCONT)
    }

    /// SIGKILLs the kubelet and starts it again; pods live on.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn restart_kubelet(&self) -> Result<()> {
        self.kubelet.kill();
        self.kubelet.start()
    }

    /// Kills everything on the node at one instant (kubelet, containerd, shims, every container, kube-proxy) but its
    /// kernel: what is configured there stays. [`Node::start_programs`] is the way back.
    ///
    /// # Errors
    /// When the node is off.
    pub fn kill_programs(&self) -> Result<()> {
        self.host.signal_all(Signal::SIGKILL)?;
        // Until its exit code is taken a dying program counts as running, and would not be started again.
        [&self.kubelet, &self.proxy, &self.containerd].into_iter().for_each(Daemon::kill);
        let first = self.host.pid()?;
        until(&format!("everything on {} is dead", self.name()), DEATH, || {
            Ok(in_network_of(first).iter().all(|(process, _)| process.pid == first).then_some(()))
        })
    }

    /// Takes the carrier from all interfaces of the data network.
    ///
    /// # Errors
    /// When the node is off.
    pub fn data_down(&self) -> Result<()> {
        self.ports().iter().try_for_each(|port| self.wire().port_down(port))
    }

    /// Gives it back.
    ///
    /// # Errors
    /// When the node is off.
    pub fn data_up(&self) -> Result<()> {
        self.ports().iter().try_for_each(|port| self.wire().port_up(port))
    }

    /// Takes the carrier from one interface of the data network.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn interface_down(&self, name: &str) -> Result<()> {
        self.wire().port_down(&self.port(name)?)
    }

    /// Gives it back.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn interface_up(&self, name: &str) -> Result<()> {
        self.wire().port_up(&self.port(name)?)
    }

    /// Takes the carrier away and gives it back, so many times, as fast as it goes.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn flap(&self, name: &str, times: usize) -> Result<()> {
        (0..times).try_for_each(|_| self.interface_down(name).and_then(|()| self.interface_up(name)))
    }

    /// Loses every frame of the node on the network of management, to the API server and to other agents; no carrier is lost.
    ///
    /// # Errors
    /// When the node is off.
    pub fn cut_api(&self) -> Result<()> {
        self.management_switch().cut(&self.management().port)
    }

    /// Undoes [`Node::cut_api`].
    ///
    /// # Errors
    /// When the node is off.
    pub fn heal_api(&self) -> Result<()> {
        self.management_switch().heal(&self.management().port)
    }

    /// Loses every frame between the node and the data network; no carrier is lost.
    ///
    /// # Errors
    /// When the node is off.
    pub fn cut_data(&self) -> Result<()> {
        self.ports().iter().try_for_each(|port| self.wire().cut(port))
    }

    /// Undoes [`Node::cut_data`].
    ///
    /// # Errors
    /// When the node is off.
    pub fn heal_data(&self) -> Result<()> {
        self.ports().iter().try_for_each(|port| self.wire().heal(port))
    }

    /// Cuts the node off from everything.
    ///
    /// # Errors
    /// When the node is off.
    pub fn cut_off(&self) -> Result<()> {
        self.cut_api()?;
        self.cut_data()
    }

    /// Undoes [`Node::cut_off`].
    ///
    /// # Errors
    /// When the node is off.
    pub fn heal(&self) -> Result<()> {
        self.heal_data()?;
        self.heal_api()
    }

    /// Undoes every fault: the node is on, its cables are whole and as planned, all its programs run.
    ///
    /// # Errors
    /// When something does not come up.
    pub fn repair(&self) -> Result<()> {
        if self.host.is_on() {
            self.restore_interfaces()?;
            self.host.signal_all(Signal::SIGCONT)?;
        }
        self.power_on()?;
        self.restore_interfaces()
    }
}
