//! What placement knows of nodes and `VirtualIP`s.

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::api::{Address, InterfaceChoice, VipKey};

/// An interface that could carry an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceFacts {
    /// Its name.
    pub name: String,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether it has a carrier.
    pub carrier: bool,
    /// Its on-link networks.
    pub subnets: Vec<IpNet>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// Its name.
    pub name: String,
    /// Whether its epoch is open.
    pub alive: bool,
    /// Whether it hands over everything because its agent stops.
    pub leaving: bool,
    /// Whether the administrator took it out.
    pub standby: bool,
    /// Its labels; `None` when there is no such Node.
    pub labels: Option<BTreeMap<String, String>>,
    /// Its interfaces; `None` when its agent has not said yet.
    pub interfaces: Option<Vec<InterfaceFacts>>,
}

/// A `VirtualIP`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VipFacts {
    /// Which.
    pub key: VipKey,
    /// Its addresses.
    pub addresses: Vec<Address>,
    /// The interfaces named by the user, best first; none: any that has the subnet.
    pub interfaces: Vec<InterfaceChoice>,
    /// Whether addresses without a prefix length take that of the interface's subnet.
    pub prefix_of_subnet: bool,
    /// Labels that a node must have.
    pub selector: BTreeMap<String, String>,
    /// The node that holds it in a living epoch.
    pub holder: Option<String>,
}
