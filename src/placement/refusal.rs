//! Why a node cannot carry a `VirtualIP`, in words that say what to change.

use std::net::IpAddr;

use super::facts::{InterfaceFacts, NodeFacts, VipFacts};
use crate::api::InterfaceChoice;

/// The first reason that speaks against a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Refusal {
    /// Its epoch is closed.
    #[error("its agent is not running")]
    Dead,
    /// Its agent stops.
    #[error("its agent is stopping")]
    Leaving,
    /// The administrator took it out.
    #[error("it is on standby")]
    Standby,
    /// There is no Node object.
    #[error("there is no such Node in the cluster")]
    NoNode,
    /// A label of the node selector is missing or other.
    #[error("label {key} is {actual}, the node selector wants {wanted:?}")]
    Selector {
        /// The label.
        key: String,
        /// Its value there, in quotes, or "missing".
        actual: String,
        /// The value asked for.
        wanted: String,
    },
    /// Its agent has not published its interfaces.
    #[error("its agent has not said which interfaces it has")]
    Unreported,
    /// The interface named does not exist there.
    #[error("it has no interface {interface}")]
    NoInterface {
        /// The interface, or all that were named for the node.
        interface: String,
    },
    /// Interfaces are named by node, and this node is not among them.
    #[error("no entry of spec.interfaces is for its labels")]
    NotNamed,
    /// The prefix length is to be that of the subnet, and there is none.
    #[error("interface {interface} has no subnet that contains {address}, to take the prefix length from")]
    NoPrefix {
        /// The interface.
        interface: String,
        /// The address.
        address: IpAddr,
    },
    /// No interface is in the subnet of the address.
    #[error("no interface has a subnet that contains {address}")]
    NoSubnet {
        /// The address.
        address: IpAddr,
    },
    /// The interface is down.
    #[error("interface {interface} is down")]
    Down {
        /// The interface.
        interface: String,
    },
    /// The interface has no carrier.
    #[error("interface {interface} has no carrier")]
    NoCarrier {
        /// The interface.
        interface: String,
    },
}

/// The first reason why `node` cannot carry `vip`; none when it can.
#[must_use]
pub fn refuse(vip: &VipFacts, node: &NodeFacts) -> Option<Refusal> {
    if !node.alive {
        return Some(Refusal::Dead);
    }
    if node.standby {
        return Some(Refusal::Standby);
    }
    // Last, so that it says that there is no other.
    selector(vip, node).or_else(|| interfaces(vip, node)).or_else(|| node.leaving.then_some(Refusal::Leaving))
}

fn selector(vip: &VipFacts, node: &NodeFacts) -> Option<Refusal> {
    let Some(labels) = &node.labels else { return Some(Refusal::NoNode) };
    let (key, wanted) = vip.selector.iter().find(|(key, wanted)| labels.get(*key) != Some(wanted))?;
    let actual = labels.get(key).map_or("missing".to_owned(), |value| format!("{value:?}"));
    Some(Refusal::Selector { key: key.clone(), actual, wanted: wanted.clone() })
}

fn interfaces(vip: &VipFacts, node: &NodeFacts) -> Option<Refusal> {
    let Some(interfaces) = &node.interfaces else { return Some(Refusal::Unreported) };
    let names = match names(vip, node) {
        Ok(names) => names,
        Err(refusal) => return Some(refusal),
    };
    vip.addresses.iter().find_map(|address| {
        let interface = match fits(address.ip(), &names, interfaces) {
            Ok(interface) => interface,
            Err(refusal) => return Some(refusal),
        };
        let unknown =
            vip.prefix_of_subnet && address.prefix().is_none() && !has_prefix(interface, address.ip());
        unknown.then(|| Refusal::NoPrefix { interface: interface.name.clone(), address: address.ip() })
    })
}

/// The interfaces named for `node`, best first; empty: none is named.
fn names<'a>(vip: &'a VipFacts, node: &NodeFacts) -> Result<Vec<&'a str>, Refusal> {
    let counts = |choice: &&InterfaceChoice| {
        node.labels.as_ref().map_or(choice.node_selector.is_empty(), |labels| choice.counts_on(labels))
    };
    let names: Vec<&str> = vip.interfaces.iter().filter(counts).map(|choice| choice.name.as_str()).collect();
    if names.is_empty() && !vip.interfaces.is_empty() { Err(Refusal::NotNamed) } else { Ok(names) }
}

/// Every interface has the subnet of link-local addresses.
fn has_prefix(interface: &InterfaceFacts, address: IpAddr) -> bool {
    let link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    link_local || prefix(interface, address).is_some()
}

