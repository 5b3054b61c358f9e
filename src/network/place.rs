//! Where an address belongs on this node, and with which prefix length.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Link, Links, Unfit};

/// Every interface has this subnet of link-local addresses (RFC 4291, 2.5.6), with or without an address in it.
pub const LINK_LOCAL_PREFIX: u8 = 64;

/// `arp_ignore`: answer only for addresses of the interface itself, asked from within their subnet. Nobody is in the subnet
/// of a host address.
const ARP_WITHIN_SUBNET: u8 = 2;
/// `arp_ignore`: answer for all but those that are valid only within this host.
const ARP_NOT_HOST: u8 = 3;
/// `arp_ignore`: answer for nothing.
const ARP_NEVER: u8 = 8;

/// An address, as it is wanted on any node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The address.
    pub address: IpAddr,
    /// Its prefix length.
    pub prefix: Prefix,
    /// The interfaces that may have it.
    pub on: On,
}

/// A prefix length, or how to find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefix {
    /// A host address: /32 or /128.
    Host,
    /// This one.
    Is(u8),
    /// That of the interface's longest subnet that contains the address.
    OfSubnet,
}

/// The interfaces that may have an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// The one whose subnet fits best.
    Any,
    /// The first of these that there is.
    OneOf(Vec<String>),
}

impl Links {
    /// The interface on which `wish` belongs, and the address as it is configured there.
    ///
    /// # Errors
    /// Why that interface, or none at all, can carry it.
    pub fn place(&self, wish: &Wish) -> Result<(&Link, IpNet), Unfit> {
        let name = match &wish.on {
            On::Any => None,
            On::OneOf(names) => Some(self.first_of(names)?),
        };
        let link = self.find(wish.address, name)?;
        let net = link.net(wish)?;
        answers_arp(link, net)?;
        Ok((link, net))
    }

    /// The first name that there is.
    fn first_of<'a>(&self, names: &'a [String]) -> Result<&'a str, Unfit> {
        let there = names.iter().find(|name| self.by_name(name).is_some());
        there.map(String::as_str).ok_or_else(|| match names {
            [] => Unfit::NotNamed,
            [name] => Unfit::NotFound { name: name.clone() },
            names => Unfit::NoneFound { names: names.join(", ") },
        })
    }
}

impl Links {
    /// Why no address of another node may be put on the loopback interface here, if that is so: the kernel would answer for
    /// it on the interface named, or ask in its name.
    #[must_use]
    pub fn loopback_refused(&self) -> Option<String> {
        let asked = self.iter().filter(|link| !link.loopback && !link.no_arp && link.mac.is_some());
        let mut careless = asked.filter(|link| link.answers_for_all() || link.arp_announce < 2);
        let link = careless.next()?;
        Some(format!(
            "on interface {} arp_ignore is {} and arp_announce is {}: set net.ipv4.conf.all.arp_ignore=1 and \
             net.ipv4.conf.all.arp_announce=2",
            link.name, link.arp_ignore, link.arp_announce
        ))
    }
}

impl Links {
    /// The interfaces on which the kernel would answer ARP for any IPv4 address that it has, wherever that is (`arp_ignore` 0).
    ///
    /// Which of them are on the same wire nobody can know: another subnet may be there, too, or none, as on the interface
    /// below a macvlan. At the other end of a pair without an address is a container, not the wire.
    pub fn careless(&self) -> impl Iterator<Item = &Link> {
        let asked =
            |link: &&Link| link.up && !link.loopback && !link.no_arp && !link.port && link.mac.is_some();
        self.iter().filter(asked).filter(|link| link.answers_for_all() && !self.is_containers(link))
    }

    fn is_containers(&self, link: &Link) -> bool {
        link.pair && link.is_bare() && !self.iter().any(|other| other.lower == Some(link.index))
    }
}

impl Link {
    /// The address as it is configured here.
    fn net(&self, wish: &Wish) -> Result<IpNet, Unfit> {
        let address = wish.address;
        let unknown = || Unfit::NoPrefix { name: self.name.clone(), address };
        let length = match wish.prefix {
            Prefix::Host => return Ok(address.into()),
            Prefix::Is(length) => length,
            Prefix::OfSubnet if is_link_local(address) => LINK_LOCAL_PREFIX,
            Prefix::OfSubnet => self.prefix_containing(address).ok_or_else(unknown)?,
        };
        IpNet::new(address, length).map_err(|_| unknown())
    }

    /// Whether the kernel answers there also for addresses of its other interfaces.
    const fn answers_for_all(&self) -> bool {
        matches!(self.arp_ignore, 0 | ARP_NOT_HOST)
    }

    /// Whether the interface has no address but the one that each interface has from the kernel.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.addresses.iter().all(|net| is_link_local(net.addr()))
    }

    /// Whether the interface is one that waits to be set up for an address with this prefix: named, down, without any
    /// address of its own.
    #[must_use]
    pub fn awaits(&self, prefix: Prefix) -> bool {
        !self.up && self.is_bare() && matches!(prefix, Prefix::Is(_)) && self.suitable().is_ok()
    }
}

/// Whether the kernel answers for the address there.
fn answers_arp(link: &Link, net: IpNet) -> Result<(), Unfit> {
    let host = net.prefix_len() == net.max_prefix_len();
    let silent = link.arp_ignore == ARP_NEVER || (link.arp_ignore == ARP_WITHIN_SUBNET && host);
    if net.addr().is_ipv4() && silent {
        return Err(Unfit::ArpIgnored { name: link.name.clone(), arp_ignore: link.arp_ignore });
    }
    Ok(())
}

/// Whether the address means another network on each interface.
#[must_use]
pub fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::testing::link;

    #[test]
    fn all_that_would_answer_for_other_interfaces_are_known() {
        let careless = |other: Link| Links::new(vec![other]).careless().count() == 1;
        assert!(careless(link(2, "eth1", "192.0.2.2/24")));
        assert!(careless(Link { arp_ignore: 3, ..link(2, "eth1", "198.51.100.2/24") }));
        assert!(careless(link(2, "parent", "")), "the interface below a macvlan has no address of its own");
        assert!(!careless(Link { arp_ignore: 1, ..link(2, "eth1", "192.0.2.2/24") }));
        assert!(!careless(Link { up: false, ..link(2, "spare", "") }));
        assert!(!careless(Link { port: true, ..link(2, "port", "") }));
    }

    #[test]
    fn the_other_end_of_a_container_is_not_on_the_wire_unless_something_is_stacked_on_it() {
        let pair = |address| Link { pair: true, ..link(2, "pair", address) };
        let stacked = Link { lower: Some(2), arp_ignore: 1, ..link(3, "macvlan", "192.0.2.2/24") };
        assert_eq!(Links::new(vec![pair("")]).careless().count(), 0);
        assert_eq!(Links::new(vec![pair("192.0.2.2/24")]).careless().count(), 1);
        assert_eq!(Links::new(vec![pair(""), stacked]).careless().count(), 1);
    }
}
