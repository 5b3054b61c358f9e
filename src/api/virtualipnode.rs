//! `VirtualIPNode`: what a node could carry, and why not.

// Doc comments here are what `kubectl explain` prints; and each column repeats attribute names.
#![allow(clippy::doc_markdown, clippy::duplicated_attributes)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// What the administrator wants of this node.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "virtualip.dev",
    version = "v1alpha1",
    kind = "VirtualIPNode",
    plural = "virtualipnodes",
    singular = "virtualipnode",
    shortname = "vipnode",
    status = "VirtualIPNodeStatus",
    derive = "PartialEq",
    doc = "A node as its agent sees it: what it could carry, and why not. Made by the agent, named like the node.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether the node can carry a VirtualIP"
    ),
    printcolumn(
        name = "Standby",
        type_ = "boolean",
        json_path = ".spec.standby",
        description = "Whether the administrator took the node out"
    ),
    printcolumn(
        name = "Held",
        type_ = "integer",
        json_path = ".status.held",
        description = "How many VirtualIPs the node answers for"
    ),
    printcolumn(
        name = "Source",
        type_ = "string",
        json_path = ".status.right.source",
        description = "Where the node's right to answer comes from"
    ),
    printcolumn(
        name = "Version",
        type_ = "string",
        json_path = ".status.agentVersion",
        description = "Version of the agent"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        priority = "1",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why it is ready or not"
    ),
    printcolumn(
        name = "Witnesses",
        type_ = "string",
        priority = "1",
        json_path = ".status.right.message",
        description = "Which witnesses answer, and why there are not more"
    ),
    printcolumn(
        name = "Fence",
        type_ = "string",
        priority = "1",
        json_path = ".status.fence.kind",
        description = "Whether addresses fall silent to the nanosecond without the agent, or in whole seconds"
    ),
    printcolumn(
        name = "Interfaces",
        type_ = "string",
        priority = "1",
        json_path = ".status.interfaces[*].name",
        description = "The first interface"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        priority = "1",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        description = "What is the matter"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct VirtualIPNodeSpec {
    /// True empties the node: it hands over what it holds and takes nothing. Default: false.
    #[serde(default)]
    pub standby: bool,
}

/// What the agent sees.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VirtualIPNodeStatus {
    /// Version of the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
    /// How many VirtualIPs the node answers for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<i64>,
    /// Where the node's right to answer comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right: Option<NodeRight>,
    /// What takes the addresses away when the agent is killed or hangs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<NodeFence>,
    /// The interfaces that could carry an address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub interfaces: Vec<NodeInterface>,
    /// Why the addresses of VirtualIPs with whenNotOwner: Loopback cannot be on this node's loopback interface, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loopback_refused: Option<String>,
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling and Stalled as kstatus defines them; the reason says why the node carries nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// Where a node's right to answer comes from, and why it is no better.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeRight {
    /// Lease: the API server; the addresses go silent while it is away. Witness: promises of other nodes. Both: either of them.
    pub source: RightSource,
    /// The nodes whose promises count, this one among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub witnesses: Vec<String>,
    /// How many of them answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answering: Option<i64>,
    /// How many of them must answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needed: Option<i64>,
    /// Which witnesses answer, and why there are not more.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// Where a right to answer comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RightSource {
    /// Renewals in the API server.
    #[default]
    Lease,
    /// Either of the two.
    Both,
    /// Promises of other nodes.
    Witness,
}

/// What takes a node's addresses away when its agent does not, and why it is no better.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeFence {
    /// Exact: the kernel looks at the end of the right for each packet. Lifetime: it removes addresses after whole seconds.
    pub kind: FenceKind,
    /// How it is done, or why it is not exact.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// How exactly addresses fall silent without the agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum FenceKind {
    /// To the nanosecond.
    Exact,
    /// In whole seconds. Promises of witnesses must be longer.
    #[default]
    Lifetime,
}

/// An interface that could carry an address.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeInterface {
    /// Name.
    pub name: String,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether it has a carrier (a cable with something alive at the other end).
    pub carrier: bool,
    /// Hardware address, as 02:00:00:00:00:01.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// On-link networks, as 192.0.2.0/24.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub subnets: Vec<String>,
}
