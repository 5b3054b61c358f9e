//! How an agent knows its own addresses, also after a restart.

use std::time::Duration;

use ipnet::IpNet;
use rtnetlink::packet_route::address::{AddressAttribute, AddressProtocol};

use super::Label;

/// The `IFA_PROTO` of our addresses ("v"): who configured them. `ip` prints it since iproute2 6.3 as `proto 0x76`.
/// Kernels keep it since 5.18 (`ip-address(8)`, `include/uapi/linux/if_addr.h`).
pub const PROTOCOL: u8 = 0x76;

/// What the label of our IPv4 addresses ends with, where interface and suffix fit into 15 characters. A person sees
/// it in `ip addr` and `ifconfig`; kernels without `IFA_PROTO` have nothing else.
pub const LABEL_SUFFIX: &str = ":vip";

/// `IFNAMSIZ` without the closing zero.
pub const LABEL_MAX: usize = 15;

/// An address with our mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Marked {
    /// The interface's index.
    pub link: u32,
    /// Address and prefix length.
    pub address: IpNet,
    /// How long until the kernel removes it; none if it never does. See [`Marked::is_agents`].
    pub valid_for: Option<Duration>,
    /// The kernel still asks whether another host has it, and does not answer for it yet.
    pub tentative: bool,
}

impl Marked {
    /// Whether an agent of a cluster, or `virtualip run`, configured it: those give all of theirs a lifetime. A permanent
    /// one is of a Pacemaker on the same host, which runs `virtualip ocf`. Neither touches what is the other's.
    #[must_use]
    pub const fn is_agents(&self) -> bool {
        self.valid_for.is_some()
    }
}

/// Which mark this kernel can keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// `IFA_PROTO`. The label is for people, and proves nothing: anybody may choose it.
    Protocol,
    /// The label, before Linux 5.18. IPv6 addresses have none, and are never recognised there.
    Label,
}

impl Mark {
    /// What a kernel of this release (`uname -r`) keeps.
    pub(super) fn of_release(release: &str) -> Self {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse::<u32>().ok());
        match (numbers.next(), numbers.next()) {
            (Some(major), Some(minor)) if (major, minor) < (5, 18) => Self::Label,
            _ => Self::Protocol,
        }
    }

    /// Whether an address with these attributes is ours.
    pub(super) fn is_on(self, attributes: &[AddressAttribute]) -> bool {
        attributes.iter().any(|attribute| match (self, attribute) {
            (Self::Protocol, AddressAttribute::Protocol(protocol)) => u8::from(*protocol) == PROTOCOL,
            (Self::Label, AddressAttribute::Label(label)) => label.ends_with(LABEL_SUFFIX),
            _ => false,
        })
    }

    /// The attributes that make an address of the interface `name` ours.
    pub(super) fn attributes(
        self,
        name: &str,
        address: IpNet,
        label: &Label,
    ) -> impl Iterator<Item = AddressAttribute> + use<> {
        let protocol = AddressAttribute::Protocol(AddressProtocol::from(PROTOCOL));
        let label = match label {
            _ if address.addr().is_ipv6() => None,
            Label::Named(label) if self == Self::Protocol => Some(label.clone()),
            Label::Plain if self == Self::Protocol => None,
            Label::Named(_) | Label::Plain | Label::Suffixed => Some(format!("{name}{LABEL_SUFFIX}")),
        };
        let fits = label.filter(|label| label.len() <= LABEL_MAX);
        std::iter::once(protocol).chain(fits.map(AddressAttribute::Label))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_before_5_18_keep_only_labels() {
        for release in ["5.17.9", "5.4.0-190-generic", "4.18.0-553.el8.x86_64"] {
            assert_eq!(Mark::of_release(release), Mark::Label, "{release}");
        }
        for release in ["5.18.0", "6.1.0-23-amd64", "6.18.44+", "10.0", "odd"] {
            assert_eq!(Mark::of_release(release), Mark::Protocol, "{release}");
        }
    }

    #[test]
    fn label_only_where_it_fits_and_only_for_ipv4() {
        let v4: IpNet = "192.0.2.1/32".parse().unwrap();
        let has_label = |name: &str, net| {
            Mark::Protocol
                .attributes(name, net, &Label::Suffixed)
                .any(|a| matches!(a, AddressAttribute::Label(_)))
        };
        assert!(has_label("enp0s31f6ab", v4));
        assert!(!has_label("enp0s31f6abc", v4));
        assert!(!has_label("eth0", "2001:db8::1/128".parse().unwrap()));
    }

    #[test]
    fn kernels_that_keep_only_labels_get_one_also_when_none_is_wanted() {
        let label = |mark: Mark| {
            let found = mark.attributes("eth0", "192.0.2.1/32".parse().unwrap(), &Label::Plain);
            found.filter(|a| matches!(a, AddressAttribute::Label(_))).count()
        };
        assert_eq!((label(Mark::Protocol), label(Mark::Label)), (0, 1));
    }

    #[test]
    fn a_label_chosen_by_somebody_is_no_mark_where_the_kernel_keeps_protocols() {
        let attributes = [AddressAttribute::Label("eth0:vip".to_owned())];
        assert!(!Mark::Protocol.is_on(&attributes));
        assert!(Mark::Label.is_on(&attributes));
    }
}
