//! The parameters, as `OCF_RESKEY_*` of the environment.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use crate::network::Broadcast;

/// A parameter that cannot be read; the message says what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parameter {name}: {problem}")]
pub struct Invalid {
    /// Its name, without `OCF_RESKEY_`.
    pub name: &'static str,
    /// What is wrong.
    pub problem: String,
}

/// What `stop` and `monitor` need to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// `ip`.
    pub ip: IpAddr,
    /// `nic`, without a label.
    pub nic: Option<String>,
}

/// A prefix length, or that it is to be found.
pub type Netmask = Option<u8>;

/// All that `start` needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are the switches that users know")]
pub struct Parameters {
    /// `ip` and `nic`.
    pub subject: Subject,
    /// `cidr_netmask`.
    pub netmask: Netmask,
    /// `broadcast`.
    pub broadcast: Broadcast,
    /// `iflabel`, or what follows the colon in `nic`.
    pub label: Option<String>,
    /// `noprefixroute`, negated.
    pub prefix_route: bool,
    /// `preferred_lft`; else 0 unless `lvs_ipv6_addrlabel` is false.
    pub preferred: Option<u32>,
    /// `arp_count`.
    pub count: u32,
    /// `arp_interval`.
    pub interval: Duration,
    /// `arp_bg`.
    pub background: bool,
    /// `run_arping` (IPv4), or `nodad` negated (IPv6): whether others are asked for the address first.
    pub probe: bool,
    /// `check_link_status`: whether a carrier is needed.
    pub carrier: bool,
}

/// Reads one parameter; an empty one is one left out.
struct Source<F>(F);

impl<F: Fn(&str) -> Option<String>> Source<F> {
    fn text(&self, name: &str) -> Option<String> {
        (self.0)(&format!("OCF_RESKEY_{name}")).filter(|text| !text.is_empty())
    }

    /// As `ocf_is_true` reads it: everything else is false.
    fn switch(&self, name: &str) -> Option<bool> {
        let truths = ["yes", "true", "1", "YES", "TRUE", "True", "ja", "on", "ON"];
        self.text(name).map(|text| truths.contains(&text.as_str()))
    }

    fn number(&self, name: &'static str, default: u32) -> Result<u32, Invalid> {
        let Some(text) = self.text(name) else { return Ok(default) };
        text.parse().map_err(|_| invalid(name, format!("write a whole number instead of {text:?}")))
    }
}

fn invalid(name: &'static str, problem: impl Into<String>) -> Invalid {
    Invalid { name, problem: problem.into() }
}

impl Subject {
    /// Reads `ip` and `nic`.
    ///
    /// # Errors
    /// When `ip` is missing or no address.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, Invalid> {
        let source = Source(get);
        let text =
            source.text("ip").ok_or_else(|| invalid("ip", "it is mandatory: an IPv4 or IPv6 address"))?;
        let ip = text
            .parse()
            .map_err(|_| invalid("ip", format!("write an IPv4 or IPv6 address instead of {text:?}")))?;
        let nic = source.text("nic").map(|nic| nic.split(':').next().unwrap_or_default().to_owned());
        Ok(Self { ip, nic })
    }
}

impl Parameters {
    /// Reads and checks all parameters.
    ///
    /// # Errors
    /// The first that cannot be read, or asks for what there is not.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, Invalid> {
        let subject = Subject::read(&get)?;
        let source = Source(get);
        unsupported(&source)?;
        let v4 = subject.ip.is_ipv4();
        let alias = source.text("nic").and_then(|nic| Some(nic.split_once(':')?.1.to_owned()));
        if source.switch("lvs_support") == Some(true) && !v4 {
            return Err(invalid(
                "lvs_support",
                "leave it out for an IPv6 address: lvs_ipv6_addrlabel is meant",
            ));
        }
        Ok(Self {
            netmask: netmask(&source, &subject)?,
            broadcast: broadcast(&source, v4)?,
            label: alias.or_else(|| source.text("iflabel")).filter(|label| v4 && !label.is_empty()),
            prefix_route: source.switch("noprefixroute") != Some(true),
            preferred: preferred(&source)?,
            count: source.number("arp_count", 5)?.max(1),
            interval: Duration::from_millis(source.number("arp_interval", 200)?.into()),
            background: source.switch("arp_bg").unwrap_or(v4),
            probe: if v4 {
                source.switch("run_arping") != Some(false)
            } else {
                source.switch("nodad") != Some(true)
            },
            carrier: source.switch("check_link_status") != Some(false),
            subject,
        })
    }
}

