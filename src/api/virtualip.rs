//! `VirtualIP`: addresses for which exactly one node answers.

// Doc comments here are what `kubectl explain` prints; and each column repeats attribute names.
#![allow(clippy::doc_markdown, clippy::duplicated_attributes)]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{
    Address, AddressError, AddressOptions, Announcement, ConflictDetection, InterfaceChoice, OnRelease,
    VipKey, WhenNotOwner, address_schema, options_schema, schema,
};

/// What should be: the addresses, and where they may live.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "virtualip.dev",
    version = "v1alpha1",
    kind = "VirtualIP",
    plural = "virtualips",
    singular = "virtualip",
    shortname = "vip",
    namespaced,
    status = "VirtualIPStatus",
    derive = "PartialEq",
    doc = "Addresses for which exactly one node of the cluster answers; when that node goes away, another one does.",
    validation = Rule::new("self.metadata.name.size() <= 185").message(
        "shorten the name to at most 185 characters: the Lease vip.<namespace>.<name> that says who owns the \
         addresses may have 253"
    ),
    printcolumn(name = "Address", type_ = "string", json_path = ".spec.addresses[0]",
        description = "The first address; all of them with -o wide"),
    printcolumn(name = "Node", type_ = "string", json_path = ".status.node",
        description = "The node that answers"),
    printcolumn(name = "Interface", type_ = "string", json_path = ".status.interface",
        description = "The interface that has the addresses"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether one node answers for all addresses"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Reason", type_ = "string", priority = "1",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#, description = "Why it is ready or not"),
    printcolumn(name = "Conflict", type_ = "string", priority = "1",
        json_path = r#".status.conditions[?(@.type=="AddressConflict")].reason"#,
        description = "Who else has or claims an address: ForeignHost, OtherVirtualIP; NoConflict when that is over"),
    printcolumn(name = "Since", type_ = "date", priority = "1", json_path = ".status.since",
        description = "Since when that node answers"),
    printcolumn(name = "Moves", type_ = "integer", priority = "1", json_path = ".status.moves",
        description = "How often the addresses changed their node"),
    printcolumn(name = "Addresses", type_ = "string", priority = "1", json_path = ".spec.addresses",
        description = "All addresses"),
    printcolumn(name = "Message", type_ = "string", priority = "1",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#, description = "What is the matter")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "has(self.interface) || has(self.interfaces) || \
     !self.addresses.exists(a, a.lowerAscii().matches('^fe[89ab][0-9a-f]:'))"
).message(
    "name the interface in spec.interface: a link-local address (fe80::/10) means another network on each interface"
).field_path(".interface"))]
#[x_kube(validation = Rule::new("!has(self.interface) || !has(self.interfaces)").message(
    "write spec.interface where it has the same name on every node, or spec.interfaces where names differ, not both"
).field_path(".interfaces"))]
#[x_kube(validation = Rule::new(
    "!has(self.addressOptions) || !has(self.addressOptions.label) || self.addresses.exists(a, !a.contains(':'))"
).message(
    "leave addressOptions.label out: only IPv4 addresses have labels, and there is none in spec.addresses"
).field_path(".addressOptions"))]
#[x_kube(validation = options_schema::no_clones())]
pub struct VirtualIPSpec {
    /// The addresses, IPv4 or IPv6, at most 16. They live and move together. A prefix length may be given
    /// (192.0.2.10/24); without one the address is a host address (/32, /128), which adds no route and never
    /// becomes the primary address of its interface.
    #[schemars(schema_with = "address_schema::addresses")]
    pub addresses: Vec<String>,
    /// The interface that carries the addresses, by the same name on every node. Left out, each node finds its own: the
    /// interface that is up and has the longest on-link prefix that contains the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::interface")]
    pub interface: Option<String>,
    /// Interfaces that carry the addresses where their names differ from node to node and spec.interface left out would
    /// not find them, at most 16. On each node the first entry counts whose nodeSelector the node's labels match and
    /// whose interface is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::interfaces")]
    pub interfaces: Vec<InterfaceChoice>,
    /// Which nodes may have the addresses. Left out: every node that has a fitting interface with a carrier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// How the addresses are configured: prefix, broadcast, label, route, use as a source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_options: Option<AddressOptions>,
    /// How the addresses are announced: how often, in which form, to whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announcement: Option<Announcement>,
    /// What is done about hosts outside the cluster that use an address. None: nothing. Probe: before its first
    /// assignment an address is asked for (RFC 5227), and not assigned while another host has it; later claims are
    /// reported. Defend: also, a host that claims an address is answered, at most once in 10 seconds. Default: Defend.
    #[serde(default)]
    pub conflict_detection: ConflictDetection,
    /// What becomes of the addresses on nodes that do not own them. Remove: they are not there. Loopback: each node that
    /// placement.nodeSelector allows has them on its loopback interface, unannounced, so that it accepts what a load
    /// balancer sends it directly (direct routing). For IPv4 that needs net.ipv4.conf.all.arp_ignore=1 and
    /// arp_announce=2 on the node, or it would answer for them: where they are missing the addresses stay away, and the
    /// condition Degraded says so. Default: Remove.
    #[serde(default)]
    pub when_not_owner: WhenNotOwner,
    /// What a node does when it gives the addresses up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_release: Option<OnRelease>,
}

/// Which nodes may have the addresses.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// Labels that a node must have, all of them, with these values. Empty: every node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::node_selector")]
    pub node_selector: BTreeMap<String, String>,
}

/// What is: written by the agents.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VirtualIPStatus {
    /// The node that answers for the addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The interface of that node that has the addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The addresses for which that node answers, each with its prefix length.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub addresses: Vec<String>,
    /// Since when that node answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::moment")]
    pub since: Option<Time>,
    /// How often the addresses changed their node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moves: Option<i64>,
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling and Stalled as kstatus defines them; AddressConflict once somebody else had or claimed an
    /// address, with the reason ForeignHost (a host outside the cluster, by its hardware address) or OtherVirtualIP;
    /// Degraded once a node could not do all that the spec says of an address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

impl VirtualIPSpec {
    /// The addresses, read.
    ///
    /// # Errors
    /// The first text that is no address: only in an object that was admitted under other rules than ours.
    pub fn parsed_addresses(&self) -> Result<Vec<Address>, AddressError> {
        self.addresses.iter().map(|text| text.parse()).collect()
    }

    /// The interfaces that are named, best first; none: any that fits. One name for every node is a choice without a
    /// condition.
    #[must_use]
    pub fn interface_choices(&self) -> Vec<InterfaceChoice> {
        match &self.interface {
            Some(name) => vec![InterfaceChoice { name: name.clone(), ..InterfaceChoice::default() }],
            None => self.interfaces.clone(),
        }
    }

    /// The interfaces that count on a node with these labels, best first; none: any that fits.
    #[must_use]
    pub fn interfaces_on(&self, labels: &BTreeMap<String, String>) -> Option<Vec<String>> {
        let choices = self.interface_choices();
        let counting = choices.iter().filter(|choice| choice.counts_on(labels));
        (!choices.is_empty()).then(|| counting.map(|choice| choice.name.clone()).collect())
    }

    /// Labels that a node must have.
    pub fn node_selector(&self) -> impl Iterator<Item = (&str, &str)> {
        self.placement
            .iter()
            .flat_map(|p| &p.node_selector)
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl VirtualIP {
    /// Namespace and name.
    #[must_use]
    pub fn key(&self) -> VipKey {
        VipKey::new(
            self.metadata.namespace.clone().unwrap_or_default(),
            self.metadata.name.clone().unwrap_or_default(),
        )
    }
}
