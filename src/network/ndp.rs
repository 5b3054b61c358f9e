//! Neighbour advertisements and solicitations for IPv6 over Ethernet (RFC 4861, RFC 4862).

use std::net::Ipv6Addr;

use pnet::packet::{
    Packet,
    ethernet::{EtherTypes, EthernetPacket},
    icmpv6::{
        Icmpv6Packet, Icmpv6Type, Icmpv6Types, MutableIcmpv6Packet, checksum,
        ndp::{NdpOptionTypes, NeighborAdvertFlags, NeighborAdvertPacket},
    },
    ip::IpNextHeaderProtocols,
    ipv6::{Ipv6Packet, MutableIpv6Packet},
};

use super::{Claim, Mac, ethernet};

/// What proves that a packet was not forwarded (RFC 4861, 7.1).
const HOP_LIMIT: u8 = 255;
/// `ff02::1`.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// Bytes of a solicitation or advertisement before its options.
const MESSAGE_LENGTH: usize = 24;

/// An unsolicited neighbour advertisement to all nodes (RFC 4861, 7.2.6): Override set, Solicited clear, with the
/// target's link-layer address. `router` must be what the interface is, or hosts drop it from their routers.
#[must_use]
pub fn advertisement(mac: Mac, address: Ipv6Addr, router: bool) -> Vec<u8> {
    let router = if router { NeighborAdvertFlags::Router } else { 0 };
    let mut body = message(NeighborAdvertFlags::Override | router, address);
    body.extend([NdpOptionTypes::TargetLLAddr.0, 1]);
    body.extend(mac.0);
    packet(Icmpv6Types::NeighborAdvert, mac, address, ALL_NODES, &mut body)
}

/// A solicitation as in duplicate address detection (RFC 4862, 5.4.2): asks for the address without claiming it.
#[must_use]
pub fn probe(mac: Mac, address: Ipv6Addr) -> Vec<u8> {
    let solicited = solicited_node(address);
    packet(Icmpv6Types::NeighborSolicit, mac, Ipv6Addr::UNSPECIFIED, solicited, &mut message(0, address))
}

/// Asks where `host` is, in the name of `address`: it learns from the source link-layer address where that is
/// (RFC 4861, 7.2.3).
#[must_use]
pub fn question(mac: Mac, address: Ipv6Addr, host: Ipv6Addr) -> Vec<u8> {
    let mut body = message(0, host);
    body.extend([NdpOptionTypes::SourceLLAddr.0, 1]);
    body.extend(mac.0);
    packet(Icmpv6Types::NeighborSolicit, mac, address, solicited_node(host), &mut body)
}

/// The group that every host with `address` listens to (RFC 4291, 2.7.1).
fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}

/// What a valid neighbour advertisement (RFC 4861, 7.1.2) says of its target. Without the option that says where
/// the target is, it is at the sender of the frame.
#[must_use]
pub fn claim(frame: &[u8]) -> Option<Claim> {
    let ethernet = EthernetPacket::new(frame)?;
    if ethernet.get_ethertype() != EtherTypes::Ipv6 {
        return None;
    }
    let ip = Ipv6Packet::new(ethernet.payload())?;
    let icmp = Icmpv6Packet::new(ip.payload())?;
    let advert = NeighborAdvertPacket::new(ip.payload())?;
    let (flags, target) = (advert.get_flags(), advert.get_target_addr());
    let valid = ip.get_next_header() == IpNextHeaderProtocols::Icmpv6
        && ip.get_hop_limit() == HOP_LIMIT
        && ip.payload().len() == usize::from(ip.get_payload_length())
        && icmp.get_icmpv6_type() == Icmpv6Types::NeighborAdvert
        && icmp.get_icmpv6_code().0 == 0
        && icmp.get_checksum() == checksum(&icmp, &ip.get_source(), &ip.get_destination())
        && !target.is_multicast()
        && !(ip.get_destination().is_multicast() && flags & NeighborAdvertFlags::Solicited != 0);
    if !valid {
        return None;
    }
    let mac = link_layer(ip.payload().get(MESSAGE_LENGTH..)?, ethernet.get_source().into())?;
    mac.is_host().then_some(Claim { address: target.into(), mac })
}

/// The target's link-layer address among the options, or `unsaid`; none at all if the options are broken.
///
/// Read by hand: pnet's own reader of options overflows on a length of 32 or more.
fn link_layer(mut options: &[u8], unsaid: Mac) -> Option<Mac> {
    let mut mac = unsaid;
    while let [kind, length, ..] = options {
        let length = usize::from(*length) * 8;
        let option = options.get(..length).filter(|option| !option.is_empty())?;
        if *kind == NdpOptionTypes::TargetLLAddr.0 && length == 8 {
            mac = Mac(option.get(2..8)?.try_into().ok()?);
        }
        options = &options[length..];
    }
    options.is_empty().then_some(mac)
}

/// Type, code and checksum (all later), flags, target.
fn message(flags: u8, target: Ipv6Addr) -> Vec<u8> {
    let mut body = vec![0, 0, 0, 0, flags, 0, 0, 0];
    body.extend(target.octets());
    body
}

