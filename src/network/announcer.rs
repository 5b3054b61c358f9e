//! Telling the segment where an address now is.

use std::net::IpAddr;

use super::{Link, WireError, arp, ndp, packet_socket::Sender};

/// Sends announcements on any interface.
///
/// They are whole frames, so the first can leave at once, whatever the kernel makes of the address in the meantime.
/// They must not leave without the right to the address: that is for the caller to know.
#[derive(Debug)]
pub struct Announcer {
    sender: Sender,
}

impl Announcer {
    /// Opens the socket, in the network namespace of this thread.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`.
    pub fn open() -> Result<Self, WireError> {
        Ok(Self { sender: Sender::open().map_err(WireError::Open)? })
    }

    /// Announces once: a gratuitous ARP in request and in reply form, or an unsolicited neighbour advertisement.
    ///
    /// # Errors
    /// When the interface is not Ethernet, is down, or its queue is full.
    pub fn announce(&self, link: &Link, address: IpAddr) -> Result<(), WireError> {
        let mac = link.mac.ok_or_else(|| WireError::NotEthernet { link: link.name.clone() })?;
        let send = |frame: Vec<u8>| {
            let sent = self.sender.send(link.index, &frame);
            sent.map_err(|source| WireError::Send { link: link.name.clone(), source })
        };
        match address {
            IpAddr::V4(address) => {
                send(arp::announcement_request(mac, address))?;
                send(arp::announcement_reply(mac, address))
            }
            IpAddr::V6(address) => send(ndp::advertisement(mac, address, link.router)),
        }
    }
}
