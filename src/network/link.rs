//! The interfaces of this node, and which of them fits an address.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Mac, place::is_link_local};

/// One interface, as the kernel described it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are the kernel's own flags, each free of the others")]
pub struct Link {
    /// The kernel's number; never used twice while the namespace lives, unlike the name.
    pub index: u32,
    /// The name of now: it may be changed.
    pub name: String,
    /// None for what is not Ethernet, `InfiniBand` for instance: no frames of ours can go there.
    pub mac: Option<Mac>,
    /// Set up by the administrator.
    pub up: bool,
    /// The cable, or what stands for it, is connected, and frames pass.
    pub carrier: bool,
    /// The loopback interface.
    pub loopback: bool,
    /// Nobody asks by ARP or NDP there (kube-ipvs0, tunnels).
    pub no_arp: bool,
    /// Part of a bridge or bond: addresses belong on that one.
    pub port: bool,
    /// Does IPv6.
    pub ipv6: bool,
    /// Forwards IPv6, so advertisements must say "router" (RFC 4861, 7.2.5).
    pub router: bool,
    /// The `arp_ignore` in force (the interface's own or that of all, whichever is larger): with 2 the kernel keeps silent
    /// for a host address.
    pub arp_ignore: u8,
    /// The `arp_announce` in force: below 2 the kernel may ask others in the name of any of its addresses.
    pub arp_announce: u8,
    /// Set up by us, since it was found down and without an address; see [`super::Kernel::prepare`].
    pub prepared: bool,
    /// One end of a pair (veth), as a container has.
    pub pair: bool,
    /// The interface that this one is stacked on (VLAN, macvlan), or paired with; none where that is in another namespace.
    pub lower: Option<u32>,
    /// The largest packet, in bytes.
    pub mtu: u32,
    /// The addresses of others (never those with our mark), each with its on-link prefix.
    pub addresses: Vec<IpNet>,
}

/// Why an interface, or none at all, can carry an address. Each sentence says what a person could do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// No such name.
    #[error("there is no interface named {name}")]
    NotFound {
        /// The name asked for.
        name: String,
    },
    /// None of the names.
    #[error("there is no interface with any of the names {names}")]
    NoneFound {
        /// The names asked for.
        names: String,
    },
    /// Interfaces are named by node, and this node is not among them.
    #[error("no interface is named for this node")]
    NotNamed,
    /// The prefix length is to be that of the subnet, and there is none.
    #[error(
        "interface {name} has no subnet that contains {address}, to take the prefix length from: write one"
    )]
    NoPrefix {
        /// The interface.
        name: String,
        /// The address.
        address: IpAddr,
    },
    /// The kernel would not answer for the address.
    #[error(
        "interface {name} would not answer for the address, since arp_ignore is {arp_ignore} there: set it to 1 (`sysctl net.ipv4.conf.{name}.arp_ignore=1`, and the same for all)"
    )]
    ArpIgnored {
        /// The interface.
        name: String,
        /// The value in force.
        arp_ignore: u8,
    },
    /// Not set up.
    #[error("interface {name} is down: bring it up (`ip link set {name} up`)")]
    Down {
        /// The interface.
        name: String,
    },
    /// Nothing at the other end.
    #[error("interface {name} has no carrier: check its cable or what stands for it")]
    NoCarrier {
        /// The interface.
        name: String,
    },
    /// Traffic never leaves it.
    #[error("interface {name} is a loopback: nobody else could reach the address")]
    Loopback {
        /// The interface.
        name: String,
    },
    /// Nobody asks there.
    #[error("interface {name} does no ARP: nobody could find the address there")]
    NoArp {
        /// The interface.
        name: String,
    },
    /// Enslaved.
    #[error("interface {name} is a port of a bridge or bond: name the bridge or bond instead")]
    Port {
        /// The interface.
        name: String,
    },
    /// No six-byte hardware address.
    #[error(
        "interface {name} is not Ethernet (its hardware address has not six bytes, as on InfiniBand): an address cannot be announced there"
    )]
    NotEthernet {
        /// The interface.
        name: String,
    },
    /// IPv6 is disabled there.
    #[error("interface {name} does no IPv6: enable it (`sysctl net.ipv6.conf.{name}.disable_ipv6=0`)")]
    NoIpv6 {
        /// The interface.
        name: String,
    },
    /// No interface was named, and none is in the subnet.
    #[error(
        "no interface that is up has a subnet that contains {address}: name an interface, or give one an address in that subnet"
    )]
    NoSubnet {
        /// The address.
        address: IpAddr,
    },
    /// Each interface has the subnet of link-local addresses.
    #[error("{address} is link-local, so every interface has its subnet: name an interface")]
    Ambiguous {
        /// The address.
        address: IpAddr,
    },
}

impl Link {
    /// Whether the interface can carry an announced address now.
    ///
    /// # Errors
    /// The first reason why not; what can never change comes before what may be repaired.
    pub fn fit(&self) -> Result<(), Unfit> {
        self.suitable()?;
        let name = || self.name.clone();
        if !self.up {
            Err(Unfit::Down { name: name() })
        } else if !self.carrier {
            Err(Unfit::NoCarrier { name: name() })
        } else {
            Ok(())
        }
    }

    /// Whether others, since the interface was as it was `before`, may look for its addresses in a wrong place, or have
    /// missed what was said there.
    #[must_use]
    pub fn must_be_told(&self, before: &Self) -> bool {
        let connected = !(before.up && before.carrier) && self.up && self.carrier;
        let changed = before.mac != self.mac || before.mtu != self.mtu || before.name != self.name;
        connected || changed || before.port != self.port
    }

