//! Whose addresses the faults are tried on: our agents', or others', for comparison.

use super::lab::{
    Cluster, Error, Node, Result,
    deploy::{AGENT_LABEL, AGENTS, NAMESPACE},
    keepalived::{self, Keepalived},
    losses,
    metallb::{self, MetalLb},
    process::Process,
    program::text,
    stage::{Vip, alone, settled},
};
use nix::sys::signal::Signal;
use std::{fmt::Debug, net::IpAddr, path::Path, time::Duration};

/// One address of each family.
fn vip() -> Vip {
    Vip::dual("web", 200)
}

/// What keeps addresses up, and what a fault needs to know of it.
pub trait Subject: Debug + Sync {
    /// What it is called in the table: ours by where rights come from.
    fn name(&self) -> &str;

    /// The addresses.
    fn addresses(&self) -> Vec<IpAddr> {
        vip().addresses
    }

    /// Waits until all of it runs and the addresses are at rest, and says which node has them.
    ///
    /// # Errors
    /// When it does not come to that.
    fn at_rest(&self, lab: &Cluster) -> Result<String>;

    /// Waits until the addresses are on one node again. An error: nobody knows when that is.
    ///
    /// # Errors
    /// When they are not; then the client asks for as long as anybody may take.
    fn settled(&self, lab: &Cluster) -> Result<()>;

    /// Gives every node a new process, one that nobody has killed yet.
    ///
    /// # Errors
    /// When the API server refuses.
    fn renew(&self, _lab: &Cluster) -> Result<()> {
        Ok(())
    }

    /// Starts what does not come back by itself.
    ///
    /// # Errors
    /// When it does not start.
    fn start(&self) -> Result<()> {
        Ok(())
    }

    /// Sends a signal to what runs of it on a node.
    ///
    /// # Errors
    /// When nothing does.
    fn signal(&self, node: &Node, signal: Signal) -> Result<()>;

    /// When what runs of it on a node started, on `CLOCK_BOOTTIME`; none: it is not known.
    fn started(&self, _node: &Node) -> Option<Duration> {
        None
    }

    /// Lets it end in good order, on one node or on all.
    ///
    /// # Errors
    /// When it does not take that.
    fn stop(&self, lab: &Cluster, on: Option<&Node>) -> Result<()>;

    /// What its nodes say to each other, in nft's words.
    fn messages(&self) -> &str;

    /// Whether the API server is anything to it.
    fn uses_api(&self) -> bool {
        true
    }

    /// Whether it is somebody else's, here for comparison.
    fn is_peer(&self) -> bool {
        true
    }
}

/// Starts somebody else's on a cluster.
pub type Start = fn(&Cluster) -> Result<Box<dyn Subject>>;

/// The others that can be had: keepalived from Debian, and `MetalLB` where `METALLB` names a folder with its program.
pub fn others() -> Vec<Start> {
    let metallb: Option<Start> = text("METALLB").map(|_| start_metallb as Start);
    metallb.into_iter().chain([start_keepalived as Start]).collect()
}

fn start_metallb(lab: &Cluster) -> Result<Box<dyn Subject>> {
    let folder = text("METALLB").unwrap_or_default();
    Ok(Box::new(MetalLb::start(lab, Path::new(&folder), &v4())?))
}

/// What `MetalLB` is asked for. It answers solicitations through its kernel, which first has to resolve whoever asked, and the client
/// asks under another address each time.
fn v4() -> Vec<IpAddr> {
    vip().addresses.into_iter().filter(IpAddr::is_ipv4).collect()
}

fn start_keepalived(lab: &Cluster) -> Result<Box<dyn Subject>> {
    Ok(Box::new(Keepalived::start(lab, &vip().addresses, Duration::from_secs(1))?))
}

/// Our agents, with rights from this source.
#[derive(Debug)]
pub struct Agents(pub String);

impl Subject for Agents {
    fn name(&self) -> &str {
        &self.0
    }

    fn at_rest(&self, lab: &Cluster) -> Result<String> {
        lab.apply(&vip().manifest())?;
        lab.wait_source(&self.0)?;
        settled(lab, &vip())
    }

    fn settled(&self, lab: &Cluster) -> Result<()> {
        settled(lab, &vip()).map(drop)
    }

    fn renew(&self, lab: &Cluster) -> Result<()> {
        lab.kubectl(&["rollout", "restart", AGENTS, "-n", NAMESPACE])?;
        lab.wait_agents_ready()
    }

    fn signal(&self, node: &Node, signal: Signal) -> Result<()> {
        node.agent()?.signal(signal)
    }

    fn started(&self, node: &Node) -> Option<Duration> {
        node.agent().and_then(Process::started).ok()
    }

    fn stop(&self, lab: &Cluster, on: Option<&Node>) -> Result<()> {
        lab.delete_pods(NAMESPACE, AGENT_LABEL, on)
    }

    fn messages(&self) -> &str {
        losses::MESSAGES
    }

    fn is_peer(&self) -> bool {
        false
    }
}

impl Subject for Keepalived {
    fn name(&self) -> &'static str {
        "keepalived"
    }

    fn at_rest(&self, lab: &Cluster) -> Result<String> {
        self.run()?;
        alone(lab, &vip().addresses)
    }

    fn settled(&self, lab: &Cluster) -> Result<()> {
        alone(lab, &vip().addresses).map(drop)
    }

    fn start(&self) -> Result<()> {
        self.run()
    }

    fn signal(&self, node: &Node, signal: Signal) -> Result<()> {
        node.signal_keepalived(signal, true)
    }

    fn stop(&self, lab: &Cluster, on: Option<&Node>) -> Result<()> {
        // The first process ends the other one.
        let end = |node: &Node| node.signal_keepalived(Signal::SIGTERM, false);
        on.map_or_else(|| lab.on_every_node(end), end)
    }

    fn messages(&self) -> &'static str {
        keepalived::MESSAGES
    }

    fn uses_api(&self) -> bool {
        false
    }
}

impl Subject for MetalLb {
    fn name(&self) -> &'static str {
        "MetalLB"
    }

    fn addresses(&self) -> Vec<IpAddr> {
        self.addresses.clone()
    }

    fn at_rest(&self, lab: &Cluster) -> Result<String> {
        Self::at_rest(self, lab)
    }

    fn settled(&self, _lab: &Cluster) -> Result<()> {
        Err(Error::other("no kernel has its addresses"))
    }

    fn renew(&self, lab: &Cluster) -> Result<()> {
        metallb::renew(lab)
    }

    fn signal(&self, node: &Node, signal: Signal) -> Result<()> {
        node.speaker()?.signal(signal)
    }

    fn stop(&self, lab: &Cluster, on: Option<&Node>) -> Result<()> {
        metallb::stop(lab, on)
    }

    fn messages(&self) -> &'static str {
        metallb::MESSAGES
    }
}
