//! Telling the segment where an address now is.

use std::net::IpAddr;

use super::{Link, Mac, WireError, arp, ndp, packet_socket::Sender};

/// Sends announcements on any interface.
///
/// They are whole frames, so the first can leave at once, whatever the kernel makes of the address in the meantime.
/// They must not leave without the right to the address: that is for the caller to know.
#[derive(Debug)]
pub struct Announcer {
    sender: Sender,
}

/// Form of gratuitous ARP. Neighbour advertisements have one form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// One of each: some devices learn only from requests, some only from replies.
    #[default]
    Both,
    /// Only requests.
    Request,
    /// Only replies.
    Reply,
}

impl Announcer {
    /// Opens the socket, in the network namespace of this thread.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`.
    pub fn open() -> Result<Self, WireError> {
        Ok(Self { sender: Sender::open().map_err(WireError::Open)? })
    }

    /// Announces once, in both forms: a gratuitous ARP request and reply, or an unsolicited neighbour advertisement.
    ///
    /// # Errors
    /// When the interface is not Ethernet, is down, or its queue is full.
    pub fn announce(&self, link: &Link, address: IpAddr) -> Result<(), WireError> {
        self.announce_as(link, address, Form::Both)
    }

    /// As [`Announcer::announce`], IPv4 in this form.
    ///
    /// # Errors
    /// As [`Announcer::announce`].
    pub fn announce_as(&self, link: &Link, address: IpAddr, form: Form) -> Result<(), WireError> {
        let mac = ethernet(link)?;
        match address {
            IpAddr::V4(address) => {
                if form != Form::Reply {
                    self.send(link, &arp::announcement_request(mac, address))?;
                }
                if form != Form::Request {
                    self.send(link, &arp::announcement_reply(mac, address))?;
                }
                Ok(())
            }
            IpAddr::V6(address) => self.send(link, &ndp::advertisement(mac, address, forwards(link))),
        }
    }

    /// Tells one host of the segment: asks it, in the name of `address`, where it is, which makes it learn where
    /// `address` is (RFC 826; RFC 4861, 7.2.3). Nothing is sent to a host of the other family.
    ///
    /// # Errors
    /// As [`Announcer::announce`].
    pub fn tell(&self, link: &Link, address: IpAddr, host: IpAddr) -> Result<(), WireError> {
        let mac = ethernet(link)?;
        match (address, host) {
            (IpAddr::V4(address), IpAddr::V4(host)) => self.send(link, &arp::question(mac, address, host)),
            (IpAddr::V6(address), IpAddr::V6(host)) => self.send(link, &ndp::question(mac, address, host)),
            _ => Ok(()),
        }
    }

    fn send(&self, link: &Link, frame: &[u8]) -> Result<(), WireError> {
        let sent = self.sender.send(link.index, frame);
        sent.map_err(|source| WireError::Send { link: link.name.clone(), source })
    }
}

fn ethernet(link: &Link) -> Result<Mac, WireError> {
    link.mac.ok_or_else(|| WireError::NotEthernet { link: link.name.clone() })
}

/// Whether the interface forwards IPv6 at this moment. The kernel answers solicitations by what it is then, and tells
/// nobody when it changes.
fn forwards(link: &Link) -> bool {
    let setting = std::fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{}/forwarding", link.name));
    setting.map_or(link.router, |text| text.trim() != "0")
}
