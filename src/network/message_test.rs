//! Kinds of interfaces that not every kernel has: what theirs say of them, as bytes to the reader and back.

use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::{
    RouteNetlinkMessage,
    link::{InfoKind, InfoPortKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage},
};

use super::*;
use crate::network::{Links, Unfit};

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];
/// Queue pair, subnet prefix and port of an `InfiniBand` interface (RFC 4391, 9.1.1).
const INFINIBAND: [u8; 20] =
    [0x80, 0, 0x02, 0x08, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0xe4, 0x1d, 0x2d, 0x03, 0, 0x61, 0x7c, 0x01];

/// An interface `wire0` that is up and sends, with these flags and attributes more, as the kernel would write it and we
/// read it.
fn read(layer: LinkLayerType, flags: LinkFlags, address: &[u8], more: Vec<LinkAttribute>) -> Link {
    let mut written = LinkMessage::default();
    written.header.index = 3;
    written.header.link_layer_type = layer;
    written.header.flags = LinkFlags::Up | LinkFlags::LowerUp | LinkFlags::Running | flags;
    written.attributes = vec![
        LinkAttribute::IfName("wire0".to_owned()),
        LinkAttribute::Mtu(1500),
        LinkAttribute::Address(address.to_vec()),
    ];
    written.attributes.extend(more);
    let mut message = NetlinkMessage::from(RouteNetlinkMessage::NewLink(written));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&bytes).unwrap();
    let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(message)) = message.payload else {
        panic!("an interface")
    };
    link(&message).unwrap()
}

fn ethernet(flags: LinkFlags, more: Vec<LinkAttribute>) -> Link {
    read(LinkLayerType::Ether, flags, &MAC, more)
}

fn of_kind(kind: InfoKind) -> LinkAttribute {
    LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind)])
}

/// Part of another interface, of this kind.
fn port_of(kind: Option<InfoPortKind>) -> Vec<LinkAttribute> {
    let info = kind.map(|kind| LinkAttribute::LinkInfo(vec![LinkInfo::PortKind(kind)]));
    std::iter::once(LinkAttribute::Controller(9)).chain(info).collect()
}

/// What a `VirtualIP` is told that names the interface, and one that does not, though its subnet is there.
fn refusals(link: Link) -> (Unfit, Unfit) {
    let subnet = vec!["192.0.2.1/24".parse().unwrap()];
    let links = Links::new(vec![Link { addresses: subnet, ..link }]);
    let find = |name| links.find("192.0.2.9".parse().unwrap(), name).unwrap_err();
    (find(Some("wire0")), find(None))
}

#[test]
fn what_stands_on_other_interfaces_carries_addresses_as_any_other() {
    let below = LinkAttribute::Link(2);
    for (what, link) in [
        ("VLAN", ethernet(LinkFlags::empty(), vec![below.clone(), of_kind(InfoKind::Vlan)])),
        ("macvlan", ethernet(LinkFlags::empty(), vec![below, of_kind(InfoKind::MacVlan)])),
        ("bond", ethernet(LinkFlags::Controller, vec![of_kind(InfoKind::Bond)])),
        ("team", ethernet(LinkFlags::empty(), vec![of_kind(InfoKind::Other("team".to_owned()))])),
        ("bridge", ethernet(LinkFlags::empty(), vec![of_kind(InfoKind::Bridge)])),
        ("member of a VRF", ethernet(LinkFlags::empty(), port_of(Some(InfoPortKind::Vrf)))),
    ] {
        assert_eq!(link.fit(), Ok(()), "{what}");
        assert_eq!(link.mac, Some(Mac(MAC)), "{what}");
    }
}

#[test]
fn ports_of_bonds_teams_and_bridges_are_never_chosen() {
    for (what, port) in [
        ("bond", ethernet(LinkFlags::Port, port_of(Some(InfoPortKind::Bond)))),
        // Also by the flag alone, as before there were attributes of ports.
        ("bond", ethernet(LinkFlags::Port, vec![])),
        ("team", ethernet(LinkFlags::empty(), port_of(Some(InfoPortKind::Team)))),
        ("bridge", ethernet(LinkFlags::empty(), port_of(Some(InfoPortKind::Bridge)))),
        (
            "Open vSwitch",
            ethernet(LinkFlags::empty(), port_of(Some(InfoPortKind::Other("openvswitch".to_owned())))),
        ),
        ("unknown", ethernet(LinkFlags::empty(), port_of(None))),
    ] {
        let (named, found) = refusals(port);
        assert_eq!(named, Unfit::Port { name: "wire0".to_owned() }, "{what}");
        assert!(matches!(found, Unfit::NoSubnet { .. }), "{what}: {found}");
    }
}

#[test]
fn one_that_left_its_bond_is_no_port() {
    let free = ethernet(LinkFlags::empty(), vec![LinkAttribute::Controller(0)]);
    assert_eq!(free.fit(), Ok(()));
}

#[test]
fn loopback_and_what_does_no_arp_are_never_chosen() {
    let loopback = read(LinkLayerType::Loopback, LinkFlags::Loopback, &[0; 6], vec![]);
    assert_eq!(refusals(loopback).0, Unfit::Loopback { name: "wire0".to_owned() });
    let quiet = [
        ethernet(LinkFlags::Noarp, vec![of_kind(InfoKind::Dummy)]),
        read(LinkLayerType::None, LinkFlags::Noarp, &[], vec![of_kind(InfoKind::Wireguard)]),
    ];
    for link in quiet {
        let (named, found) = refusals(link);
        assert_eq!(named, Unfit::NoArp { name: "wire0".to_owned() });
        assert!(matches!(found, Unfit::NoSubnet { .. }), "{found}");
    }
}

#[test]
fn infiniband_is_refused_with_its_reason() {
    let link = read(LinkLayerType::Infiniband, LinkFlags::empty(), &INFINIBAND, vec![]);
    assert_eq!(link.mac, None);
    let (named, found) = refusals(link);
    assert_eq!(
        named.to_string(),
        "interface wire0 is not Ethernet (its hardware address has not six bytes, as on InfiniBand): an address cannot be announced there"
    );
    assert!(matches!(found, Unfit::NoSubnet { .. }), "{found}");
}
