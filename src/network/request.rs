//! The netlink messages that configure and delete our addresses, and set their interfaces up.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};
use rtnetlink::{
    AddressMessageBuilder,
    packet_route::{
        address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope, CacheInfo},
        link::{LinkAttribute, LinkFlags, LinkMessage},
    },
};

use super::{Broadcast, Setup, mark::Mark, message::FOREVER};

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
pub(super) fn configuration(
    name: &str,
    mark: Mark,
    link: u32,
    address: IpNet,
    setup: &Setup,
) -> AddressMessage {
    let mut message = bare(link, address);
    let mut cache = CacheInfo::default();
    cache.ifa_valid = setup.lifetime.unwrap_or(FOREVER);
    let mut flags = AddressFlags::empty();
    match address {
        IpNet::V4(net) => {
            cache.ifa_preferred = cache.ifa_valid;
            broadcast(&mut message, net, setup.broadcast);
            // What `ip` does, and the kernel expects of 127.0.0.0/8: never an answer or a source on another interface.
            if net.addr().is_loopback() {
                message.header.scope = AddressScope::Host;
            }
        }
        IpNet::V6(_) => {
            cache.ifa_preferred = setup.preferred.unwrap_or(FOREVER).min(cache.ifa_valid);
            // Whoever holds the right has the address: nothing to detect, unless somebody wants it.
            if !setup.detect {
                flags |= AddressFlags::Nodad;
            }
        }
    }
    if address.prefix_len() == address.max_prefix_len() || !setup.prefix_route {
        flags |= AddressFlags::Noprefixroute;
    }
    message.attributes.push(AddressAttribute::CacheInfo(cache));
    message.attributes.push(AddressAttribute::Flags(flags));
    message.attributes.extend(mark.attributes(name, address, &setup.label));
    message
}

/// The builder has written the one with all host bits one.
fn broadcast(message: &mut AddressMessage, net: Ipv4Net, wanted: Broadcast) {
    let wanted = match wanted {
        Broadcast::Ones => return,
        Broadcast::None => None,
        Broadcast::Zeros => Some(net.network()),
        Broadcast::Is(address) => Some(address),
    };
    message.attributes.retain(|attribute| !matches!(attribute, AddressAttribute::Broadcast(_)));
    message.attributes.extend(wanted.map(AddressAttribute::Broadcast));
}

/// Sets the interface up, or down.
pub(super) fn flags(link: u32, up: bool) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = link;
    message.header.change_mask = LinkFlags::Up;
    message.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
    message
}

/// As [`flags`], with an alias by which it is known later who did that.
pub(super) fn flags_and_alias(link: u32, up: bool, alias: &str) -> LinkMessage {
    let mut message = flags(link, up);
    message.attributes.push(LinkAttribute::IfAlias(alias.to_owned()));
    message
}