fn packet(kind: Icmpv6Type, mac: Mac, source: Ipv6Addr, destination: Ipv6Addr, body: &mut [u8]) -> Vec<u8> {
    if let Some(mut icmp) = MutableIcmpv6Packet::new(body) {
        icmp.set_icmpv6_type(kind);
        let sum = checksum(&icmp.to_immutable(), &source, &destination);
        icmp.set_checksum(sum);
    }
    let mut payload = vec![0; Ipv6Packet::minimum_packet_size() + body.len()];
    if let Some(mut ip) = MutableIpv6Packet::new(&mut payload) {
        ip.set_version(6);
        ip.set_payload_length(u16::try_from(body.len()).unwrap_or(u16::MAX));
        ip.set_next_header(IpNextHeaderProtocols::Icmpv6);
        ip.set_hop_limit(HOP_LIMIT);
        ip.set_source(source);
        ip.set_destination(destination);
        ip.set_payload(body);
    }
    ethernet::frame(mac, group(destination), EtherTypes::Ipv6, &payload)
}

/// The Ethernet address of a multicast group (RFC 2464, 7).
fn group(destination: Ipv6Addr) -> Mac {
    let [.., a, b, c, d] = destination.octets();
    Mac([0x33, 0x33, a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::testing::{hex, noise};

    const MAC: Mac = Mac([0x02, 0, 0x5e, 0x10, 0, 1]);
    const VIP: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x200);

    /// One's complement sum over pseudo header and message (RFC 8200, 8.1), by hand.
    fn sums_up(frame: &[u8]) -> bool {
        let addresses_and_message = frame[22..54].iter().chain(&frame[54..]).copied().collect::<Vec<_>>();
        let words = addresses_and_message.chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])));
        let mut sum = words.sum::<u32>() + u32::try_from(frame.len() - 54).unwrap() + 58;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum == 0xffff
    }

    #[test]
    fn advertisement_is_as_in_rfc_4861() {
        let frame = advertisement(MAC, VIP, false);
        let mut expected = hex("333300000001 02005e100001 86dd 60000000 0020 3a ff
            20010db8000000000000000000000200 ff020000000000000000000000000001
            88 00 0000 20000000 20010db8000000000000000000000200 02 01 02005e100001");
        expected[56..58].copy_from_slice(&frame[56..58]);
        assert_eq!(frame, expected);
        assert!(sums_up(&frame));
    }

    #[test]
    fn a_router_says_so() {
        let frame = advertisement(MAC, VIP, true);
        assert_eq!(frame[58], 0xa0);
        assert!(sums_up(&frame));
    }

    #[test]
    fn probe_asks_the_solicited_node_group_and_claims_nothing() {
        let frame = probe(MAC, Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0x12, 0x3456));
        let mut expected = hex("3333ff123456 02005e100001 86dd 60000000 0018 3a ff
            00000000000000000000000000000000 ff0200000000000000000001ff123456
            87 00 0000 00000000 20010db8000000000000000000123456");
        expected[56..58].copy_from_slice(&frame[56..58]);
        assert_eq!(frame, expected);
        assert!(sums_up(&frame));
        assert_eq!(claim(&frame), None);
    }

    #[test]
    fn a_question_says_where_its_sender_is() {
        let frame = question(MAC, VIP, Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0x12, 0x3456));
        let mut expected = hex("3333ff123456 02005e100001 86dd 60000000 0020 3a ff
            20010db8000000000000000000000200 ff0200000000000000000001ff123456
            87 00 0000 00000000 fe800000000000000000000000123456 01 01 02005e100001");
        expected[56..58].copy_from_slice(&frame[56..58]);
        assert_eq!(frame, expected);
        assert!(sums_up(&frame));
    }

    #[test]
    fn advertisement_is_a_claim_also_when_padded_or_without_option() {
        let mut frame = advertisement(MAC, VIP, false);
        let expected = Some(Claim { address: VIP.into(), mac: MAC });
        assert_eq!(claim(&frame), expected);
        frame.extend([0; 10]);
        assert_eq!(claim(&frame), expected);
        let mut body = message(NeighborAdvertFlags::Override, VIP);
        assert_eq!(claim(&packet(Icmpv6Types::NeighborAdvert, MAC, VIP, ALL_NODES, &mut body)), expected);
    }

    #[test]
    fn what_a_host_must_discard_is_no_claim() {
        // Ethertype, length, next header, hop limit, source (so the checksum), type, code, Solicited, option of length 0.
        for (at, value) in [
            (12, 8),
            (19, 31),
            (20, 59),
            (21, 254),
            (22, 0x30),
            (54, 135),
            (55, 1),
            (58, 0x60),
            (79, 0),
            (79, 255),
        ] {
            let mut frame = advertisement(MAC, VIP, false);
            frame[at] = value;
            if at > 57 {
                let (head, body) = frame.split_at_mut(54);
                let ip = Ipv6Packet::new(&head[14..]).unwrap();
                let mut icmp = MutableIcmpv6Packet::new(body).unwrap();
                let sum = checksum(&icmp.to_immutable(), &ip.get_source(), &ip.get_destination());
                icmp.set_checksum(sum);
            }
            assert_eq!(claim(&frame), None, "byte {at} = {value:#x}");
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        for frame in noise(&[advertisement(MAC, VIP, true), probe(MAC, VIP)]) {
            let _ = claim(&frame);
            let _ = link_layer(&frame, MAC);
        }
    }
}
