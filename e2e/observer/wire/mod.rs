//! Asking and listening on an interface: frames, packet sockets, the clock.

mod arp;
pub mod clock;
pub mod interface;
mod ndp;
mod packet;
mod receive;
#[cfg(test)]
mod tests;

pub use packet::Socket;
pub use receive::listen;

use std::net::IpAddr;

use pnet::packet::ethernet::{EtherTypes, EthernetPacket};
use pnet::util::MacAddr;

use crate::judge::report::Form;

/// What a frame says about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// `mac` answers the question that `sender` asked.
    Answer {
        /// The address in question.
        address: IpAddr,
        /// Who has it.
        mac: MacAddr,
        /// Who asked.
        sender: IpAddr,
    },
    /// `mac` says unasked that it has the address.
    Announcement {
        /// The address announced.
        address: IpAddr,
        /// Who has it.
        mac: MacAddr,
        /// How it was said.
        form: Form,
    },
}

/// The question for `address` as a frame: an ARP request or a neighbour solicitation.
///
/// Both addresses are of one family; there is no question otherwise.
pub fn question(mac: MacAddr, sender: IpAddr, address: IpAddr) -> Option<Vec<u8>> {
    match (sender, address) {
        (IpAddr::V4(sender), IpAddr::V4(address)) => arp::request(mac, sender, address),
        (IpAddr::V6(sender), IpAddr::V6(address)) => ndp::solicitation(mac, sender, address),
        _ => None,
    }
}

/// What a frame says about an address, if anything.
fn hear(frame: &[u8]) -> Option<Heard> {
    let frame = EthernetPacket::new(frame)?;
    match frame.get_ethertype() {
        EtherTypes::Arp => arp::hear(&frame),
        EtherTypes::Ipv6 => ndp::hear(&frame),
        _ => None,
    }
}
