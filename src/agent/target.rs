//! From a spec to what one node does about its addresses. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::schedule::Rhythm;
use crate::api::{
    Address, AddressOptions, Announcement, ArpForm, PrefixPolicy, SourceAddress, VirtualIPSpec,
};
use crate::network::{Broadcast, Form, LABEL_MAX, Label, Link, Links, On, Prefix, Setup, Spot, Unfit, Wish};

/// The label that is none.
const NO_LABEL: &str = "None";

/// How a node handles the addresses of one `VirtualIP`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manner {
    /// The interfaces that may have them.
    on: On,
    options: AddressOptions,
    announcement: Announcement,
    /// Whether connections are closed when they go.
    pub close_connections: bool,
}

/// An address, and how it is to be handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The address as it is written.
    pub address: Address,
    /// How.
    pub manner: Arc<Manner>,
}

impl Manner {
    /// As `spec` wants it on a node with these labels.
    #[must_use]
    pub fn of(spec: &VirtualIPSpec, labels: &BTreeMap<String, String>) -> Self {
        Self {
            on: spec.interfaces_on(labels).map_or(On::Any, On::OneOf),
            options: spec.address_options.clone().unwrap_or_default(),
            announcement: spec.announcement.clone().unwrap_or_default(),
            close_connections: spec.on_release.as_ref().is_some_and(|release| release.close_connections),
        }
    }

    /// When the addresses are announced.
    #[must_use]
    pub fn rhythm(&self) -> Rhythm {
        let Announcement { count, .. } = self.announcement;
        Rhythm {
            count: u32::try_from(count).unwrap_or(1),
            interval: self.announcement.interval(),
            refresh: self.announcement.refresh(),
        }
    }

    /// In which form.
    #[must_use]
    pub const fn form(&self) -> Form {
        match self.announcement.form {
            ArpForm::Both => Form::Both,
            ArpForm::Request => Form::Request,
            ArpForm::Reply => Form::Reply,
        }
    }

    /// Who is told beside all.
    #[must_use]
    pub fn hosts(&self) -> &[IpAddr] {
        &self.announcement.targets
    }

    /// Why `link` cannot have the label that is wanted, if it cannot.
    #[must_use]
    pub fn label_refused(&self, link: &Link) -> Option<String> {
        let label = format!("{}:{}", link.name, self.label().filter(|label| *label != NO_LABEL)?);
        let room = LABEL_MAX.saturating_sub(link.name.len() + 1);
        (label.len() > LABEL_MAX).then(|| {
            format!(
                "{} has no room for the label {label}, which has more than {LABEL_MAX} characters: use one of at most {room}",
                link.name
            )
        })
    }

    fn label(&self) -> Option<&str> {
        self.options.label.as_deref()
    }

    fn setup(&self, link: &Link) -> Setup {
        let label = self.label().filter(|_| self.label_refused(link).is_none());
        Setup {
            lifetime: None,
            preferred: match self.options.source_address {
                SourceAddress::Never => Some(0),
                SourceAddress::Allowed => None,
            },
            label: match label {
                None => Label::Suffixed,
                Some(NO_LABEL) => Label::Plain,
                Some(label) => Label::Named(format!("{}:{label}", link.name)),
            },
            broadcast: match self.options.broadcast.as_str() {
                "None" => Broadcast::None,
                "HostBitsZero" => Broadcast::Zeros,
                other => other.parse().map_or(Broadcast::Ones, Broadcast::Is),
            },
            prefix_route: self.options.prefix_route,
            detect: self.options.duplicate_address_detection,
        }
    }
}

impl Target {
    /// All addresses of `spec` that a node with these labels might have.
    #[must_use]
    pub fn all(spec: &VirtualIPSpec, labels: &BTreeMap<String, String>) -> Vec<Self> {
        let manner = Arc::new(Manner::of(spec, labels));
        let addresses = spec.parsed_addresses().unwrap_or_default();
        addresses.into_iter().map(|address| Self { address, manner: manner.clone() }).collect()
    }

    /// Those of these addresses, as `spec` wants them; one that it does not know, as it knows others.
    #[must_use]
    pub fn these(
        spec: &VirtualIPSpec,
        labels: &BTreeMap<String, String>,
        addresses: &BTreeSet<IpAddr>,
    ) -> Vec<Self> {
        let manner = Arc::new(Manner::of(spec, labels));
        let written = spec.parsed_addresses().unwrap_or_default();
        let address = |ip: &IpAddr| {
            let known = written.iter().find(|address| address.ip() == *ip);
            known.copied().unwrap_or_else(|| (*ip).into())
        };
        addresses.iter().map(|ip| Self { address: address(ip), manner: manner.clone() }).collect()
    }

    /// Whether connections to it are closed when it goes.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.manner.close_connections
    }

    /// The address without its prefix length.
    #[must_use]
    pub const fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// The prefix length it shall have.
    #[must_use]
    pub fn prefix(&self) -> Prefix {
        match (self.address.prefix(), self.manner.options.prefix) {
            (Some(length), _) => Prefix::Is(length),
            (None, PrefixPolicy::Host) => Prefix::Host,
            (None, PrefixPolicy::Auto) => Prefix::OfSubnet,
        }
    }

    /// Where it belongs among these interfaces.
    ///
    /// # Errors
    /// Why no interface, or not the one that is named, can carry it.
    pub fn link<'a>(&self, links: &'a Links) -> Result<&'a Link, Unfit> {
        self.place(links).map(|(link, _)| link)
    }

    /// Where it belongs among these interfaces, and how it is configured there.
    ///
    /// # Errors
    /// As [`Target::link`].
    pub fn spot(&self, links: &Links) -> Result<Spot, Unfit> {
        let (link, net) = self.place(links)?;
        Ok(Spot { link: link.index, net, setup: self.manner.setup(link) })
    }

    fn place<'a>(&self, links: &'a Links) -> Result<(&'a Link, ipnet::IpNet), Unfit> {
        links.place(&Wish { address: self.ip(), prefix: self.prefix(), on: self.manner.on.clone() })
    }

    /// The interface that waits to be set up for it: named, down, without any address.
    #[must_use]
    pub fn awaited<'a>(&self, links: &'a Links) -> Option<&'a Link> {
        let On::OneOf(names) = &self.manner.on else { return None };
        let link = names.iter().find_map(|name| links.by_name(name))?;
        (link.awaits(self.prefix()) || (link.prepared && link.is_bare())).then_some(link)
    }
}

#[cfg(test)]
#[path = "target_test.rs"]
mod tests;
