//! What the kernel's netlink messages say, in the terms of this room.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use ipnet::IpNet;
use rtnetlink::packet_route::{
    address::{AddressAttribute, AddressFlags, AddressMessage},
    link::{
        AfSpecInet, AfSpecInet6, AfSpecUnspec, InfoKind, InfoPortKind, LinkAttribute, LinkFlags, LinkInfo,
        LinkLayerType, LinkMessage,
    },
};

use super::{Link, Mac, Marked, Setup, mark::Mark};

/// `valid_lft` of an address that never expires (`INFINITY_LIFE_TIME`).
pub(super) const FOREVER: u32 = u32::MAX;

/// The alias of an interface that we set up: also the next life of the agent knows then that it was down.
pub(super) const PREPARED: &str = "set up by virtualip, was down";

/// One address of an interface, ours or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Configured {
    pub link: u32,
    pub address: IpNet,
    /// The on-link prefix: the peer's on a point-to-point address, else the address's own.
    pub subnet: IpNet,
    pub marked: bool,
    pub label: Option<String>,
    pub broadcast: Option<Ipv4Addr>,
    /// Whether it brought the route to its prefix.
    pub prefix_route: bool,
    pub valid_for: Option<Duration>,
    /// The kernel still asks whether another host has it, and does not answer for it yet.
    pub tentative: bool,
}

impl Configured {
    /// None for a message without a unicast address.
    pub fn read(message: &AddressMessage, mark: Mark) -> Option<Self> {
        let (mut local, mut peer, mut label, mut valid) = (None, None, None, FOREVER);
        let (mut broadcast, mut tentative, mut prefix_route) = (None, false, true);
        for attribute in &message.attributes {
            match attribute {
                AddressAttribute::Local(address) => local = Some(*address),
                AddressAttribute::Address(address) => peer = Some(*address),
                AddressAttribute::Label(text) => label = Some(text.clone()),
                AddressAttribute::CacheInfo(info) => valid = info.ifa_valid,
                AddressAttribute::Broadcast(address) => broadcast = Some(*address),
                AddressAttribute::Flags(flags) => {
                    tentative = flags.contains(AddressFlags::Tentative);
                    prefix_route = !flags.contains(AddressFlags::Noprefixroute);
                }
                _ => {}
            }
        }
        // IFA_LOCAL is missing where there is no peer (IPv6); with a peer IFA_ADDRESS is the peer (rtnetlink(7)).
        let own: IpAddr = local.or(peer)?;
        let prefix = message.header.prefix_len;
        Some(Self {
            link: message.header.index,
            address: IpNet::new(own, prefix).ok()?,
            subnet: IpNet::new(peer.unwrap_or(own), prefix).ok()?,
            marked: mark.is_on(&message.attributes),
            label,
            broadcast,
            prefix_route,
            valid_for: (valid != FOREVER).then(|| Duration::from_secs(valid.into())),
            tentative,
        })
    }

    /// Whether it is of the kind that `setup` makes: permanent addresses with our mark are the resource agent's, those
    /// with a lifetime an agent's. Neither takes what is the other's.
    pub fn kept_like(&self, setup: &Setup) -> bool {
        self.marked && self.valid_for.is_some() == setup.lifetime.is_some()
    }

    /// Without what only the kernel needs to know.
    pub fn marked(&self) -> Marked {
        let Self { link, address, valid_for, tentative, .. } = *self;
        Marked { link, address, valid_for, tentative }
    }
}

/// An interface, without its addresses; none for a message without a name.
pub(super) fn link(message: &LinkMessage) -> Option<Link> {
    let flags = message.header.flags;
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        mac: None,
        up: flags.contains(LinkFlags::Up),
        // LowerUp goes at once with the carrier, but comes before the interface sends: until it is Running, what is
        // sent is dropped without a word.
        carrier: flags.contains(LinkFlags::LowerUp | LinkFlags::Running),
        loopback: flags.contains(LinkFlags::Loopback),
        no_arp: flags.contains(LinkFlags::Noarp),
        port: flags.contains(LinkFlags::Port),
        ipv6: false,
        router: false,
        arp_ignore: 0,
        arp_announce: 0,
        prepared: false,
        pair: false,
        lower: None,
        mtu: 0,
        addresses: Vec::new(),
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::IfAlias(alias) => link.prepared = alias == PREPARED,
            LinkAttribute::Controller(controller) => link.port |= *controller != 0 && !in_vrf(message),
            LinkAttribute::Address(octets) if message.header.link_layer_type == LinkLayerType::Ether => {
                link.mac = <[u8; 6]>::try_from(octets.as_slice()).ok().map(Mac);
            }
            LinkAttribute::LinkInfo(infos) => link.pair = infos.contains(&LinkInfo::Kind(InfoKind::Veth)),
            LinkAttribute::Link(lower) => link.lower = Some(*lower).filter(|_| !is_elsewhere(message)),
            LinkAttribute::AfSpecUnspec(families) => settings(&mut link, families),
            _ => {}
        }
    }
    (!link.name.is_empty()).then_some(link)
}

/// Whether the interface that this one is stacked on, or paired with, is in another network namespace.
fn is_elsewhere(message: &LinkMessage) -> bool {
    message.attributes.iter().any(|attribute| matches!(attribute, LinkAttribute::LinkNetNsId(_)))
}

/// The members of a VRF keep their addresses, unlike those of a bridge or bond.
fn in_vrf(message: &LinkMessage) -> bool {
    message.attributes.iter().any(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => infos.contains(&LinkInfo::PortKind(InfoPortKind::Vrf)),
        _ => false,
    })
}

/// The interface's sysctls, which come with it.
fn settings(link: &mut Link, families: &[AfSpecUnspec]) {
    for family in families {
        match family {
            AfSpecUnspec::Inet(settings) => settings.iter().for_each(|setting| {
                if let AfSpecInet::DevConf(conf) = setting {
                    link.arp_ignore = u8::try_from(conf.arp_ignore).unwrap_or_default();
                    link.arp_announce = u8::try_from(conf.arp_announce).unwrap_or_default();
                }
            }),
            AfSpecUnspec::Inet6(settings) => settings.iter().for_each(|setting| {
                if let AfSpecInet6::DevConf(conf) = setting {
                    link.ipv6 = conf.disable_ipv6 == 0;
                    link.router = conf.forwarding != 0;
                }
            }),
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "message_test.rs"]
mod tests;
