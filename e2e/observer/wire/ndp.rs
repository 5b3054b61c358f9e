//! Neighbour solicitations and advertisements (RFC 4861).

use std::net::{IpAddr, Ipv6Addr};

use pnet::packet::Packet;
use pnet::packet::ethernet::{EtherTypes, EthernetPacket, MutableEthernetPacket};
use pnet::packet::icmpv6::ndp::{NdpOptionTypes, NeighborAdvertFlags, NeighborAdvertPacket};
use pnet::packet::icmpv6::{Icmpv6Packet, Icmpv6Types, checksum};
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv6::{Ipv6Packet, MutableIpv6Packet};
use pnet::util::MacAddr;

use super::Heard;
use crate::judge::report::Form;

const ETHERNET: usize = 14;
const IPV6: usize = 40;
/// Header, target and the option with the sender's hardware address.
const SOLICITATION: u16 = 32;

/// A solicitation for `address`, to its solicited-node multicast group.
pub fn solicitation(mac: MacAddr, sender: Ipv6Addr, address: Ipv6Addr) -> Option<Vec<u8>> {
    let [.., x, y, z] = address.octets();
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(x), u16::from_be_bytes([y, z]));

    let mut frame = vec![0; ETHERNET + IPV6];
    let mut ethernet = MutableEthernetPacket::new(&mut frame)?;
    ethernet.set_destination(MacAddr::new(0x33, 0x33, 0xff, x, y, z));
    ethernet.set_source(mac);
    ethernet.set_ethertype(EtherTypes::Ipv6);
    let mut ipv6 = MutableIpv6Packet::new(frame.get_mut(ETHERNET..)?)?;
    ipv6.set_version(6);
    ipv6.set_payload_length(SOLICITATION);
    ipv6.set_next_header(IpNextHeaderProtocols::Icmpv6);
    ipv6.set_hop_limit(255);
    ipv6.set_source(sender);
    ipv6.set_destination(group);

    let mut icmp = vec![Icmpv6Types::NeighborSolicit.0, 0, 0, 0, 0, 0, 0, 0];
    icmp.extend(address.octets());
    icmp.extend([NdpOptionTypes::SourceLLAddr.0, 1]);
    icmp.extend(mac.octets());
    let sum = checksum(&Icmpv6Packet::new(&icmp)?, &sender, &group);
    icmp.get_mut(2..4)?.copy_from_slice(&sum.to_be_bytes());
    frame.extend(icmp);
    Some(frame)
}

/// What a neighbour advertisement says about its target.
///
/// The hardware address is the option's, or the frame's where the option is left out.
pub fn hear(frame: &EthernetPacket<'_>) -> Option<Heard> {
    let ipv6 = Ipv6Packet::new(frame.payload())?;
    if ipv6.get_next_header() != IpNextHeaderProtocols::Icmpv6 {
        return None;
    }
    let advertisement = NeighborAdvertPacket::new(ipv6.payload())?;
    if advertisement.get_icmpv6_type() != Icmpv6Types::NeighborAdvert {
        return None;
    }
    let address = IpAddr::from(advertisement.get_target_addr());
    let option =
        advertisement.get_options_iter().find(|o| o.get_option_type() == NdpOptionTypes::TargetLLAddr);
    let mac = option.and_then(|option| mac_of(option.payload())).unwrap_or(frame.get_source());
    let destination = ipv6.get_destination();
    if destination.is_multicast() {
        return Some(Heard::Announcement { address, mac, form: Form::Na });
    }
    let solicited = advertisement.get_flags() & NeighborAdvertFlags::Solicited != 0;
    solicited.then_some(Heard::Answer { address, mac, sender: IpAddr::from(destination) })
}

fn mac_of(bytes: &[u8]) -> Option<MacAddr> {
    let bytes: [u8; 6] = bytes.get(..6)?.try_into().ok()?;
    Some(MacAddr::from(bytes))
}
