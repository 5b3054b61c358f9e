//! Which interface and prefix length the address gets.

use std::{cmp::Reverse, net::IpAddr};

use ipnet::IpNet;

use super::{OcfError, Parameters};
use crate::network::{LINK_LOCAL_PREFIX, Link, Links, Unfit, is_link_local};

/// Where the address belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The interface, as it was looked at.
    pub link: Link,
    /// The address with its prefix length.
    pub net: IpNet,
}

impl Place {
    /// On the interface `nic`, else on the one that is up and has the longest on-link prefix that contains the address,
    /// or all of the subnet that `cidr_netmask` says. With that prefix length, unless `cidr_netmask` says another.
    ///
    /// # Errors
    /// When there is no such interface, or no prefix length.
    pub fn find(links: &Links, parameters: &Parameters) -> Result<Self, OcfError> {
        let ip = parameters.subject.ip;
        let (link, found) = match parameters.subject.nic.as_deref() {
            Some(nic) => named(links, nic, ip)?,
            None => by_subnet(links, ip, parameters.netmask)?,
        };
        if link.port {
            return Err(Unfit::Port { name: link.name.clone() }.into());
        }
        if ip.is_ipv6() && !link.ipv6 {
            return Err(Unfit::NoIpv6 { name: link.name.clone() }.into());
        }
        let prefix = parameters.netmask.or(found);
        let net = prefix.and_then(|prefix| IpNet::new(ip, prefix).ok());
        let net = net.ok_or_else(|| OcfError::NoPrefix { nic: link.name.clone(), address: ip })?;
        Ok(Self { link: link.clone(), net })
    }

    /// Whether anybody hears an announcement there.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.link.carrier && self.link.mac.is_some() && !self.link.loopback && !self.link.no_arp
    }
}

fn named<'a>(links: &'a Links, nic: &str, ip: IpAddr) -> Result<(&'a Link, Option<u8>), OcfError> {
    let link = links.by_name(nic).ok_or_else(|| OcfError::NoNic { name: nic.to_owned() })?;
    let found = link.prefix_containing(ip).or_else(|| is_link_local(ip).then_some(LINK_LOCAL_PREFIX));
    Ok((link, found))
}

fn by_subnet(links: &Links, ip: IpAddr, netmask: Option<u8>) -> Result<(&Link, Option<u8>), OcfError> {
    if is_link_local(ip) {
        return Err(Unfit::Ambiguous { address: ip }.into());
    }
    links
        .iter()
        .filter(|link| link.up && !link.port && link.loopback == ip.is_loopback())
        .filter_map(|link| Some((link, prefix(link, ip, netmask)?)))
        .max_by_key(|(link, prefix)| (*prefix, link.carrier, Reverse(link.index)))
        .map(|(link, prefix)| (link, Some(prefix)))
        .ok_or(OcfError::Unfit(Unfit::NoSubnet { address: ip }))
}

/// The length of the longest on-link prefix that contains the address and whatever else `netmask` says is on the link.
fn prefix(link: &Link, ip: IpAddr, netmask: Option<u8>) -> Option<u8> {
    let subnets = link.addresses.iter().filter(|net| net.prefix_len() < net.max_prefix_len());
    let containing = subnets.filter(|net| net.contains(&ip)).map(IpNet::prefix_len);
    containing.filter(|prefix| netmask.is_none_or(|netmask| *prefix <= netmask)).max()
}