/// An address for several nodes at once is not what this project is about.
fn unsupported<F: Fn(&str) -> Option<String>>(source: &Source<F>) -> Result<(), Invalid> {
    if source.switch("unique_clone_address") == Some(true) {
        return Err(invalid("unique_clone_address", "not supported: make one resource for each address"));
    }
    if source.number("CRM_meta_clone_max", 1)? > 1 {
        let advice = "a clone would share one address between nodes, which is not supported: leave the clone out, or \
                      balance the load behind the address";
        return Err(invalid("ip", advice));
    }
    Ok(())
}

fn netmask<F: Fn(&str) -> Option<String>>(source: &Source<F>, subject: &Subject) -> Result<Netmask, Invalid> {
    // `netmask` was its name for a while.
    let Some(text) = source.text("cidr_netmask").or_else(|| source.text("netmask")) else { return Ok(None) };
    let max: u8 = if subject.ip.is_ipv4() { 32 } else { 128 };
    let length = if subject.ip.is_ipv4() && text.contains('.') {
        text.parse().ok().and_then(|mask: Ipv4Addr| ipnet::ipv4_mask_to_prefix(mask).ok())
    } else {
        text.parse().ok()
    };
    let length = length.filter(|length| (1..=max).contains(length));
    let problem =
        || invalid("cidr_netmask", format!("write a prefix length from 1 to {max} instead of {text:?}"));
    length.map(Some).ok_or_else(problem)
}

fn broadcast<F: Fn(&str) -> Option<String>>(source: &Source<F>, v4: bool) -> Result<Broadcast, Invalid> {
    match source.text("broadcast").filter(|_| v4).as_deref() {
        None | Some("+") => Ok(Broadcast::Ones),
        Some("-") => Ok(Broadcast::Zeros),
        Some(text) => text.parse().map(Broadcast::Is).map_err(|_| {
            invalid(
                "broadcast",
                format!("write an IPv4 address, + (host bits set) or - (clear) instead of {text:?}"),
            )
        }),
    }
}

/// IPaddr2 keeps an IPv6 address from being a source by a label of the policy table; a preferred lifetime of 0 does
/// the same without a table that others share.
fn preferred<F: Fn(&str) -> Option<String>>(source: &Source<F>) -> Result<Option<u32>, Invalid> {
    match source.text("preferred_lft").as_deref() {
        None if source.switch("lvs_ipv6_addrlabel") == Some(false) => Ok(None),
        None => Ok(Some(0)),
        Some("forever") => Ok(None),
        Some(_) => source.number("preferred_lft", 0).map(Some),
    }
}

/// What `monitor` announces again: `arp_count_refresh` times, if that is not 0. A parameter that cannot be read is
/// `start`'s to tell.
pub fn refresh(get: impl Fn(&str) -> Option<String>) -> Option<Parameters> {
    let count = Source(&get).number("arp_count_refresh", 0).unwrap_or_default();
    if count == 0 {
        return None;
    }
    Parameters::read(get).ok().map(|parameters| Parameters { count, ..parameters })
}

/// `check_link_status`, for `monitor`.
pub fn needs_carrier(get: impl Fn(&str) -> Option<String>) -> bool {
    Source(get).switch("check_link_status") != Some(false)
}

/// Whether a `monitor` only asks whether the resource runs here (`ocf_is_probe`).
pub fn is_probe(get: impl Fn(&str) -> Option<String>) -> bool {
    Source(get).text("CRM_meta_interval").as_deref() == Some("0")
}

#[cfg(test)]
#[path = "parameters_test.rs"]
mod tests;
