//! What a host says about itself on the wire.

use std::net::IpAddr;

use super::{Mac, arp, ndp};

/// "This address is at this hardware address", as an ARP packet or a neighbour advertisement says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The address claimed.
    pub address: IpAddr,
    /// Where it is said to be.
    pub mac: Mac,
}

impl Claim {
    /// The claim in an Ethernet frame, if it is a valid ARP packet or neighbour advertisement that makes one.
    #[must_use]
    pub fn read(frame: &[u8]) -> Option<Self> {
        arp::claim(frame).or_else(|| ndp::claim(frame))
    }
}
