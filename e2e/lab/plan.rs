//! What a lab shall look like: its nodes and their interfaces.

use super::addresses::DATA;

/// The wish for a cluster. The default: three nodes, each with `eth1` in both default subnets.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The nodes. The first has the addresses that end in .11, the second .12 ...
    pub nodes: Vec<NodePlan>,
}

/// The wish for one node.
#[derive(Clone, Debug)]
pub struct NodePlan {
    /// Its name.
    pub name: String,
    /// Its interfaces on the data network.
    pub interfaces: Vec<InterfacePlan>,
}

/// The wish for one interface on the data network.
#[derive(Clone, Debug)]
pub struct InterfacePlan {
    /// Its name on the node.
    pub name: String,
    /// Its subnets: none for an interface without an address.
    pub subnets: Vec<String>,
}

impl Plan {
    /// Nodes `n1`, `n2` ... with `eth1` in both default subnets.
    pub fn of(nodes: usize) -> Self {
        Self { nodes: (1..=nodes).map(|n| NodePlan::named(&format!("n{n}"))).collect() }
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self::of(3)
    }
}

impl NodePlan {
    /// A node with `eth1` in both default subnets.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), interfaces: vec![InterfacePlan::new("eth1", &DATA)] }
    }

    /// The same node with these interfaces instead.
    #[must_use]
    pub fn with(self, interfaces: Vec<InterfacePlan>) -> Self {
        Self { interfaces, ..self }
    }
}

impl InterfacePlan {
    /// An interface in these subnets.
    pub fn new(name: &str, subnets: &[&str]) -> Self {
        Self { name: name.to_owned(), subnets: subnets.iter().map(ToString::to_string).collect() }
    }
}
