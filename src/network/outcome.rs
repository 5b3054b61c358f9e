//! What became of a change to our addresses.

use std::io;

use ipnet::IpNet;

use super::KernelError;

/// What adding an address did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It was not there.
    New,
    /// It was there with our mark, and lives on with the new lifetime.
    Renewed,
}

/// What removing an address did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// It was there.
    Now,
    /// It was gone already.
    Before,
}

/// An address was not changed as wanted.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// The node has that address without our mark: somebody else configured it, and it is left alone.
    #[error(
        "{address} is configured on interface {link} by somebody else: remove it there, or choose another address"
    )]
    Foreign {
        /// As it is configured.
        address: IpNet,
        /// The interface's name, or its index if it has gone since.
        link: String,
    },
    /// Only an address that is there can be renewed.
    #[error("{address} is not on interface {link} any more")]
    Missing {
        /// The address.
        address: IpNet,
        /// The interface's index.
        link: u32,
    },
    /// The interface has gone.
    #[error("there is no interface with index {link} for {address}")]
    NoLink {
        /// The address.
        address: IpNet,
        /// The interface's index.
        link: u32,
    },
    /// The interface does no IPv6.
    #[error(
        "IPv6 is disabled on interface {link}, so it cannot have {address}: set net.ipv6.conf.{link}.disable_ipv6=0"
    )]
    Ipv6Disabled {
        /// The address.
        address: IpNet,
        /// The interface's name.
        link: String,
    },
    /// The kernel was not able or not willing.
    #[error("cannot {verb} {address} on interface {link}")]
    Refused {
        /// What was tried.
        verb: &'static str,
        /// The address.
        address: IpNet,
        /// The interface's index.
        link: u32,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// What is there could not be looked at, so nothing was changed.
    #[error("cannot look at what is configured")]
    Unknown(#[from] KernelError),
}

impl AddressError {
    /// Whether it is not there any more, or not ours: nothing is left to be removed.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        matches!(self, Self::NoLink { .. } | Self::Missing { .. } | Self::Foreign { .. })
    }
}
