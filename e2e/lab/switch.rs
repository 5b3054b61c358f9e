//! A bridge in a host of its own, and the cables from it to other hosts.

use super::{error::Result, host::Host};
use ipnet::IpNet;
use std::sync::Arc;

/// The bridge's name in its host.
const BRIDGE: &str = "br0";
/// Its hardware address. Given: else it takes one of a port, and has another one when that port is unplugged, which nobody who talked to
/// the host knows for seconds.
const MAC: &str = "02:b0:00:00:00:01";

/// A network that hosts are plugged into.
#[derive(Debug)]
pub struct Switch {
    pub(super) host: Arc<Host>,
}

/// What is at the end of a cable, in the host that it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name there.
    pub name: String,
    /// The name of the bridge's side: unique on its switch, at most 15 letters.
    pub port: String,
    /// Its hardware address. Given, not left to chance: it stays the same over a reboot.
    pub mac: String,
    /// Its addresses; none is fine.
    pub addresses: Vec<IpNet>,
}

impl Switch {
    /// Makes the bridge in `host`, which has these addresses itself.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn create(host: &Arc<Host>, addresses: &[IpNet]) -> Result<Self> {
        let mut lines = vec![
            // Snooping without a querier could swallow neighbour solicitations.
            format!("link add {BRIDGE} address {MAC} type bridge stp_state 0 mcast_snooping 0"),
            format!("link set {BRIDGE} up"),
        ];
        lines.extend(addresses.iter().map(|address| format!("address add {address} dev {BRIDGE} nodad")));
        host.ip(&lines)?;
        // Frames between our hosts are no business of the machine's packet filter. The module may not be loaded.
        for family in ["arptables", "iptables", "ip6tables"] {
            let path = format!("/proc/sys/net/bridge/bridge-nf-call-{family}");
            let _ = host.output(&["sh", "-c", &format!("echo 0 > {path}")]);
        }
        Ok(Self { host: Arc::clone(host) })
    }

    /// Leads a cable to `host`, and brings the interface up.
    ///
    /// # Errors
    /// When the kernel refuses, for instance because the name is taken.
    pub fn plug(&self, host: &Host, interface: &Interface) -> Result<()> {
        let Interface { name, port, mac, addresses } = interface;
        let pid = host.pid()?;
        // Made here and sent there: nothing is ever seen in the machine's own network.
        self.host.ip(&[
            format!("link add {port} type veth peer name {name} address {mac} netns {pid}"),
            format!("link set {port} master {BRIDGE} up"),
        ])?;
        let mut lines: Vec<_> =
            addresses.iter().map(|address| format!("address add {address} dev {name} nodad")).collect();
        lines.push(format!("link set {name} up"));
        host.ip(&lines)
    }

    /// Takes a cable away, with the interface at its end.
    ///
    /// # Errors
    /// When it is not there.
    pub fn unplug(&self, port: &str) -> Result<()> {
        self.host.ip(&[format!("link del {port}")])?;
        // Another cable may get its name.
        self.lose_nothing_at_all(port)
    }

    /// Switches a port off: the host at the other end loses its carrier.
    ///
    /// # Errors
    /// When there is no such port.
    pub fn port_down(&self, port: &str) -> Result<()> {
        self.host.ip(&[format!("link set {port} down")])
    }

    /// Undoes [`Switch::port_down`].
    ///
    /// # Errors
    /// When there is no such port.
    pub fn port_up(&self, port: &str) -> Result<()> {
        self.host.ip(&[format!("link set {port} up")])
    }

    /// Undoes whatever was done to these ports.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn restore(&self, ports: &[String]) -> Result<()> {
        let lines: Vec<_> = ports.iter().map(|port| format!("link set {port} up")).collect();
        self.host.ip(&lines)?;
        ports.iter().try_for_each(|port| self.lose_nothing_at_all(port))
    }
}