/// The interface that would carry `address`: the first of those named that is there, or the one that is up and has the
/// longest prefix.
fn fits<'a>(
    address: IpAddr,
    names: &[&str],
    interfaces: &'a [InterfaceFacts],
) -> Result<&'a InterfaceFacts, Refusal> {
    let interface = if names.is_empty() {
        interfaces
            .iter()
            .filter_map(|interface| Some((interface.up, prefix(interface, address)?, interface)))
            .max_by_key(|(up, prefix, _)| (*up, *prefix))
            .map(|(.., interface)| interface)
            .ok_or(Refusal::NoSubnet { address })?
    } else {
        let called = |name: &&str| interfaces.iter().find(|interface| interface.name == **name);
        names.iter().find_map(called).ok_or_else(|| Refusal::NoInterface { interface: names.join(", ") })?
    };
    if !interface.up {
        return Err(Refusal::Down { interface: interface.name.clone() });
    }
    if !interface.carrier {
        return Err(Refusal::NoCarrier { interface: interface.name.clone() });
    }
    Ok(interface)
}

/// The longest on-link prefix of `interface` that contains `address`.
fn prefix(interface: &InterfaceFacts, address: IpAddr) -> Option<u8> {
    // Nobody else is in the subnet of a host address.
    let subnets = interface.subnets.iter().filter(|net| net.prefix_len() < net.max_prefix_len());
    subnets.filter(|net| net.contains(&address)).map(ipnet::IpNet::prefix_len).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::VipKey;

    fn interface(name: &str, up: bool, carrier: bool, subnet: &str) -> InterfaceFacts {
        InterfaceFacts { name: name.into(), up, carrier, subnets: vec![subnet.parse().unwrap()] }
    }

    fn node(interfaces: Vec<InterfaceFacts>) -> NodeFacts {
        NodeFacts {
            name: "n1".into(),
            alive: true,
            leaving: false,
            standby: false,
            labels: Some([("zone".to_owned(), "a".to_owned())].into()),
            interfaces: Some(interfaces),
        }
    }

    fn vip(address: &str) -> VipFacts {
        VipFacts {
            key: VipKey::new("shop", "web"),
            addresses: vec![address.parse().unwrap()],
            interfaces: vec![],
            prefix_of_subnet: false,
            selector: [].into(),
            holder: None,
        }
    }

    #[test]
    fn every_refusal_says_what_to_change() {
        let good = node(vec![interface("eth1", true, true, "192.0.2.0/24")]);
        assert_eq!(refuse(&vip("192.0.2.9"), &good), None);
        let said = |vip: &VipFacts, node: &NodeFacts| refuse(vip, node).unwrap().to_string();
        assert_eq!(said(&vip("198.51.100.9"), &good), "no interface has a subnet that contains 198.51.100.9");
        let eth7 = InterfaceChoice { name: "eth7".into(), ..InterfaceChoice::default() };
        let named = VipFacts { interfaces: vec![eth7], ..vip("192.0.2.9") };
        assert_eq!(said(&named, &good), "it has no interface eth7");
        let picky = VipFacts { selector: [("zone".to_owned(), "b".to_owned())].into(), ..vip("192.0.2.9") };
        assert_eq!(said(&picky, &good), "label zone is \"a\", the node selector wants \"b\"");
        let unplugged = node(vec![interface("eth1", true, false, "192.0.2.0/24")]);
        assert_eq!(said(&vip("192.0.2.9"), &unplugged), "interface eth1 has no carrier");
        assert_eq!(said(&vip("192.0.2.9"), &NodeFacts { standby: true, ..good }), "it is on standby");
    }

    #[test]
    fn the_first_interface_that_is_named_for_the_node_and_there_decides() {
        let node = node(vec![
            interface("eth1", true, true, "192.0.2.0/24"),
            interface("eth2", true, true, "10.0.0.0/8"),
        ]);
        let choice = |name: &str, zone: Option<&str>| InterfaceChoice {
            name: name.into(),
            node_selector: zone.map(|zone| ("zone".to_owned(), zone.to_owned())).into_iter().collect(),
        };
        let said = |interfaces: Vec<InterfaceChoice>, prefix_of_subnet| {
            refuse(&VipFacts { interfaces, prefix_of_subnet, ..vip("192.0.2.9") }, &node)
                .map(|r| r.to_string())
        };
        assert_eq!(said(vec![choice("eth9", None), choice("eth2", Some("a"))], false), None);
        assert_eq!(
            said(vec![choice("eth9", None), choice("eth8", Some("a"))], false).unwrap(),
            "it has no interface eth9, eth8"
        );
        assert_eq!(
            said(vec![choice("eth1", Some("b"))], false).unwrap(),
            "no entry of spec.interfaces is for its labels"
        );
        assert!(said(vec![choice("eth2", None)], true).unwrap().contains("to take the prefix length from"));
        assert_eq!(said(vec![choice("eth1", None)], true), None);
    }

    #[test]
    fn the_longest_prefix_of_an_interface_that_is_up_decides() {
        let narrow_without_carrier = node(vec![
            interface("eth0", true, true, "10.0.0.0/8"),
            interface("eth1", true, false, "10.0.0.0/24"),
        ]);
        assert_eq!(
            refuse(&vip("10.0.0.9"), &narrow_without_carrier),
            Some(Refusal::NoCarrier { interface: "eth1".into() })
        );
        let narrow_down = node(vec![
            interface("eth0", true, true, "10.0.0.0/8"),
            interface("eth1", false, false, "10.0.0.0/24"),
        ]);
        assert_eq!(refuse(&vip("10.0.0.9"), &narrow_down), None);
    }
}
