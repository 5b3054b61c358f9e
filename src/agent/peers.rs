//! The other agents, as Node objects name them, and the way to talk to them directly.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt;
use kube::runtime::reflector::Store;

use crate::mesh::{Counts, Delivery, KeyRing, Mesh, MeshError};

/// A way to the agents of all other nodes, unless it is switched off.
pub struct Peers {
    mesh: Option<Mesh>,
    port: u16,
    addresses: BTreeMap<Arc<str>, Option<SocketAddr>>,
}

impl Peers {
    /// Opens the port of the node `me`; zero switches direct messages off.
    ///
    /// # Errors
    /// When the port cannot be opened.
    pub fn open(me: &str, port: u16) -> Result<Self, MeshError> {
        let mesh = if port == 0 { None } else { Some(Mesh::open(me, port)?) };
        Ok(Self { mesh, port, addresses: BTreeMap::new() })
    }

    /// What goes out and comes in.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.mesh.as_ref().map(Mesh::counts).unwrap_or_default()
    }

    /// From now on these keys count.
    pub fn use_keys(&mut self, keys: KeyRing) {
        if let Some(mesh) = &mut self.mesh {
            mesh.set_keys(keys);
        }
    }

    /// Looks where the nodes are.
    pub fn look(&mut self, nodes: &Store<Node>) {
        let addresses = nodes
            .state()
            .iter()
            .map(|node| (node.name_any().into(), internal_ip(node).map(|ip| (ip, self.port).into())))
            .collect();
        if self.addresses != addresses {
            self.addresses = addresses;
            if let Some(mesh) = &mut self.mesh {
                mesh.set_peers(&self.addresses);
            }
        }
    }

    /// The next message; never, where direct messages are switched off.
    pub async fn next(&mut self) -> Delivery {
        match &mut self.mesh {
            Some(mesh) => mesh.receive().await,
            None => std::future::pending().await,
        }
    }
}

/// The first address on the network of the nodes: what the kubelet calls the node's own.
fn internal_ip(node: &Node) -> Option<IpAddr> {
    let addresses = node.status.as_ref()?.addresses.as_ref()?;
    let mut internal = addresses.iter().filter(|address| address.type_ == "InternalIP");
    internal.find_map(|address| address.address.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::{NodeAddress, NodeStatus};

    fn node(addresses: &[(&str, &str)]) -> Node {
        let address = |(type_, address): &(&str, &str)| NodeAddress {
            type_: (*type_).to_owned(),
            address: (*address).to_owned(),
        };
        let addresses = Some(addresses.iter().map(address).collect());
        Node { status: Some(NodeStatus { addresses, ..NodeStatus::default() }), ..Node::default() }
    }

    #[test]
    fn a_node_is_where_the_kubelet_says_that_the_others_find_it() {
        let first = node(&[
            ("Hostname", "n1"),
            ("ExternalIP", "203.0.113.1"),
            ("InternalIP", "192.0.2.1"),
            ("InternalIP", "2001:db8::1"),
        ]);
        assert_eq!(internal_ip(&first), Some("192.0.2.1".parse().unwrap()));
        assert_eq!(internal_ip(&node(&[("Hostname", "n1")])), None);
        assert_eq!(internal_ip(&Node::default()), None);
    }

    #[tokio::test]
    async fn port_zero_opens_nothing() {
        let peers = Peers::open("n1", 0).unwrap();
        assert!(peers.mesh.is_none());
    }
}
