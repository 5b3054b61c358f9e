//! What a node does about foreign hosts, about addresses it does not own, and about those it gives up.

// Doc comments here are what `kubectl explain` prints.
#![allow(clippy::doc_markdown)]

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// An interface, and the nodes on which it counts.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InterfaceChoice {
    /// The interface's name.
    #[schemars(schema_with = "schema::interface_name")]
    pub name: String,
    /// Labels that a node must have, all of them, with these values, for this entry to count there. Empty: every node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::node_selector")]
    pub node_selector: BTreeMap<String, String>,
}

impl InterfaceChoice {
    /// Whether the entry is for a node with these labels.
    #[must_use]
    pub fn counts_on(&self, labels: &BTreeMap<String, String>) -> bool {
        self.node_selector.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}

/// What is done about hosts outside the cluster that have, or claim, an address.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConflictDetection {
    /// Nothing. (Off would be a truth value to YAML.)
    None,
    /// Probe before the first assignment, report claims later.
    Probe,
    /// As Probe, and answer claims.
    #[default]
    Defend,
}

/// What becomes of the addresses on nodes that do not own them.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhenNotOwner {
    /// They are not there.
    #[default]
    Remove,
    /// They are on the loopback interface.
    Loopback,
}

/// What a node does when it gives the addresses up.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OnRelease {
    /// Whether TCP connections to the addresses are closed (reset), so that clients that wait for an answer notice
    /// at once that the other end is gone, and connect again. A release waits at most 200 milliseconds for that: of very
    /// many connections some are then left to end as they would without it. Default: false.
    #[serde(default)]
    pub close_connections: bool,
}
