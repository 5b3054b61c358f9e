//! Names of Leases, annotations and finalizers: what agents of different nodes must agree on.

use std::fmt;

/// Namespace of the agents and their Leases, unless a flag says otherwise.
pub const DEFAULT_NAMESPACE: &str = "virtualip-system";
/// Name of the agents' `ServiceAccount` in that namespace.
pub const SERVICE_ACCOUNT: &str = "virtualip";
/// Field manager of everything that an agent writes.
pub const FIELD_MANAGER: &str = "virtualip";
/// Reporting controller of Events.
pub const CONTROLLER: &str = "virtualip.dev/agent";

/// Finalizer of a `VirtualIP` and of its Lease while a node may still answer for the addresses.
pub const FINALIZER_HELD: &str = "virtualip.dev/held";
/// Finalizer of the Lease [`UNINSTALL_LEASE`].
pub const FINALIZER_UNINSTALL: &str = "virtualip.dev/uninstall";
/// The Lease whose deletion tells the agents that all of this is being uninstalled.
pub const UNINSTALL_LEASE: &str = "uninstall";

/// The Secret of the keys that the agents' datagrams are signed with.
pub const KEY_SECRET: &str = "virtualip-keys";
/// Its type, which says what it is for; the API server lets nobody change it.
pub const KEY_SECRET_TYPE: &str = "virtualip.dev/keys";
/// The usual label that says which application an object belongs to.
pub const LABEL_NAME: &str = "app.kubernetes.io/name";

/// On a `node` Lease that only goes on: most agents need not be told of that, and do not watch it.
pub const LABEL_RENEWAL: &str = "virtualip.dev/renewal";
/// Before the name of a node, on the same: that node is told.
const LABEL_TOLD: &str = "told.virtualip.dev/";
/// Longest name of a label after its prefix.
const MAX_LABEL: usize = 63;

/// On a `vip` Lease: the epoch in which its holder holds it.
pub const ANNOTATION_EPOCH: &str = "virtualip.dev/epoch";
/// On every Lease: who made the last write, so that a write whose answer was lost can be recognised.
pub const ANNOTATION_NONCE: &str = "virtualip.dev/nonce";
/// On a `node` Lease: somebody closed it by hand, who knew that the node was off.
pub const ANNOTATION_BY_HAND: &str = "virtualip.dev/closed-by-hand";
/// The value of [`ANNOTATION_BY_HAND`], without which nobody but the agents may close a node.
pub const BY_HAND: &str = "i-know-it-is-off";
/// On a `node` Lease: the source of the node's right, if it is more than the Lease itself, and its witnesses.
pub const ANNOTATION_SOURCE: &str = "virtualip.dev/source";
/// On a `vip` Lease: the offer of a handover (successor, its epoch, accepted or not); or, once the successor is written in, who
/// owned before and still has to fall silent (node, its epoch, awaited).
pub const ANNOTATION_OFFER: &str = "virtualip.dev/offer";
/// On a `vip` Lease whose offer is accepted: the successor can wait for an owner that still answers.
pub const ANNOTATION_TITLE_FIRST: &str = "virtualip.dev/title-first";
/// On a `vip` Lease: the addresses for which its holder answers, which may lag behind the spec.
pub const ANNOTATION_ADDRESSES: &str = "virtualip.dev/addresses";
/// On a `vip` Lease: the node that should take over, asked for by another than the holder.
pub const ANNOTATION_WANTED: &str = "virtualip.dev/wanted";

/// Longest name of an object of Kubernetes that is a DNS subdomain (RFC 1123).
pub const MAX_NAME: usize = 253;
/// Longest name of a `VirtualIP`: `vip.<namespace>.<name>` must be a name too, whatever the namespace (63).
pub const MAX_VIRTUALIP_NAME: usize = MAX_NAME - "vip..".len() - 63;
/// Longest name of a node: `node.<node>` must be a name too.
pub const MAX_NODE_NAME: usize = MAX_NAME - "node.".len();

