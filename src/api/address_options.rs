//! How addresses are configured on their interface.

// Doc comments here are what `kubectl explain` prints.
#![allow(clippy::doc_markdown)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::options_schema;

/// How addresses are configured on their interface. Everything left out has a default that suits most.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddressOptions {
    /// The prefix length of addresses that are written without one. Host: /32 or /128, which adds no route and never
    /// becomes the primary address of its interface. Auto: that of the interface's own subnet that contains the
    /// address, as IPaddr2 has it. Default: Host.
    #[serde(default)]
    pub prefix: PrefixPolicy,
    /// The broadcast address of IPv4 addresses. Auto and HostBitsOne: the last address of the subnet, none for host
    /// addresses. HostBitsZero: its first address, as networks of the 1980s had it. None: no broadcast address. Or an
    /// IPv4 address. Default: Auto.
    #[serde(default = "auto")]
    #[schemars(schema_with = "options_schema::broadcast")]
    pub broadcast: String,
    /// The label of IPv4 addresses, which ifconfig shows as interface:label. Only what comes after the colon; interface,
    /// colon and label have at most 15 characters together, so where the interface's name is too long for it the address
    /// goes without, and the condition Degraded says so. None: no label, so that ifconfig does not show it, as IPaddr2 has
    /// it (Linux before 5.18 knows our addresses by their label, and gets one nevertheless). Default: vip, where it fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "options_schema::label")]
    pub label: Option<String>,
    /// Whether an address with a prefix length adds the route to its subnet. Host addresses never do. Default: true.
    #[serde(default = "yes")]
    pub prefix_route: bool,
    /// Whether the node may use the addresses as the source of connections that it opens itself, which break when the
    /// address moves. Never: IPv6 addresses are deprecated from the start (preferred lifetime 0); IPv4 host addresses
    /// come after the interface's own. Allowed: IPv6 addresses are preferred as long as they are here. IPv4 has no such
    /// switch: an address with a prefix length that is the first in its subnet is a source in either case. Default:
    /// Never.
    #[serde(default)]
    pub source_address: SourceAddress,
    /// Whether the kernel asks for IPv6 addresses before it uses them (RFC 4862), which keeps them silent for a second or
    /// more after each move. The Lease proves already that no other node has them, so this only finds foreign hosts, as
    /// conflictDetection does without the wait. Default: false.
    #[serde(default)]
    pub duplicate_address_detection: bool,
}

/// The prefix length of addresses that are written without one.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrefixPolicy {
    /// A host address.
    #[default]
    Host,
    /// As the interface's own subnet has it.
    Auto,
}

/// Whether the node may use the addresses as a source.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceAddress {
    /// Not where it can be helped.
    #[default]
    Never,
    /// As any other address.
    Allowed,
}

impl Default for AddressOptions {
    fn default() -> Self {
        Self {
            prefix: PrefixPolicy::default(),
            broadcast: auto(),
            label: None,
            prefix_route: yes(),
            source_address: SourceAddress::default(),
            duplicate_address_detection: false,
        }
    }
}

fn auto() -> String {
    "Auto".to_owned()
}

const fn yes() -> bool {
    true
}
