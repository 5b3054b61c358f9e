//! The other agents, as Node objects name them, and the way to talk to them directly.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt;
use kube::runtime::reflector::Store;
use tracing::{debug, trace, warn};

use super::message;
use crate::mesh::{Counts, KeyRing, Mesh};
use crate::ownership::{Message, Neighbour, NodeName};

/// The usual label of the zone that a node is in.
const ZONE: &str = "topology.kubernetes.io/zone";

/// A node that was not spoken to for so long is not expected to be heard of.
const SPOKEN: Duration = Duration::from_secs(10);

/// Between two attempts to open a port that is taken.
const REOPEN: Duration = Duration::from_secs(10);

/// A way to the agents of all other nodes, unless it is switched off.
pub struct Peers {
    me: NodeName,
    mesh: Option<Mesh>,
    counts: Counts,
    /// Why there is no port, and when it was tried to open it.
    trouble: Option<(String, Instant)>,
    port: u16,
    keys: KeyRing,
    addresses: BTreeMap<Arc<str>, Option<SocketAddr>>,
    zones: BTreeMap<NodeName, Neighbour>,
    told: BTreeMap<NodeName, Neighbour>,
    spoken: BTreeMap<NodeName, Instant>,
}

impl Peers {
    /// Opens the port of the node `me`; zero switches direct messages off. One that cannot be opened is no reason not to live on
    /// the Lease: [`Peers::reopen`] tries again.
    #[must_use]
    pub fn open(me: &str, port: u16) -> Self {
        let mut peers = Self {
            me: NodeName(me.into()),
            mesh: None,
            counts: Counts::default(),
            trouble: None,
            port,
            keys: KeyRing::default(),
            addresses: BTreeMap::new(),
            zones: BTreeMap::new(),
            told: BTreeMap::new(),
            spoken: BTreeMap::new(),
        };
        peers.try_open();
        peers
    }

    /// Tries again to open the port, if that failed a while ago; whether it is open now.
    pub fn reopen(&mut self) -> bool {
        if self.trouble.as_ref().is_none_or(|(_, at)| at.elapsed() < REOPEN) {
            return false;
        }
        self.try_open();
        self.mesh.is_some()
    }

