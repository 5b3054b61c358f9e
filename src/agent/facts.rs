//! From objects, interfaces and Leases to what placement wants to know.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt;

use crate::api::{NodeInterface, PrefixPolicy, VirtualIP, VirtualIPNode};
use crate::network::{Link, Links};
use crate::placement::{InterfaceFacts, NodeFacts, VipFacts};

/// The interfaces that could carry an address, as this node publishes them.
#[must_use]
pub fn publish(links: &Links) -> Vec<NodeInterface> {
    let interface = |link: &Link| NodeInterface {
        name: link.name.clone(),
        up: link.up,
        carrier: link.carrier,
        mac: link.mac.map(|mac| mac.to_string()),
        subnets: link.addresses.iter().map(|net| net.trunc().to_string()).collect(),
    };
    links
        .iter()
        .filter(|link| link.mac.is_some() && !link.loopback && !link.no_arp && !link.port)
        .map(interface)
        .collect()
}

/// Published interfaces as placement sees them. What cannot be read is no subnet.
#[must_use]
pub fn interfaces(published: &[NodeInterface]) -> Vec<InterfaceFacts> {
    published
        .iter()
        .map(|interface| InterfaceFacts {
            name: interface.name.clone(),
            up: interface.up,
            carrier: interface.carrier,
            subnets: interface.subnets.iter().filter_map(|subnet| subnet.parse().ok()).collect(),
        })
        .collect()
}

/// A node as its objects describe it.
#[must_use]
pub fn node(name: &str, alive: bool, object: Option<&Node>, own: Option<&VirtualIPNode>) -> NodeFacts {
    let published = own.and_then(|own| own.status.as_ref()).map(|status| interfaces(&status.interfaces));
    NodeFacts {
        name: name.to_owned(),
        alive,
        leaving: false,
        standby: own.is_some_and(|own| own.spec.standby),
        labels: object.map(|node| node.labels().clone()),
        interfaces: published,
    }
}

/// A `VirtualIP` as placement sees it; none when its addresses cannot be read.
#[must_use]
pub fn vip(object: &VirtualIP, holder: Option<String>) -> Option<VipFacts> {
    Some(VipFacts {
        key: object.key(),
        addresses: object.spec.parsed_addresses().ok()?,
        interfaces: object.spec.interface_choices(),
        prefix_of_subnet: object
            .spec
            .address_options
            .as_ref()
            .is_some_and(|options| options.prefix == PrefixPolicy::Auto),
        selector: object
            .spec
            .node_selector()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect::<BTreeMap<_, _>>(),
        holder,
    })
}
