//! How an address of ours is configured.

use std::net::Ipv4Addr;

use ipnet::IpNet;

/// An address and how it is configured: where, with which prefix length, with what else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// The interface's index.
    pub link: u32,
    /// Address and prefix length.
    pub net: IpNet,
    /// What else.
    pub setup: Setup,
}

impl Spot {
    /// Whether the two are the same address, prefix length and all, on the same interface.
    #[must_use]
    pub fn is_at(&self, other: &Self) -> bool {
        self.link == other.link && self.net == other.net
    }
}

/// What an address is given apart from itself and our mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// Whole seconds (at least 1) after which the kernel removes the address; none: it stays until it is removed.
    pub lifetime: Option<u32>,
    /// IPv6: for how many seconds it may be chosen as a source, 0 for never (RFC 6724, rule 3); none: all its life.
    pub preferred: Option<u32>,
    /// IPv4: what `ifconfig` shows it as.
    pub label: Label,
    /// IPv4: its broadcast address.
    pub broadcast: Broadcast,
    /// Whether it brings the route to its prefix. Host addresses never do.
    pub prefix_route: bool,
    /// IPv6: whether the kernel asks first whether another host has it, and is silent until then.
    pub detect: bool,
}

/// The label of an IPv4 address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Label {
    /// The interface's name with [`super::LABEL_SUFFIX`], where that fits.
    Suffixed,
    /// Only the interface's name, which `ifconfig` does not list again. Kernels that keep no other mark of ours (see
    /// [`super::Kernel::marks_any_label`]) get the suffix nevertheless.
    Plain,
    /// This text: interface, colon, name, at most 15 bytes. Kernels that keep no other mark of ours get the suffix.
    Named(String),
}

/// The broadcast address of an IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broadcast {
    /// All host bits one; none for prefixes of 31 bits and more.
    Ones,
    /// None.
    None,
    /// All host bits zero, as networks before RFC 1122 had it.
    Zeros,
    /// This one.
    Is(Ipv4Addr),
}

impl Setup {
    /// An address held for a time: it vanishes after `lifetime` whole seconds (at least 1) unless it is renewed, and
    /// is never chosen as an IPv6 source.
    #[must_use]
    pub fn leased(lifetime: u32) -> Self {
        Self { lifetime: Some(lifetime), ..Self::permanent() }
    }

    /// As [`Setup::leased`], but it stays until it is removed.
    #[must_use]
    pub fn permanent() -> Self {
        Self {
            lifetime: None,
            preferred: Some(0),
            label: Label::Suffixed,
            broadcast: Broadcast::Ones,
            prefix_route: true,
            detect: false,
        }
    }

    /// The same for `lifetime` whole seconds (at least 1).
    #[must_use]
    pub fn lasting(&self, lifetime: u32) -> Self {
        Self { lifetime: Some(lifetime), ..self.clone() }
    }
}
