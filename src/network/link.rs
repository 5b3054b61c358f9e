//! The interfaces of this node, and which of them fits an address.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Mac;

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
    /// Forwards IPv6, so advertisements must say "router" (RFC 4861, 7.2.5).
    pub router: bool,
    /// The interface's own `arp_ignore`: with 2 or more the kernel may keep silent for a host address.
    pub arp_ignore: u8,
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
    #[error("interface {name} is not Ethernet: an address cannot be announced there")]
    NotEthernet {
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

    /// Whether it is of a kind that could ever carry one.
    fn suitable(&self) -> Result<(), Unfit> {
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
        Ok(link)
    }

    fn by_subnet(&self, address: IpAddr) -> Result<&Link, Unfit> {
        if matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local()) {
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
