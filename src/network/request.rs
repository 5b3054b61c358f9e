//! The netlink messages that configure and delete our addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use rtnetlink::{
    AddressMessageBuilder,
    packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, CacheInfo},
};

use super::mark;

/// The address itself, as deleting names it.
pub(super) fn bare(link: u32, address: IpNet) -> AddressMessage {
    match address {
        IpNet::V4(net) => {
            AddressMessageBuilder::<Ipv4Addr>::new().index(link).address(net.addr(), net.prefix_len()).build()
        }
        IpNet::V6(net) => {
            AddressMessageBuilder::<Ipv6Addr>::new().index(link).address(net.addr(), net.prefix_len()).build()
        }
    }
}

/// An address of ours in full: what is not said again is lost when the kernel replaces it.
pub(super) fn configuration(name: &str, link: u32, address: IpNet, lifetime: u32) -> AddressMessage {
    let mut message = bare(link, address);
    let mut cache = CacheInfo::default();
    cache.ifa_valid = lifetime;
    let mut flags = AddressFlags::empty();
    match address {
        IpNet::V4(_) => cache.ifa_preferred = lifetime,
        // Deprecated from the start, so never chosen as a source (RFC 6724, rule 3). Whoever holds the right has the
        // address: nothing to detect.
        IpNet::V6(_) => flags |= AddressFlags::Nodad,
    }
    if address.prefix_len() == address.max_prefix_len() {
        flags |= AddressFlags::Noprefixroute;
    }
    message.attributes.push(AddressAttribute::CacheInfo(cache));
    message.attributes.push(AddressAttribute::Flags(flags));
    message.attributes.extend(mark::attributes(name, address));
    message
}
