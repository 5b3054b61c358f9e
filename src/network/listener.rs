//! Hearing what other hosts of the segment claim.

use std::{collections::BTreeSet, io, net::IpAddr};

use nix::libc::{ETH_P_ARP, ETH_P_IPV6};

use super::{
    Claim, Link, Mac, WireError,
    filter::{self, Instruction},
    packet_socket::Receiver,
};

/// More than any ARP packet or neighbour advertisement that a host would send.
const FRAME: usize = 1514;

/// Hears the claims of other hosts on one interface. Drop it when the interface is deleted: it would hear nothing
/// for ever. While the interface is down it waits.
#[derive(Debug)]
pub struct Listener {
    link: String,
    own: Vec<Mac>,
    // Two sockets, each for one kind of frame: one for all kinds would make the kernel copy whatever leaves, too.
    arp: Receiver,
    ndp: Receiver,
    arp_frame: Box<[u8; FRAME]>,
    ndp_frame: Box<[u8; FRAME]>,
}

impl Listener {
    /// Begins to listen. Frames from the interface's own address and from `own` (the node's other interfaces) are
    /// passed over.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`, or when the interface has gone. Must be called within a tokio runtime.
    pub fn open(link: &Link, own: impl IntoIterator<Item = Mac>) -> Result<Self, WireError> {
        let open = |kind, filter: &[Instruction]| {
            let opened = u16::try_from(kind).map_err(io::Error::other);
            let opened = opened.and_then(|kind| Receiver::open(link.index, kind, filter));
            opened.map_err(|source| WireError::Listen { link: link.name.clone(), source })
        };
        Ok(Self {
            link: link.name.clone(),
            own: own.into_iter().chain(link.mac).collect(),
            arp: open(ETH_P_ARP, &[])?,
            ndp: open(ETH_P_IPV6, &filter::ADVERTISEMENTS)?,
            arp_frame: Box::new([0; FRAME]),
            ndp_frame: Box::new([0; FRAME]),
        })
    }

    /// From now on only the claims of these addresses are heard: the others, and all else on a busy network, do not even
    /// wake this process. Where the kernel has no room for so many, all claims are heard.
    ///
    /// # Errors
    /// When the kernel takes no filter at all.
    pub fn heed(&self, addresses: &BTreeSet<IpAddr>) -> Result<(), WireError> {
        let arp = self.arp.attach(&filter::arp_of(addresses));
        let arp = arp.or_else(|_| self.arp.attach(&filter::EVERYTHING));
        let ndp = self.ndp.attach(&filter::advertisements_of(addresses));
        let ndp = ndp.or_else(|_| self.ndp.attach(&filter::ADVERTISEMENTS));
        arp.and(ndp).map_err(|source| WireError::Listen { link: self.link.clone(), source })
    }

    /// Whether a frame waits.
    #[cfg(test)]
    pub(super) fn has_heard(&self) -> bool {
        self.arp.holds_something() || self.ndp.holds_something()
    }

    /// The next claim of another host, of whatever address. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// When nothing can be received any more.
    pub async fn claim(&mut self) -> Result<Claim, WireError> {
        loop {
            let received = tokio::select! {
                length = self.arp.receive(&mut self.arp_frame[..]) => length.map(|length| &self.arp_frame[..length]),
                length = self.ndp.receive(&mut self.ndp_frame[..]) => length.map(|length| &self.ndp_frame[..length]),
            };
            let frame = received.map_err(|source| WireError::Listen { link: self.link.clone(), source })?;
            if let Some(claim) = Claim::read(frame).filter(|claim| !self.own.contains(&claim.mac)) {
                return Ok(claim);
            }
        }
    }
}
