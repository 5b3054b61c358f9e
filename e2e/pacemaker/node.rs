//! One node: a host with Corosync, Pacemaker and our agent, a cable to the ring and one to the wire.

use crate::{
    configuration::CIB,
    lab::{
        addresses::{DATA, in_subnet, of_node},
        daemon::Daemon,
        error::{Doing, Result},
        host::Host,
        state::State,
        switch::{Interface, Switch},
    },
};
use std::{fs, net::IpAddr, path::Path, sync::Arc};

/// The subnet in which the nodes talk to each other.
const RING: &str = "10.78.0.0/24";
/// The interface on the ring.
const INNER: &str = "eth0";
/// The interface on the wire.
pub const OUTER: &str = "eth1";
/// Directories that the packages make when they are installed: the node has a disk of its own. With their owners.
const DIRECTORIES: [(&str, &str); 8] = [
    ("/var/lib/corosync", "root"),
    ("/var/lib/pacemaker/cib", "hacluster"),
    ("/var/lib/pacemaker/pengine", "hacluster"),
    ("/var/lib/pacemaker/cores", "hacluster"),
    ("/var/log/pacemaker", "hacluster"),
    ("/var/log/corosync", "root"),
    ("/var/log/crmsh", "root"),
    ("/run/crm", "hacluster"),
];

/// A node, on or off.
pub struct Node {
    host: Arc<Host>,
    ring: (Arc<Switch>, Interface),
    wire: (Arc<Switch>, Interface),
    installed: String,
    corosync: Daemon,
    pacemaker: Daemon,
}

impl Node {
    /// The node with this index, off. `installed` is where `make install-ocf` has put everything.
    pub fn new(
        state: &State,
        index: usize,
        [ring, wire]: [&Arc<Switch>; 2],
        installed: &Path,
    ) -> Result<Self> {
        let name = format!("n{}", index + 1);
        let host = Arc::new(Host::with_disk(state, &name)?);
        let digits = of_node(index);
        let interface = |name: &str, subnets: &[&str], kind: u8| -> Result<Interface> {
            let addresses = subnets.iter().map(|subnet| in_subnet(subnet, digits)).collect::<Result<_>>()?;
            let mac = format!("02:00:00:00:{kind:02x}:{digits}");
            Ok(Interface { name: name.to_owned(), port: format!("port{digits}"), mac, addresses })
        };
        let file = host.file("corosync.conf").to_string_lossy().into_owned();
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        Ok(Self {
            ring: (Arc::clone(ring), interface(INNER, &[RING], 1)?),
            wire: (Arc::clone(wire), interface(OUTER, &DATA, 0)?),
            installed: installed.to_string_lossy().into_owned(),
            corosync: Daemon::new(&host, "corosync", words(&["corosync", "-f", "-c", &file])),
            pacemaker: Daemon::new(&host, "pacemaker", words(&["pacemakerd"])),
            host,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.host.name()
    }

    /// Its address on the ring.
    pub fn ring_address(&self) -> String {
        self.ring.1.addresses.first().map(|net| net.addr().to_string()).unwrap_or_default()
    }

    /// Its hardware address on the wire.
    pub fn mac(&self) -> &str {
        &self.wire.1.mac
    }

    /// Boots it and starts Corosync and Pacemaker, which take their time.
    pub fn power_on(&self, corosync: &str) -> Result<()> {
        self.host.power_on()?;
        for (switch, interface) in [&self.ring, &self.wire] {
            switch.plug(&self.host, interface)?;
        }
        for (path, owner) in DIRECTORIES {
            self.run(&["install", "-d", "-o", owner, "-g", "haclient", path])?;
        }
        // Corosync and Pacemaker talk to their own through it, and find each other by its files.
        self.run(&["mount", "-t", "tmpfs", "tmpfs", "/dev/shm"])?;
        for path in ["/usr/local/bin", "/usr/lib/ocf/resource.d"] {
            self.run(&["mount", "--bind", &format!("{}{path}", self.installed), path])?;
        }
        let file = self.host.file("corosync.conf");
        fs::write(&file, corosync).doing(|| format!("write {}", file.display()))?;
        self.first_configuration()?;
        self.corosync.start()?;
        self.pacemaker.start()
    }

    /// What the cluster has learnt since is kept over a reboot.
    fn first_configuration(&self) -> Result<()> {
        let file = "/var/lib/pacemaker/cib/cib.xml";
        let draft = self.host.file("cib.xml");
        fs::write(&draft, CIB).doing(|| format!("write {}", draft.display()))?;
        let copy = format!(
            "test -e {file} || install -o hacluster -g haclient -m 600 {} {file}",
            draft.to_string_lossy()
        );
        self.run(&["sh", "-c", &copy]).map(drop)
    }

    /// Takes its power away.
    pub fn power_off(&self) {
        self.host.power_off();
        self.corosync.kill();
        self.pacemaker.kill();
    }

    /// Takes the carrier of its interface on the wire away.
    pub fn unplug(&self) -> Result<()> {
        self.wire.0.port_down(&self.wire.1.port)
    }

    /// Gives it back.
    pub fn replug(&self) -> Result<()> {
        self.wire.0.port_up(&self.wire.1.port)
    }

    /// Runs a program there, to its happy end, and gives what it printed.
    pub fn run(&self, words: &[&str]) -> Result<String> {
        self.host.run(words)
    }

    /// Adds what these lines of crmsh say to Pacemaker's configuration, all of it at once.
    pub fn configure(&self, lines: &str) -> Result<()> {
        let file = self.host.file("configuration.crm");
        fs::write(&file, lines).doing(|| format!("write {}", file.display()))?;
        self.run(&["crm", "configure", "load", "update", &file.to_string_lossy()]).map(drop)
    }

    /// Whether `ip` shows the address there; not while it is off.
    pub fn shows(&self, address: IpAddr) -> Result<bool> {
        if !self.host.is_on() {
            return Ok(false);
        }
        let shown = self.run(&["ip", "-oneline", "address", "show", "to", &address.to_string()])?;
        Ok(!shown.trim().is_empty())
    }
}
