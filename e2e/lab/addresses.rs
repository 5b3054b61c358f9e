//! Who has which address in the lab.

use super::error::{Error, Result};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr};

/// The API server, on the network of management.
pub const API: &str = "10.77.0.1";
/// The same, with its prefix.
pub const API_NET: &str = "10.77.0.1/24";
/// The cluster addresses of services.
pub const SERVICES: &str = "10.96.0.0/16";
/// The API server as pods see it: the first address of [`SERVICES`].
pub const API_SERVICE: &str = "10.96.0.1";
/// The addresses of pods.
pub const PODS: &str = "10.244.0.0/16";
/// The subnets of the data network, unless a test asks for others.
pub const DATA: [&str; 2] = ["192.168.200.0/24", "2001:db8::/64"];
/// The last digits of the client's addresses.
pub const CLIENT: u8 = 5;

/// The last digits of the addresses of the node with this index, counted from 0.
pub fn of_node(index: usize) -> u8 {
    u8::try_from(index).unwrap_or(u8::MAX).saturating_add(11)
}

/// The address of management of the node with this index.
pub fn management(index: usize) -> String {
    format!("10.77.0.{}", of_node(index))
}

/// The addresses of the pods on the node with this index.
pub fn pods(index: usize) -> String {
    format!("10.244.{}.0/24", index.saturating_add(1))
}

/// The address in a subnet that ends in `digits`. They are read the same in both families: `.11` and `::11`.
///
/// # Errors
/// When `subnet` is not a subnet.
pub fn in_subnet(subnet: &str, digits: u8) -> Result<IpNet> {
    let bad = || Error::other(format!("{subnet} is not a subnet, as 192.168.200.0/24 is"));
    let net: IpNet = subnet.parse().map_err(|_| bad())?;
    let address = match net.network() {
        IpAddr::V4(network) => IpAddr::V4((network.to_bits() | u32::from(digits)).into()),
        IpAddr::V6(network) => {
            let digits = u128::from_str_radix(&digits.to_string(), 16).map_err(|_| bad())?;
            IpAddr::V6(Ipv6Addr::from_bits(network.to_bits() | digits))
        }
    };
    IpNet::new(address, net.prefix_len()).map_err(|_| bad())
}
