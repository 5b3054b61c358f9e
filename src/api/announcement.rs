//! How often, and in which form, an address is announced.

// Doc comments here are what `kubectl explain` prints.
#![allow(clippy::doc_markdown)]

use std::{net::IpAddr, time::Duration};

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::options_schema;

/// How addresses are announced on the wire: by gratuitous ARP (IPv4) and unsolicited neighbour advertisements (IPv6). The
/// first one leaves as soon as the address is configured, whatever is set here.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Announcement {
    /// How often an address is announced after it came to a node, from 1 to 20. Default: 5.
    #[serde(default = "count")]
    #[schemars(schema_with = "options_schema::count")]
    pub count: i32,
    /// Milliseconds between these announcements, from 100 to 60000. Linux ignores a second change of an ARP entry within a
    /// second, so those that follow faster are lost on it. Default: 1100.
    #[serde(default = "interval")]
    #[schemars(schema_with = "options_schema::interval")]
    pub interval_milliseconds: i32,
    /// Seconds between the announcements after those, for as long as a node has the address: switches forget a quiet
    /// host after minutes, and stale caches heal. From 1 to 3600, or 0 for none. Default: 60.
    #[serde(default = "refresh")]
    #[schemars(schema_with = "options_schema::refresh")]
    pub refresh_interval_seconds: i32,
    /// Form of gratuitous ARP. Some devices learn only from requests, some only from replies. Both, Request or Reply.
    /// Default: Both.
    #[serde(default)]
    pub form: ArpForm,
    /// Up to 8 hosts on the same network, routers for instance, that are told one by one as well: each is asked for its own
    /// hardware address in the name of the VirtualIP, which makes it learn where that is now even if it ignores what it
    /// did not ask for. Each is told of the addresses of its own family.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "options_schema::targets")]
    pub targets: Vec<IpAddr>,
}

/// Form of gratuitous ARP.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ArpForm {
    /// One of each.
    #[default]
    Both,
    /// Only requests.
    Request,
    /// Only replies.
    Reply,
}

impl Default for Announcement {
    fn default() -> Self {
        Self {
            count: count(),
            interval_milliseconds: interval(),
            refresh_interval_seconds: refresh(),
            form: ArpForm::default(),
            targets: Vec::new(),
        }
    }
}

impl Announcement {
    /// Time between the first announcements.
    #[must_use]
    pub fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_milliseconds.try_into().unwrap_or_default())
    }

    /// Time between the later ones; none: there are no later ones.
    #[must_use]
    pub fn refresh(&self) -> Option<Duration> {
        let seconds = u64::try_from(self.refresh_interval_seconds).ok().filter(|seconds| *seconds > 0);
        seconds.map(Duration::from_secs)
    }
}

const fn count() -> i32 {
    5
}

const fn interval() -> i32 {
    1100
}

const fn refresh() -> i32 {
    60
}
