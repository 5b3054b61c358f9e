//! A node's cables: one to the network of management, any number to the data network.

use super::{
    addresses::{in_subnet, management, of_node},
    error::{Error, Result},
    node::Node,
    plan::InterfacePlan,
    switch::Interface,
};
use ipnet::IpNet;

/// The interface on the network of management, by which the kubelet reaches the API server.
const MANAGEMENT: &str = "eth0";

impl Node {
    /// Adds an interface on the data network. It is there again after a power-off, until it is unplugged.
    ///
    /// # Errors
    /// When the name is taken or the node is off.
    pub fn plug(&self, plan: &InterfacePlan) -> Result<()> {
        let mut data = self.data();
        let taken = |number: &usize| data.iter().any(|other| other.port == port(self.index, *number));
        // Of so many numbers one is always free.
        let free = (0..=data.len()).find(|number| !taken(number));
        let interface = interface(self.index, free.unwrap_or_default(), plan)?;
        self.wire().plug(&self.host, &interface)?;
        data.push(interface);
        Ok(())
    }

    /// Takes an interface off the data network, and off the node.
    ///
    /// # Errors
    /// When the node has no such interface.
    pub fn unplug(&self, name: &str) -> Result<()> {
        let port = self.port(name)?;
        self.wire().unplug(&port)?;
        self.data().retain(|interface| interface.port != port);
        Ok(())
    }

    /// Brings the interfaces back to what the lab was planned with.
    ///
    /// # Errors
    /// When a cable cannot be changed.
    pub(super) fn restore_interfaces(&self) -> Result<()> {
        let mut data = self.data();
        // A port may have got another interface since.
        for extra in data.iter().filter(|other| !self.planned.contains(other)) {
            self.wire().unplug(&extra.port)?;
        }
        for missing in self.planned.iter().filter(|wanted| !data.contains(wanted)) {
            self.wire().plug(&self.host, missing)?;
        }
        data.clone_from(&self.planned);
        let ports: Vec<_> = data.iter().map(|interface| interface.port.clone()).collect();
        self.wire().restore(&ports)?;
        self.management_switch().restore(&[self.management().port])
    }

    /// The hardware address of an interface on the data network.
    ///
    /// # Errors
    /// When the node has no such interface.
    pub fn mac(&self, name: &str) -> Result<String> {
        self.find(name, |interface| interface.mac.clone())
    }

    /// The names of the interfaces on the data network.
    pub fn interfaces(&self) -> Vec<String> {
        self.data().iter().map(|interface| interface.name.clone()).collect()
    }

    /// The wire's side of an interface's cable.
    pub(super) fn port(&self, name: &str) -> Result<String> {
        self.find(name, |interface| interface.port.clone())
    }

    /// The wire's side of all cables.
    pub(super) fn ports(&self) -> Vec<String> {
        self.data().iter().map(|interface| interface.port.clone()).collect()
    }

    /// The interface on the network of management.
    pub(super) fn management(&self) -> Interface {
        let address: Vec<IpNet> = format!("{}/24", management(self.index)).parse().into_iter().collect();
        let mac = format!("02:77:00:00:00:{}", of_node(self.index));
        Interface {
            name: MANAGEMENT.into(),
            port: format!("m{}", of_node(self.index)),
            mac,
            addresses: address,
        }
    }

    fn find<T>(&self, name: &str, what: impl Fn(&Interface) -> T) -> Result<T> {
        let found = self.data().iter().find(|interface| interface.name == name).map(what);
        found.ok_or_else(|| {
            Error::other(format!("{} has no interface {name} on the data network", self.name()))
        })
    }
}

/// What an interface of the node with this index is like; `number` tells it from the node's others.
///
/// # Errors
/// When one of its subnets is none.
pub(super) fn interface(index: usize, number: usize, plan: &InterfacePlan) -> Result<Interface> {
    let digits = of_node(index);
    let addresses = plan.subnets.iter().map(|subnet| in_subnet(subnet, digits)).collect::<Result<_>>()?;
    let mac = format!("02:00:00:00:{number:02x}:{digits}");
    Ok(Interface { name: plan.name.clone(), port: port(index, number), mac, addresses })
}

fn port(index: usize, number: usize) -> String {
    format!("d{}.{number}", of_node(index))
}
