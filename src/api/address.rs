//! An entry of `spec.addresses`: an address, with the prefix length of its network if the user gave one.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    str::FromStr,
};

use ipnet::IpNet;

/// An address as the user wrote it: `192.0.2.1`, `192.0.2.1/24`, `2001:db8::1` or `2001:db8::1/64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    ip: IpAddr,
    prefix: Option<u8>,
}

/// Why a text is no [`Address`].
///
/// The API server refuses the same texts with its own rules; this is for objects that were admitted under others.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AddressError {
    /// The part before the slash is no address.
    #[error("{text:?} is not an IPv4 or IPv6 address")]
    Ip {
        /// The whole text.
        text: String,
        /// What the parser said.
        source: std::net::AddrParseError,
    },
    /// The part after the slash is no number.
    #[error("the prefix length in {text:?} is not a number")]
    Prefix {
        /// The whole text.
        text: String,
        /// What the parser said.
        source: std::num::ParseIntError,
    },
    /// The prefix is longer than the address, or zero.
    #[error("the prefix length in {text:?} is not between 1 and {max}")]
    PrefixRange {
        /// The whole text.
        text: String,
        /// 32 or 128.
        max: u8,
    },
    /// The address cannot belong to one host of a network.
    #[error("{ip} is {kind}, no address that a node can answer for")]
    Unusable {
        /// The address.
        ip: IpAddr,
        /// What it is instead.
        kind: &'static str,
    },
}

impl Address {
    /// The address itself.
    #[must_use]
    pub const fn ip(&self) -> IpAddr {
        self.ip
    }

    /// The prefix length that the user wrote, none for a bare address.
    #[must_use]
    pub const fn prefix(&self) -> Option<u8> {
        self.prefix
    }

    /// What goes on the interface: the address with its prefix; a bare address is a host address (/32, /128),
    /// which never becomes a primary address and adds no route.
    #[must_use]
    pub fn net(&self) -> IpNet {
        let host = IpNet::from(self.ip);
        match self.prefix {
            Some(prefix) => IpNet::new(self.ip, prefix).unwrap_or(host),
            None => host,
        }
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        Self { ip, prefix: None }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (ip, prefix) = match text.split_once('/') {
            Some((ip, prefix)) => (ip, Some(prefix)),
            None => (text, None),
        };
        let ip: IpAddr = ip.parse().map_err(|source| AddressError::Ip { text: text.to_owned(), source })?;
        if let Some(kind) = unusable(ip) {
            return Err(AddressError::Unusable { ip, kind });
        }
        let prefix = prefix.map(|prefix| parse_prefix(text, ip, prefix)).transpose()?;
        Ok(Self { ip, prefix })
    }
}

fn parse_prefix(text: &str, ip: IpAddr, prefix: &str) -> Result<u8, AddressError> {
    let max = if ip.is_ipv4() { 32 } else { 128 };
    let length: u8 =
        prefix.parse().map_err(|source| AddressError::Prefix { text: text.to_owned(), source })?;
    if (1..=max).contains(&length) {
        Ok(length)
    } else {
        Err(AddressError::PrefixRange { text: text.to_owned(), max })
    }
}

fn unusable(ip: IpAddr) -> Option<&'static str> {
    let mapped = matches!(ip, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    if mapped {
        Some("an IPv4-mapped address")
    } else if matches!(ip, IpAddr::V4(v4) if v4.octets()[0] == 0) || ip.is_unspecified() {
        Some("the unspecified address")
    } else if ip.is_loopback() {
        Some("a loopback address")
    } else if ip.is_multicast() {
        Some("a multicast address")
    } else if ip == IpAddr::V4(Ipv4Addr::BROADCAST) {
        Some("the broadcast address")
    } else {
        None
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix {
            Some(prefix) => write!(f, "{}/{prefix}", self.ip),
            None => write!(f, "{}", self.ip),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_address_is_a_host_address() {
        let address: Address = "192.0.2.1".parse().unwrap();
        assert_eq!((address.prefix(), address.net().to_string().as_str()), (None, "192.0.2.1/32"));
        let address: Address = "2001:db8::1".parse().unwrap();
        assert_eq!(address.net().to_string(), "2001:db8::1/128");
    }

    #[test]
    fn a_prefix_is_kept_with_the_host_part() {
        let address: Address = "192.0.2.1/24".parse().unwrap();
        assert_eq!((address.prefix(), address.net().to_string().as_str()), (Some(24), "192.0.2.1/24"));
        assert_eq!(address.to_string(), "192.0.2.1/24");
    }

    #[test]
    fn what_no_node_can_answer_for_is_refused() {
        for text in
            ["127.0.0.3", "::1", "0.0.0.0", "0.1.2.3", "::", "224.0.0.5", "ff02::1", "255.255.255.255"]
        {
            let error = text.parse::<Address>().unwrap_err();
            assert!(matches!(error, AddressError::Unusable { .. }), "{text}: {error}");
        }
        for text in ["::ffff:192.0.2.1", "192.0.2.01", "192.0.2", "web", "", "fe80::1%eth0"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        for text in ["192.0.2.1/33", "192.0.2.1/0", "2001:db8::1/129", "192.0.2.1/", "192.0.2.1/-1"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
