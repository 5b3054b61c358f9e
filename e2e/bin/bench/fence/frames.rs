//! Frames that say something about an address, as far as the fence looks at them.

use std::net::IpAddr;

const ETHERNET: usize = 14;
/// As much as a small packet with a transport header.
const LENGTH: usize = 98;

/// One of a protocol that the fence does not look at (LLDP).
pub fn unjudged() -> Vec<u8> {
    frame(0x88cc, &[])
}

/// Those from and to this address, and those that say whose it is.
pub fn about(address: IpAddr) -> Vec<Vec<u8>> {
    match address {
        IpAddr::V4(v4) => {
            let octets = v4.octets();
            vec![
                frame(0x0800, &[(0, &[0x45]), (12, &octets), (16, &octets)]),
                // Requests and answers have the sender at the same place.
                frame(0x0806, &[(14, &octets)]),
            ]
        }
        IpAddr::V6(v6) => {
            let octets = v6.octets();
            let (tcp, icmp, advertisement) = ([0x60, 0, 0, 0, 0, 0, 6], [0x60, 0, 0, 0, 0, 0, 58], [136]);
            let ends: [(usize, &[u8]); 2] = [(8, &octets), (24, &octets)];
            vec![
                frame(0x86dd, &[(0, &tcp), ends[0], ends[1]]),
                frame(0x86dd, &[(0, &icmp), ends[0], ends[1], (40, &advertisement), (48, &octets)]),
            ]
        }
    }
}

fn frame(protocol: u16, fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut frame = vec![0; LENGTH];
    frame[12..ETHERNET].copy_from_slice(&protocol.to_be_bytes());
    for (offset, field) in fields {
        frame[ETHERNET + offset..][..field.len()].copy_from_slice(field);
    }
    frame
}
