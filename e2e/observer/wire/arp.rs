//! ARP frames (RFC 826, RFC 5227).

use std::net::{IpAddr, Ipv4Addr};

use pnet::packet::arp::{ArpHardwareTypes, ArpOperations, ArpPacket, MutableArpPacket};
use pnet::packet::ethernet::{EtherTypes, EthernetPacket, MutableEthernetPacket};
use pnet::packet::{MutablePacket, Packet};
use pnet::util::MacAddr;

use super::Heard;
use crate::judge::report::Form;

/// A broadcast request for `address`.
pub fn request(mac: MacAddr, sender: Ipv4Addr, address: Ipv4Addr) -> Option<Vec<u8>> {
    let length = EthernetPacket::minimum_packet_size() + ArpPacket::minimum_packet_size();
    let mut frame = vec![0; length];
    let mut ethernet = MutableEthernetPacket::new(&mut frame)?;
    ethernet.set_destination(MacAddr::broadcast());
    ethernet.set_source(mac);
    ethernet.set_ethertype(EtherTypes::Arp);
    let mut arp = MutableArpPacket::new(ethernet.payload_mut())?;
    arp.set_hardware_type(ArpHardwareTypes::Ethernet);
    arp.set_protocol_type(EtherTypes::Ipv4);
    arp.set_hw_addr_len(6);
    arp.set_proto_addr_len(4);
    arp.set_operation(ArpOperations::Request);
    arp.set_sender_hw_addr(mac);
    arp.set_sender_proto_addr(sender);
    arp.set_target_proto_addr(address);
    Some(frame)
}

/// What an ARP frame says about its sender's address; a question says nothing.
pub fn hear(frame: &EthernetPacket<'_>) -> Option<Heard> {
    let arp = ArpPacket::new(frame.payload())?;
    let address = IpAddr::from(arp.get_sender_proto_addr());
    let mac = arp.get_sender_hw_addr();
    let target = IpAddr::from(arp.get_target_proto_addr());
    match arp.get_operation() {
        ArpOperations::Request if target == address => {
            Some(Heard::Announcement { address, mac, form: Form::Request })
        }
        ArpOperations::Reply if target == address || frame.get_destination().is_broadcast() => {
            Some(Heard::Announcement { address, mac, form: Form::Reply })
        }
        ArpOperations::Reply => Some(Heard::Answer { address, mac, sender: target }),
        _ => None,
    }
}
