//! Hearing what other hosts of the segment claim.

use std::io;

use nix::libc::{BPF_ABS, BPF_B, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, ETH_P_ARP, ETH_P_IPV6};
use socket2::SockFilter;

use super::{Claim, Link, Mac, WireError, packet_socket::Receiver};

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
        let open = |kind, filter: &[SockFilter]| {
            let opened = u16::try_from(kind).map_err(io::Error::other);
            let opened = opened.and_then(|kind| Receiver::open(link.index, kind, filter));
            opened.map_err(|source| WireError::Listen { link: link.name.clone(), source })
        };
        Ok(Self {
            link: link.name.clone(),
            own: own.into_iter().chain(link.mac).collect(),
            arp: open(ETH_P_ARP, &[])?,
            ndp: open(ETH_P_IPV6, &ADVERTISEMENTS)?,
            arp_frame: Box::new([0; FRAME]),
            ndp_frame: Box::new([0; FRAME]),
        })
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

/// Classic BPF: of IPv6 only neighbour advertisements, so that nobody wakes for the node's traffic. Extension headers
/// before `ICMPv6` are not followed: no host sends advertisements with them.
const ADVERTISEMENTS: [SockFilter; 6] = [
    load(20),          // next header
    equals(58, 0, 3),  // ICMPv6
    load(54),          // type
    equals(136, 0, 1), // neighbour advertisement
    give(u32::MAX),    // whole
    give(0),           // nothing
];

const fn load(offset: u32) -> SockFilter {
    SockFilter::new(code(BPF_LD | BPF_B | BPF_ABS), 0, 0, offset)
}

const fn equals(value: u32, then: u8, otherwise: u8) -> SockFilter {
    SockFilter::new(code(BPF_JMP | BPF_JEQ | BPF_K), then, otherwise, value)
}

const fn give(bytes: u32) -> SockFilter {
    SockFilter::new(code(BPF_RET | BPF_K), 0, 0, bytes)
}

#[expect(clippy::cast_possible_truncation, reason = "operation codes have 16 bits")]
const fn code(code: u32) -> u16 {
    code as u16
}