    fn try_open(&mut self) {
        if self.port == 0 {
            return;
        }
        match Mesh::open(&self.me.0, self.port, self.counts.clone()) {
            Ok(mut mesh) => {
                mesh.set_keys(self.keys.clone());
                mesh.set_peers(&self.addresses);
                (self.mesh, self.trouble) = (Some(mesh), None);
            }
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "no messages between agents");
                self.trouble = Some((format!("UDP port {} cannot be opened", self.port), Instant::now()));
            }
        }
    }

    /// What goes out and comes in.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts.clone()
    }

    /// From now on these keys count.
    pub fn use_keys(&mut self, keys: KeyRing) {
        if let Some(mesh) = &mut self.mesh {
            mesh.set_keys(keys.clone());
        }
        self.keys = keys;
    }

    /// Looks where the nodes are.
    pub fn look(&mut self, nodes: &Store<Node>) {
        let nodes = nodes.state();
        self.zones = nodes
            .iter()
            .filter(|node| internal_ip(node).is_some())
            .map(|node| {
                (NodeName(node.name_any().into()), Neighbour { zone: node.labels().get(ZONE).cloned() })
            })
            .collect();
        let address = |node: &Node| internal_ip(node).map(|ip| (ip, self.port).into());
        let addresses = nodes.iter().map(|node| (node.name_any().into(), address(node.as_ref()))).collect();
        if self.addresses != addresses {
            self.addresses = addresses;
            if let Some(mesh) = &mut self.mesh {
                mesh.set_peers(&self.addresses);
            }
        }
    }

    /// The nodes that can be talked to, if they are others than this said before. Where there are some, this node is among them,
    /// with its zone.
    pub fn news(&mut self) -> Option<BTreeMap<NodeName, Neighbour>> {
        let neighbours = if self.mute().is_none() { self.zones.clone() } else { BTreeMap::new() };
        (neighbours != self.told).then(|| {
            self.spoken.retain(|node, _| neighbours.contains_key(node));
            self.told.clone_from(&neighbours);
            neighbours
        })
    }

    /// Sends a message at once; what is lost is lost.
    pub fn send(&mut self, to: &NodeName, message: &Message) {
        let Some(mesh) = &mut self.mesh else { return };
        self.spoken.insert(to.clone(), Instant::now());
        if let Err(silence) = mesh.send(&to.0, &message::encode(message)) {
            trace!(%to, %silence, "a message is not sent");
        }
    }

    /// What shows that a message may have arrived; none, where direct messages are switched off.
    #[must_use]
    pub fn ear(&self) -> Option<BorrowedFd<'_>> {
        self.mesh.as_ref()?.ear()
    }

    /// Takes the next datagram, if one has arrived, and gives the message in it, if there is one.
    pub fn next(&mut self) -> Option<(NodeName, Message)> {
        let delivery = self.mesh.as_mut()?.receive()?;
        message::decode(&delivery.payload)
            .inspect_err(|error| debug!(from = %delivery.from, %error, "a message is dropped"))
            .ok()
            .map(|message| (NodeName(delivery.from), message))
    }

    /// Why no node can be talked to; none: those of [`Peers::news`] can.
    #[must_use]
    pub fn mute(&self) -> Option<&str> {
        match &self.mesh {
            None => {
                Some(self.trouble.as_ref().map_or("messages between agents are switched off", |(why, _)| why))
            }
            Some(_) if self.keys.signing().is_none() => {
                Some("the key in the Secret virtualip-keys is not known yet")
            }
            Some(_) if self.zones.keys().all(|node| *node == self.me) => Some("there is no other node"),
            Some(_) => None,
        }
    }

    /// Whether something was heard of a node in the last `span`; if not, why not.
    #[must_use]
    pub fn silence(&self, node: &NodeName, span: Duration) -> Option<String> {
        let mesh = self.mesh.as_ref()?;
        mesh.silence(&node.0, span).map(|silence| silence.to_string())
    }

    /// The nodes that were spoken to a moment ago.
    pub fn spoken(&self) -> impl Iterator<Item = &NodeName> {
        self.spoken.iter().filter(|(_, at)| at.elapsed() < SPOKEN).map(|(node, _)| node)
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
    use crate::api::VipKey;
    use crate::mesh::Key;
    use k8s_openapi::api::core::v1::{NodeAddress, NodeStatus};
    use kube::runtime::reflector::store;
    use kube::runtime::watcher;

    fn node(name: &str, addresses: &[(&str, &str)]) -> Node {
        let address = |(type_, address): &(&str, &str)| NodeAddress {
            type_: (*type_).to_owned(),
            address: (*address).to_owned(),
        };
        let addresses = Some(addresses.iter().map(address).collect());
        let mut node =
            Node { status: Some(NodeStatus { addresses, ..NodeStatus::default() }), ..Node::default() };
        node.metadata.name = Some(name.to_owned());
        node.labels_mut().insert(ZONE.to_owned(), format!("zone-of-{name}"));
        node
    }

    /// Free a moment ago: other tests run on this machine at the same time.
    fn free_port() -> u16 {
        std::net::UdpSocket::bind("[::]:0").unwrap().local_addr().unwrap().port()
    }

    fn nodes(list: impl IntoIterator<Item = Node>) -> Store<Node> {
        let (reader, mut writer) = store();
        for node in list {
            writer.apply_watcher_event(&watcher::Event::Apply(node));
        }
        reader
    }

    #[test]
    fn a_node_is_where_the_kubelet_says_that_the_others_find_it() {
        let first = node(
            "n1",
            &[
                ("Hostname", "n1"),
                ("ExternalIP", "203.0.113.1"),
                ("InternalIP", "192.0.2.1"),
                ("InternalIP", "2001:db8::1"),
            ],
        );
        assert_eq!(internal_ip(&first), Some("192.0.2.1".parse().unwrap()));
        assert_eq!(internal_ip(&node("n1", &[("Hostname", "n1")])), None);
        assert_eq!(internal_ip(&Node::default()), None);
    }

    #[test]
    fn neighbours_are_the_other_nodes_that_can_be_reached_once_there_is_a_key() {
        let mut peers = Peers::open("n1", free_port());
        peers.look(&nodes([
            node("n1", &[("InternalIP", "192.0.2.1")]),
            node("n2", &[("InternalIP", "192.0.2.2")]),
            node("n3", &[]),
        ]));
        assert_eq!(peers.news(), None);
        assert_eq!(peers.mute(), Some("the key in the Secret virtualip-keys is not known yet"));
        let key = Key::random().unwrap();
        peers.use_keys(KeyRing::new(key, []));
        let zoned = |node: &str| (NodeName(node.into()), Neighbour { zone: Some(format!("zone-of-{node}")) });
        assert_eq!(peers.news(), Some([zoned("n1"), zoned("n2")].into()));
        assert_eq!((peers.news(), peers.mute()), (None, None));
        peers.look(&nodes([node("n1", &[("InternalIP", "192.0.2.1")])]));
        assert_eq!(peers.news(), Some(BTreeMap::new()));
    }

    #[test]
    fn a_port_that_is_taken_is_no_reason_not_to_live() {
        let port = free_port();
        let _other = Peers::open("n1", port);
        let mut peers = Peers::open("n1", port);
        assert_eq!(peers.mute(), Some(format!("UDP port {port} cannot be opened").as_str()));
        assert!(!peers.reopen(), "not at once");
    }

    #[test]
    fn with_port_zero_nobody_is_talked_to() {
        let mut peers = Peers::open("n1", 0);
        peers.use_keys(KeyRing::new(Key::random().unwrap(), []));
        peers.look(&nodes([node("n2", &[("InternalIP", "192.0.2.2")])]));
        assert_eq!(peers.news(), None);
        let message = Message::Silent { key: VipKey::new("shop", "web"), version: 1, onto: None };
        peers.send(&NodeName("n2".into()), &message);
        assert_eq!(peers.mute(), Some("messages between agents are switched off"));
    }

    #[test]
    fn a_message_arrives_as_it_was_sent() {
        let (mut one, mut two) = (Peers::open("n1", free_port()), Peers::open("n2", free_port()));
        let ports = (one.port, two.port);
        let key = Key::random().unwrap();
        for (peers, other) in [(&mut one, ports.1), (&mut two, ports.0)] {
            peers.port = other;
            peers.use_keys(KeyRing::new(key.clone(), []));
            let here = [("InternalIP", "127.0.0.1")];
            peers.look(&nodes([node("n1", &here), node("n2", &here)]));
        }
        let message = Message::Silent { key: VipKey::new("shop", "web"), version: 7, onto: Some(6) };
        let to = NodeName("n2".into());
        one.send(&to, &message);
        let begin = Instant::now();
        let (from, heard) = loop {
            assert_eq!(one.next(), None, "nobody spoke to it");
            match two.next() {
                Some(heard) => break heard,
                None => assert!(begin.elapsed() < Duration::from_secs(10), "nothing arrived"),
            }
        };
        assert_eq!((&*from.0, heard), ("n1", message));
        assert_eq!(one.spoken().collect::<Vec<_>>(), [&to]);
        assert_eq!(one.silence(&to, Duration::from_secs(1)), None);
    }
}
