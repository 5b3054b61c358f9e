//! keepalived on the same nodes and the same wire, for comparison: VRRP with its defaults but for how often it advertises, and,
//! as our addresses do, staying where it is (`nopreempt`).

use super::{
    cluster::Cluster,
    daemon::Daemon,
    error::{Doing, Error, Result},
    node::Node,
    process::{Process, in_network_of},
    run::until,
    stage::PATIENCE,
};
use nix::sys::signal::Signal;
use std::{fs, net::IpAddr, path::Path, time::Duration};

/// Debian's program.
const PROGRAM: &str = "/usr/sbin/keepalived";

/// Where it notes which process it is, the first and the one for VRRP.
const PID_FILES: [&str; 2] = ["keepalived.pid", "vrrp.pid"];

/// VRRP, in nft's words.
pub const MESSAGES: &str = "ip protocol 112";

/// Where it announces.
const INTERFACE: &str = "eth1";

/// keepalived on every node of a lab.
#[derive(Debug)]
pub struct Keepalived(Vec<Daemon>);

impl Keepalived {
    /// Starts it everywhere, with these addresses; the owner says that it lives once in `advert`.
    ///
    /// # Errors
    /// When it is not installed, or does not start.
    pub fn start(lab: &Cluster, addresses: &[IpAddr], advert: Duration) -> Result<Self> {
        if !Path::new(PROGRAM).exists() {
            let how = "keepalived is not installed: apt-get install --no-install-recommends keepalived";
            return Err(Error::other(how));
        }
        let daemon = |node: &Node| {
            let file = node.host.file("keepalived.conf");
            fs::write(&file, configuration(node, addresses, advert))
                .doing(|| format!("write {}", file.display()))?;
            let pid = |name: &str| node.host.file(name).to_string_lossy().into_owned();
            let words = [PROGRAM, "--dont-fork", "--log-console", "--vrrp", "--use-file"].map(str::to_owned);
            let files = ["--pid", "--vrrp_pid"].into_iter().zip(PID_FILES);
            let files = files.flat_map(|(flag, name)| [flag.to_owned(), pid(name)]);
            let words = words.into_iter().chain([file.to_string_lossy().into_owned()]).chain(files).collect();
            Ok(Daemon::new(&node.host, "keepalived", words))
        };
        let all = Self(lab.nodes().iter().map(daemon).collect::<Result<_>>()?);
        all.run()?;
        Ok(all)
    }

    /// Starts it where it does not run.
    ///
    /// # Errors
    /// When it does not start.
    pub fn run(&self) -> Result<()> {
        for daemon in self.0.iter().filter(|daemon| !daemon.is_running()) {
            for file in PID_FILES.map(|name| daemon.log().with_file_name(name)) {
                // As after a power-off, with which `/run` goes: it does not start where some process has the number in it.
                if file.exists() {
                    fs::remove_file(&file).doing(|| format!("remove {}", file.display()))?;
                }
            }
            daemon.start()?;
        }
        Ok(())
    }

    /// Ends it where it runs, and waits until the addresses are gone.
    ///
    /// # Errors
    /// When one stays.
    pub fn stop(self, lab: &Cluster, addresses: &[IpAddr]) -> Result<()> {
        let mut running = self.0.iter().filter(|daemon| daemon.is_running());
        running.try_for_each(|daemon| daemon.signal(Signal::SIGTERM))?;
        until("keepalived has taken its addresses away", PATIENCE, || {
            Ok(lab.nodes_with(addresses)?.is_empty().then_some(()))
        })?;
        // What has not ended by itself is killed.
        drop(self);
        Ok(())
    }
}

impl Node {
    /// Sends a signal to the node's keepalived, all of its processes or the first.
    ///
    /// # Errors
    /// When none runs there.
    pub fn signal_keepalived(&self, signal: Signal, all: bool) -> Result<()> {
        let is_it = |words: &[String]| words.first().is_some_and(|word| word == PROGRAM);
        let mut found: Vec<Process> = in_network_of(self.host.pid()?)
            .into_iter()
            .filter(|(_, words)| is_it(words))
            .map(|(process, _)| process)
            .collect();
        found.sort_by_key(|process| process.pid);
        if found.is_empty() {
            return Err(Error::other(format!("no keepalived runs on {}", self.name())));
        }
        found.truncate(if all { found.len() } else { 1 });
        found.into_iter().try_for_each(|process| process.signal(signal))
    }
}

fn configuration(node: &Node, addresses: &[IpAddr], advert: Duration) -> String {
    // Only the third version of the protocol knows less than a second.
    let (version, advert) = (if advert.as_millis() < 1000 { 3 } else { 2 }, advert.as_secs_f64());
    let (priority, name) = (100 + node.index, node.name());
    let listed = |v4: bool| {
        let these = addresses.iter().filter(|address| address.is_ipv4() == v4);
        these.map(|address| format!("{address} dev {INTERFACE}")).collect::<Vec<_>>().join("\n")
    };
    format!(
        "global_defs {{\n router_id {name}\n vrrp_version {version}\n}}
vrrp_instance web {{
 state BACKUP
 nopreempt
 interface {INTERFACE}
 virtual_router_id 51
 priority {priority}
 advert_int {advert}
 virtual_ipaddress {{\n{}\n}}
 virtual_ipaddress_excluded {{\n{}\n}}
}}
",
        listed(true),
        listed(false)
    )
}
