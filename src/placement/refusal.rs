//! Why a node cannot carry a `VirtualIP`, in words that say what to change.

use std::net::IpAddr;

use super::facts::{InterfaceFacts, NodeFacts, VipFacts};

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
        /// The interface.
        interface: String,
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
    if node.leaving {
        return Some(Refusal::Leaving);
    }
    if node.standby {
        return Some(Refusal::Standby);
    }
    selector(vip, node).or_else(|| interfaces(vip, node))
}

fn selector(vip: &VipFacts, node: &NodeFacts) -> Option<Refusal> {
    let Some(labels) = &node.labels else { return Some(Refusal::NoNode) };
    let (key, wanted) = vip.selector.iter().find(|(key, wanted)| labels.get(*key) != Some(wanted))?;
    let actual = labels.get(key).map_or("missing".to_owned(), |value| format!("{value:?}"));
    Some(Refusal::Selector { key: key.clone(), actual, wanted: wanted.clone() })
}

fn interfaces(vip: &VipFacts, node: &NodeFacts) -> Option<Refusal> {
    let Some(interfaces) = &node.interfaces else { return Some(Refusal::Unreported) };
    vip.addresses.iter().find_map(|address| fits(address.ip(), vip.interface.as_deref(), interfaces).err())
}

/// The interface that would carry `address`: the named one, or the one that is up and has the longest prefix.
fn fits<'a>(
    address: IpAddr,
    named: Option<&str>,
    interfaces: &'a [InterfaceFacts],
) -> Result<&'a InterfaceFacts, Refusal> {
    let interface = match named {
        Some(name) => interfaces
            .iter()
            .find(|interface| interface.name == name)
            .ok_or_else(|| Refusal::NoInterface { interface: name.to_owned() })?,
        None => interfaces
            .iter()
            .filter_map(|interface| Some((interface.up, prefix(interface, address)?, interface)))
            .max_by_key(|(up, prefix, _)| (*up, *prefix))
            .map(|(.., interface)| interface)
            .ok_or(Refusal::NoSubnet { address })?,
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
    interface.subnets.iter().filter(|net| net.contains(&address)).map(ipnet::IpNet::prefix_len).max()
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
            interface: None,
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
        let named = VipFacts { interface: Some("eth7".into()), ..vip("192.0.2.9") };
        assert_eq!(said(&named, &good), "it has no interface eth7");
        let picky = VipFacts { selector: [("zone".to_owned(), "b".to_owned())].into(), ..vip("192.0.2.9") };
        assert_eq!(said(&picky, &good), "label zone is \"a\", the node selector wants \"b\"");
        let unplugged = node(vec![interface("eth1", true, false, "192.0.2.0/24")]);
        assert_eq!(said(&vip("192.0.2.9"), &unplugged), "interface eth1 has no carrier");
        assert_eq!(said(&vip("192.0.2.9"), &NodeFacts { standby: true, ..good }), "it is on standby");
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
