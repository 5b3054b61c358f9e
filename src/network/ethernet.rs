//! Whole Ethernet frames, so that nothing of what we say depends on what the kernel has configured.

use pnet::{
    packet::ethernet::{EtherType, EthernetPacket, MutableEthernetPacket},
    util::MacAddr,
};

use super::Mac;

impl From<Mac> for MacAddr {
    fn from(mac: Mac) -> Self {
        mac.0.into()
    }
}

impl From<MacAddr> for Mac {
    fn from(mac: MacAddr) -> Self {
        Self(mac.octets())
    }
}

/// An untagged frame. Drivers pad short ones.
pub(super) fn frame(source: Mac, destination: Mac, kind: EtherType, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; EthernetPacket::minimum_packet_size() + payload.len()];
    if let Some(mut ethernet) = MutableEthernetPacket::new(&mut frame) {
        ethernet.set_source(source.into());
        ethernet.set_destination(destination.into());
        ethernet.set_ethertype(kind);
        ethernet.set_payload(payload);
    }
    frame
}
