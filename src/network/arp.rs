//! ARP packets for IPv4 over Ethernet (RFC 826, RFC 5227).

use std::net::Ipv4Addr;

use pnet::packet::{
    Packet,
    arp::{ArpHardwareTypes, ArpOperation, ArpOperations, ArpPacket, MutableArpPacket},
    ethernet::{EtherTypes, EthernetPacket},
};

use super::{Claim, Mac, ethernet};

const MAC_LENGTH: u8 = 6;
const IPV4_LENGTH: u8 = 4;

/// A gratuitous ARP, request form: "who has the address? tell the address" (RFC 5227, 2.3). Target hardware address
/// zero. Hosts that have an entry change it.
#[must_use]
pub fn announcement_request(mac: Mac, address: Ipv4Addr) -> Vec<u8> {
    broadcast(ArpOperations::Request, (mac, address), (Mac::ZERO, address))
}

/// A gratuitous ARP, reply form, broadcast: some switches and routers learn only from replies. Target hardware
/// address our own.
#[must_use]
pub fn announcement_reply(mac: Mac, address: Ipv4Addr) -> Vec<u8> {
    broadcast(ArpOperations::Reply, (mac, address), (mac, address))
}

/// Asks where `host` is, in the name of `address`: it learns where that is, also if it had no entry for it (RFC 826).
#[must_use]
pub fn question(mac: Mac, address: Ipv4Addr, host: Ipv4Addr) -> Vec<u8> {
    broadcast(ArpOperations::Request, (mac, address), (Mac::ZERO, host))
}

/// An ARP probe: asks for the address without claiming it, sender protocol address zero (RFC 5227, 2.1.1).
#[must_use]
pub fn probe(mac: Mac, address: Ipv4Addr) -> Vec<u8> {
    broadcast(ArpOperations::Request, (mac, Ipv4Addr::UNSPECIFIED), (Mac::ZERO, address))
}

/// What the sender of an ARP packet, request or reply, says of itself; none for a probe, which claims nothing.
#[must_use]
pub fn claim(frame: &[u8]) -> Option<Claim> {
    let ethernet = EthernetPacket::new(frame)?;
    if ethernet.get_ethertype() != EtherTypes::Arp {
        return None;
    }
    let arp = ArpPacket::new(ethernet.payload())?;
    let valid = arp.get_hardware_type() == ArpHardwareTypes::Ethernet
        && arp.get_protocol_type() == EtherTypes::Ipv4
        && (arp.get_hw_addr_len(), arp.get_proto_addr_len()) == (MAC_LENGTH, IPV4_LENGTH)
        && [ArpOperations::Request, ArpOperations::Reply].contains(&arp.get_operation());
    let (mac, address) = (Mac::from(arp.get_sender_hw_addr()), arp.get_sender_proto_addr());
    let host =
        mac.is_host() && !address.is_unspecified() && !address.is_multicast() && !address.is_broadcast();
    (valid && host).then_some(Claim { address: address.into(), mac })
}

fn broadcast(operation: ArpOperation, sender: (Mac, Ipv4Addr), target: (Mac, Ipv4Addr)) -> Vec<u8> {
    let mut payload = [0; ArpPacket::minimum_packet_size()];
    if let Some(mut arp) = MutableArpPacket::new(&mut payload) {
        arp.set_hardware_type(ArpHardwareTypes::Ethernet);
        arp.set_protocol_type(EtherTypes::Ipv4);
        arp.set_hw_addr_len(MAC_LENGTH);
        arp.set_proto_addr_len(IPV4_LENGTH);
        arp.set_operation(operation);
        arp.set_sender_hw_addr(sender.0.into());
        arp.set_sender_proto_addr(sender.1);
        arp.set_target_hw_addr(target.0.into());
        arp.set_target_proto_addr(target.1);
    }
    ethernet::frame(sender.0, Mac::BROADCAST, EtherTypes::Arp, &payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::testing::{hex, noise};

    const MAC: Mac = Mac([0x02, 0, 0x5e, 0x10, 0, 1]);
    const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 200, 200);

    #[test]
    fn request_form_is_as_in_rfc_5227() {
        let expected =
            "ffffffffffff 02005e100001 0806 0001 0800 06 04 0001 02005e100001 c0a8c8c8 000000000000 c0a8c8c8";
        assert_eq!(announcement_request(MAC, VIP), hex(expected));
    }

    #[test]
    fn reply_form_has_our_own_address_as_its_target() {
        let expected =
            "ffffffffffff 02005e100001 0806 0001 0800 06 04 0002 02005e100001 c0a8c8c8 02005e100001 c0a8c8c8";
        assert_eq!(announcement_reply(MAC, VIP), hex(expected));
    }

    #[test]
    fn probe_claims_nothing() {
        let expected =
            "ffffffffffff 02005e100001 0806 0001 0800 06 04 0001 02005e100001 00000000 000000000000 c0a8c8c8";
        assert_eq!(probe(MAC, VIP), hex(expected));
        assert_eq!(claim(&probe(MAC, VIP)), None);
    }

    #[test]
    fn a_question_has_the_address_as_sender_and_the_host_as_target() {
        let expected =
            "ffffffffffff 02005e100001 0806 0001 0800 06 04 0001 02005e100001 c0a8c8c8 000000000000 c0a8c801";
        assert_eq!(question(MAC, VIP, Ipv4Addr::new(192, 168, 200, 1)), hex(expected));
    }

    #[test]
    fn both_forms_are_claims_also_when_padded() {
        let expected = Some(Claim { address: VIP.into(), mac: MAC });
        for mut frame in [announcement_request(MAC, VIP), announcement_reply(MAC, VIP)] {
            assert_eq!(claim(&frame), expected);
            frame.resize(60, 0);
            assert_eq!(claim(&frame), expected);
        }
    }

    #[test]
    fn what_is_not_ipv4_over_ethernet_is_no_claim() {
        // Ethertype, hardware type, protocol, lengths, operation; a group as sender.
        for (at, value) in [(12, 0x86), (15, 6), (16, 0x86), (18, 8), (19, 16), (21, 3), (22, 0x03)] {
            let mut frame = announcement_request(MAC, VIP);
            frame[at] = value;
            assert_eq!(claim(&frame), None, "byte {at} = {value:#x}");
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        for frame in noise(&[announcement_request(MAC, VIP), announcement_reply(MAC, VIP), probe(MAC, VIP)]) {
            let _ = claim(&frame);
        }
    }
}