    /// Whether it is of a kind that could ever carry one.
    pub(super) fn suitable(&self) -> Result<(), Unfit> {
        let name = || self.name.clone();
        if self.loopback {
            Err(Unfit::Loopback { name: name() })
        } else if self.port {
            Err(Unfit::Port { name: name() })
        } else if self.no_arp {
            Err(Unfit::NoArp { name: name() })
        } else if self.mac.is_none() {
            Err(Unfit::NotEthernet { name: name() })
        } else {
            Ok(())
        }
    }

    /// The length of the longest on-link prefix that contains `address`. A host prefix (/32, /128) is no subnet:
    /// nobody else is in it.
    #[must_use]
    pub fn prefix_containing(&self, address: IpAddr) -> Option<u8> {
        let subnets = self.addresses.iter().filter(|net| net.prefix_len() < net.max_prefix_len());
        subnets.filter(|net| net.contains(&address)).map(IpNet::prefix_len).max()
    }
}

/// The interfaces at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links(Vec<Link>);

impl Links {
    /// A snapshot of these interfaces.
    #[must_use]
    pub fn new(mut links: Vec<Link>) -> Self {
        links.sort_by_key(|link| link.index);
        Self(links)
    }

    /// All of them, by index.
    pub fn iter(&self) -> impl Iterator<Item = &Link> {
        self.0.iter()
    }

    /// The interface with this index.
    #[must_use]
    pub fn by_index(&self, index: u32) -> Option<&Link> {
        self.0.iter().find(|link| link.index == index)
    }

    /// The interface with this name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Link> {
        self.0.iter().find(|link| link.name == name)
    }

    /// Where `address` belongs: on the interface `named`, else on the one that is up and has the longest on-link
    /// prefix that contains it (of equals, one with carrier, then the lowest index). A longer prefix without
    /// carrier is not passed over for a shorter one: that would be another network.
    ///
    /// # Errors
    /// Why that interface, or none at all, can carry it.
    pub fn find(&self, address: IpAddr, named: Option<&str>) -> Result<&Link, Unfit> {
        let link = match named {
            Some(name) => self.by_name(name).ok_or_else(|| Unfit::NotFound { name: name.to_owned() })?,
            None => self.by_subnet(address)?,
        };
        link.fit()?;
        if address.is_ipv6() && !link.ipv6 {
            return Err(Unfit::NoIpv6 { name: link.name.clone() });
        }
        Ok(link)
    }

    fn by_subnet(&self, address: IpAddr) -> Result<&Link, Unfit> {
        if is_link_local(address) {
            return Err(Unfit::Ambiguous { address });
        }
        let candidates = self.0.iter().filter(|link| link.up && link.suitable().is_ok());
        candidates
            .filter_map(|link| Some((link, link.prefix_containing(address)?)))
            .max_by_key(|(link, prefix)| (*prefix, link.carrier, std::cmp::Reverse(link.index)))
            .map(|(link, _)| link)
            .ok_or(Unfit::NoSubnet { address })
    }
}

impl FromIterator<Link> for Links {
    fn from_iter<T: IntoIterator<Item = Link>>(links: T) -> Self {
        Self::new(links.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::testing::link;

    fn found(links: Vec<Link>, address: &str) -> Result<String, Unfit> {
        Links::new(links).find(address.parse().unwrap(), None).map(|link| link.name.clone())
    }

    #[test]
    fn of_equal_prefixes_the_one_with_carrier_then_the_first() {
        let (a, b, c) =
            (link(2, "a", "10.0.0.1/24"), link(3, "b", "10.0.0.2/24"), link(4, "c", "10.0.0.3/24"));
        let a = Link { carrier: false, ..a };
        assert_eq!(found(vec![c.clone(), b, a.clone()], "10.0.0.9").unwrap(), "b");
        assert_eq!(found(vec![a.clone(), c], "10.0.0.9").unwrap(), "c");
        assert_eq!(found(vec![a], "10.0.0.9").unwrap_err(), Unfit::NoCarrier { name: "a".to_owned() });
    }

    #[test]
    fn only_ethernet_is_chosen() {
        let tunnel = Link { mac: None, ..link(2, "ib0", "10.0.0.1/24") };
        assert!(matches!(found(vec![tunnel.clone()], "10.0.0.9"), Err(Unfit::NoSubnet { .. })));
        assert_eq!(tunnel.fit().unwrap_err(), Unfit::NotEthernet { name: "ib0".to_owned() });
    }

    #[test]
    fn families_do_not_contain_each_other() {
        assert!(found(vec![link(2, "a", "0.0.0.0/0")], "2001:db8::1").is_err());
        assert!(found(vec![link(2, "a", "::/0")], "192.0.2.1").is_err());
    }

    #[test]
    fn reasons_say_what_to_do() {
        let down = Link { up: false, ..link(2, "eth1", "10.0.0.1/24") };
        let links = Links::new(vec![down]);
        let reason =
            |address: &str, named| links.find(address.parse().unwrap(), named).unwrap_err().to_string();
        assert_eq!(
            reason("10.0.0.9", Some("eth1")),
            "interface eth1 is down: bring it up (`ip link set eth1 up`)"
        );
        assert_eq!(reason("10.0.0.9", Some("eth7")), "there is no interface named eth7");
        assert_eq!(
            reason("10.0.0.9", None),
            "no interface that is up has a subnet that contains 10.0.0.9: name an interface, or give one an address in that subnet"
        );
    }
}