/// The label of a renewal of which this node is told. Nodes whose names begin with the same 63 characters are told together.
#[must_use]
pub fn told(node: &str) -> String {
    // Names of nodes are ASCII; a label must not end as theirs may where they are cut.
    let name: String = node.chars().take(MAX_LABEL).collect();
    format!("{LABEL_TOLD}{}", name.trim_end_matches(|last: char| !last.is_ascii_alphanumeric()))
}

/// Whether a label says who is told of a renewal.
#[must_use]
pub fn is_of_renewals(label: &str) -> bool {
    label == LABEL_RENEWAL || label.starts_with(LABEL_TOLD)
}

/// Namespace and name of a `VirtualIP`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VipKey {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl VipKey {
    /// The key of `namespace/name`.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The name of the Lease that says who owns this `VirtualIP`.
    #[must_use]
    pub fn lease_name(&self) -> String {
        LeaseName::VirtualIp(self.clone()).to_string()
    }
}

impl fmt::Display for VipKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What a Lease in the agents' namespace stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeaseName {
    /// `node.<node>`: the life of a node, in epochs.
    Node(String),
    /// `vip.<namespace>.<name>`: who owns a `VirtualIP`.
    VirtualIp(VipKey),
    /// `uninstall`: see [`UNINSTALL_LEASE`].
    Uninstall,
}

impl LeaseName {
    /// The name of a node's Lease.
    pub fn node(node: impl Into<String>) -> Self {
        Self::Node(node.into())
    }

    /// Reads a Lease's name; none when it is not one of ours.
    ///
    /// Names of namespaces are DNS labels without a dot, so the first dot ends the namespace and there is one reading.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if name == UNINSTALL_LEASE {
            return Some(Self::Uninstall);
        }
        match name.split_once('.')? {
            ("node", node) if !node.is_empty() => Some(Self::Node(node.to_owned())),
            ("vip", rest) => {
                let (namespace, name) = rest.split_once('.')?;
                let complete = !namespace.is_empty() && !name.is_empty();
                complete.then(|| Self::VirtualIp(VipKey::new(namespace, name)))
            }
            _ => None,
        }
    }
}

impl fmt::Display for LeaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => write!(f, "node.{node}"),
            Self::VirtualIp(VipKey { namespace, name }) => write!(f, "vip.{namespace}.{name}"),
            Self::Uninstall => f.write_str(UNINSTALL_LEASE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_can_be_told() {
        assert_eq!(told("n1.example.org"), "told.virtualip.dev/n1.example.org");
        let long = format!("{}.example.org", "n".repeat(62));
        assert_eq!(told(&long), format!("told.virtualip.dev/{}", "n".repeat(62)), "no label ends in a dot");
        assert!(is_of_renewals(&told(&long)) && is_of_renewals(LABEL_RENEWAL) && !is_of_renewals(LABEL_NAME));
    }

    #[test]
    fn every_lease_name_reads_back() {
        for name in [
            LeaseName::node("n1"),
            LeaseName::node("n1.rack2.example.org"),
            LeaseName::node("vip"),
            LeaseName::VirtualIp(VipKey::new("shop", "web")),
            LeaseName::VirtualIp(VipKey::new("node", "web.example.org")),
            LeaseName::Uninstall,
        ] {
            assert_eq!(LeaseName::parse(&name.to_string()), Some(name));
        }
    }

    #[test]
    fn other_leases_are_not_ours() {
        for name in
            ["", "node", "node.", "vip.", "vip.shop", "vip.shop.", "vip..web", "kube-scheduler", "a.b"]
        {
            assert_eq!(LeaseName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn the_longest_names_fit() {
        let key = VipKey::new("n".repeat(63), "v".repeat(MAX_VIRTUALIP_NAME));
        assert_eq!(key.lease_name().len(), MAX_NAME);
        assert_eq!(LeaseName::node("n".repeat(MAX_NODE_NAME)).to_string().len(), MAX_NAME);
    }
}
