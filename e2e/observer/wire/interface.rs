//! The client's own interface: its index, hardware address and IPv4 addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::Ipv4Net;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;
use pnet::util::MacAddr;

/// From so many made-up link-local addresses the neighbour solicitations come, in turn.
const IPV6_SENDERS: u16 = 32;

/// What asking needs to know of the interface.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its index.
    pub index: u32,
    /// Its hardware address.
    pub mac: MacAddr,
    /// Its IPv4 addresses with their subnets.
    pub ipv4: Vec<Ipv4Net>,
}

/// Why an interface cannot be asked from.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none with this name, or the kernel does not tell.
    #[error("look up the interface {name}")]
    Lookup {
        /// Its name.
        name: String,
        /// The kernel's word.
        source: nix::Error,
    },
    /// It is no Ethernet interface.
    #[error("the interface {0} has no hardware address")]
    NoMac(String),
    /// Nothing to send ARP requests from.
    #[error("no IPv4 address to ask for {0} from: give the interface one, or use --senders")]
    NoSender(Ipv4Addr),
}

impl Interface {
    /// Finds the interface in the network namespace of this thread.
    ///
    /// # Errors
    /// When it does not exist or has no hardware address.
    pub fn find(name: &str) -> Result<Self, Error> {
        let lookup = |source| Error::Lookup { name: name.to_owned(), source };
        let index = if_nametoindex(name).map_err(lookup)?;
        let mut mac = None;
        let mut ipv4 = Vec::new();
        for entry in getifaddrs().map_err(lookup)?.filter(|entry| entry.interface_name == name) {
            let Some(address) = entry.address else { continue };
            let prefix = entry.netmask.as_ref().and_then(|mask| mask.as_sockaddr_in());
            if let Some(link) = address.as_link_addr() {
                mac = link.addr().map(MacAddr::from);
            } else if let (Some(address), Some(mask)) = (address.as_sockaddr_in(), prefix) {
                ipv4.extend(Ipv4Net::with_netmask(address.ip(), mask.ip()).ok());
            }
        }
        let mac = mac.ok_or_else(|| Error::NoMac(name.to_owned()))?;
        Ok(Self { index, mac, ipv4 })
    }

    /// The protocol addresses from which to ask for `address`, in turn.
    ///
    /// For IPv4 the interface's addresses of the same subnet, or else all it has, unless `given` lists others:
    /// a node may drop requests from a foreign subnet (`rp_filter`). For IPv6 made-up link-local ones, made of
    /// the hardware address: these are valid on any link, and nobody else has them.
    ///
    /// # Errors
    /// When there is no IPv4 address to ask from.
    pub fn senders(&self, address: IpAddr, given: &[Ipv4Addr]) -> Result<Vec<IpAddr>, Error> {
        let IpAddr::V4(address) = address else { return Ok(self.link_locals()) };
        let near = self.ipv4.iter().filter(|net| net.contains(&address)).map(Ipv4Net::addr);
        let all = self.ipv4.iter().map(Ipv4Net::addr);
        let choices = [given.to_vec(), near.collect(), all.collect()];
        let chosen = choices.into_iter().find(|senders| !senders.is_empty());
        let chosen = chosen.ok_or(Error::NoSender(address))?;
        Ok(chosen.into_iter().map(IpAddr::from).collect())
    }

    fn link_locals(&self) -> Vec<IpAddr> {
        let made_up = |k: u16| {
            let mut octets = [0; 16];
            octets[..2].copy_from_slice(&[0xfe, 0x80]);
            octets[8..14].copy_from_slice(&self.mac.octets());
            octets[14..].copy_from_slice(&k.to_be_bytes());
            Ipv6Addr::from(octets)
        };
        (1..=IPV6_SENDERS).map(made_up).map(IpAddr::from).collect()
    }
}
