//! The whole: two nodes, the ring between them, the wire, and a client on it.

use crate::{
    configuration,
    lab::{
        addresses::{CLIENT, DATA, in_subnet},
        error::{Doing, Error, Result},
        host::Host,
        image::{cargo, root, target},
        janitor::Janitor,
        judge::{PACE, Watch},
        run::{self, until},
        state::State,
        switch::{Interface, Switch},
    },
    node::Node,
};
use std::{fs, net::IpAddr, path::Path, sync::Arc, time::Duration};

/// How long Pacemaker may take for anything.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Everything ends when it is dropped, or this process dies.
pub struct Stack {
    nodes: Vec<Node>,
    client: Host,
    // The last field: it waits until all is clean.
    _janitor: Janitor,
}

impl Stack {
    /// Installs the agent as a user would, boots two nodes, and waits until each knows of the other.
    pub fn start() -> Result<Self> {
        let state = State::create()?;
        let janitor = Janitor::start(&state)?;
        let installed = state.file("installed");
        install(&installed)?;
        let [ring, wire] = ["ring", "wire"].map(|name| switch(&state, name));
        let (ring, wire) = (ring?, wire?);
        let client = Host::new(&state, "client")?;
        client.power_on()?;
        let addresses = DATA.iter().map(|subnet| in_subnet(subnet, CLIENT)).collect::<Result<_>>()?;
        let [name, port, mac] = ["eth0", "client", "02:00:00:00:00:05"].map(str::to_owned);
        wire.plug(&client, &Interface { name, port, mac, addresses })?;
        let nodes = (0..2).map(|index| Node::new(&state, index, [&ring, &wire], &installed));
        let stack = Self { nodes: nodes.collect::<Result<_>>()?, client, _janitor: janitor };
        stack.nodes.iter().try_for_each(|node| stack.power_on(node))?;
        stack.both_online()?;
        Ok(stack)
    }

    /// The node of this name.
    pub fn node(&self, name: &str) -> Result<&Node> {
        let found = self.nodes.iter().find(|node| node.name() == name);
        found.ok_or_else(|| Error::other(format!("there is no node {name}")))
    }

    /// The node that has not this name.
    pub fn other(&self, name: &str) -> Result<&Node> {
        let found = self.nodes.iter().find(|node| node.name() != name);
        found.ok_or_else(|| Error::other(format!("there is no node but {name}")))
    }

    /// Boots a node.
    pub fn power_on(&self, node: &Node) -> Result<()> {
        let list = self.nodes.iter().map(|node| (node.name().to_owned(), node.ring_address()));
        node.power_on(&configuration::corosync(&list.collect::<Vec<_>>()))
    }

    /// Waits until Pacemaker says that both nodes are online.
    pub fn both_online(&self) -> Result<()> {
        self.says("Online: [ n1 n2 ]").map(drop)
    }

    /// Waits until Pacemaker's monitor prints this, and gives all of it.
    pub fn says(&self, part: &str) -> Result<String> {
        until(&format!("crm_mon prints {part:?}"), PATIENCE, || {
            let said = self.crm_mon()?;
            if said.contains(part) { Ok(Some(said)) } else { Err(Error::other(said)) }
        })
    }

    /// What Pacemaker's monitor prints on a node that is on, fail counts included.
    pub fn crm_mon(&self) -> Result<String> {
        let said = self.nodes.iter().map(|node| node.run(&["crm_mon", "-1f"]));
        said.reduce(Result::or).unwrap_or_else(|| Err(Error::other("there is no node")))
    }

    /// The nodes whose kernels have all of these addresses; an error when one has only some.
    pub fn with(&self, addresses: &[IpAddr]) -> Result<Vec<&str>> {
        let mut with = Vec::new();
        for node in &self.nodes {
            let there = addresses.iter().map(|address| node.shows(*address)).collect::<Result<Vec<_>>>()?;
            if there.contains(&true) && there.contains(&false) {
                return Err(Error::other(format!("{} has some of the addresses only", node.name())));
            }
            with.extend(there.contains(&true).then_some(node.name()));
        }
        Ok(with)
    }

    /// Waits until exactly these nodes have all of the addresses.
    pub fn settled(&self, addresses: &[IpAddr], nodes: &[&str]) -> Result<()> {
        until(&format!("exactly {nodes:?} have the addresses"), PATIENCE, || {
            let with = self.with(addresses)?;
            if with == nodes { Ok(Some(())) } else { Err(Error::other(format!("{with:?}"))) }
        })
    }

    /// Lets the client ask for these addresses.
    pub fn watch(&self, addresses: &[IpAddr]) -> Result<Watch> {
        let hardware = self.nodes.iter().map(|node| (node.mac().to_owned(), node.name().to_owned()));
        let addresses: Vec<_> = addresses.iter().map(IpAddr::to_string).collect();
        Watch::start(&self.client, hardware.collect(), &addresses, PACE)
    }
}

/// `make install-ocf`, into a directory.
fn install(into: &Path) -> Result<()> {
    run::run(cargo(&["build", "--quiet"]))?;
    fs::create_dir_all(into).doing(|| format!("make {}", into.display()))?;
    let mut make = run::command(&["make", "--silent", "install-ocf"]);
    make.current_dir(root()).arg(format!("DESTDIR={}", into.display()));
    make.arg(format!("PROGRAM={}", target().join("debug/virtualip").display()));
    run::run(make).map(drop)
}

fn switch(state: &State, name: &str) -> Result<Arc<Switch>> {
    let host = Arc::new(Host::new(state, name)?);
    host.power_on()?;
    Ok(Arc::new(Switch::create(&host, &[])?))
}
