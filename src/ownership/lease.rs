//! The two kinds of Lease as the protocol sees them.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::source::Source;

/// A resourceVersion. The API server orders all versions of one resource by it.
pub type Version = u64;

/// The name of a node: shared, since it goes with every message and into every table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(pub Arc<str>);

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub use crate::api::VipKey as Key;

/// One life of a node. The uid keeps epochs apart when somebody deleted the node Lease and its numbers start again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch {
    /// The uid of the node Lease.
    pub lease: Arc<str>,
    /// Its `leaseTransitions`.
    pub number: i32,
}

/// Who owns: a node in one of its epochs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    /// The node.
    pub node: NodeName,
    /// Its epoch.
    pub epoch: Epoch,
}

/// One life of a process: drawn at its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Incarnation(pub u64);

impl std::hash::Hash for Incarnation {
    /// Like the mark of a write that was never made: whoever renames incarnations renames them in both.
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        Nonce { incarnation: self.0, sequence: 0 }.hash(state);
    }
}

/// Marks a write as ours: no two writes of any process carry the same. Without it a write that was sent twice
/// could be taken for its second copy, and the right be counted from too late a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce {
    /// Of the process, drawn at its start.
    pub incarnation: u64,
    /// Of the write.
    pub sequence: u64,
}

/// The Lease `node.<node>`: a node's life.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeLease {
    /// Its version.
    pub version: Version,
    /// Its epoch.
    pub epoch: Epoch,
    /// Whether the epoch is open, that is `holderIdentity` names the node.
    pub open: bool,
    /// How long it must be known unchanged before it may be closed.
    pub duration: Duration,
    /// Which write made this version.
    pub nonce: Nonce,
    /// Where the right comes from, and so what it takes to close the epoch.
    pub source: Source,
}

/// The owner asks a successor, which answers by setting `accepted`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Offer {
    /// The successor.
    pub to: Holder,
    /// Whether it said that it is there.
    pub accepted: bool,
    /// Whether it said that it can be written in while the owner still answers. Agents before that was known do not.
    pub waits: bool,
}

/// What a write puts into a Lease `vip.<namespace>.<name>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TitleContent {
    /// Who owns.
    pub holder: Option<Holder>,
    /// Who is asked to own next. Nobody is, as long as somebody is awaited.
    pub offer: Option<Offer>,
    /// Who owned before and may answer on, until it has said that it is silent or is dead (rule 17).
    pub awaiting: Option<Box<Holder>>,
    /// Addresses that this `VirtualIP`, and no other, may answer for.
    pub granted: BTreeSet<IpAddr>,
    /// Addresses that it asks for. It may answer for one only after a read that was sent later than this was
    /// written has shown that no other `VirtualIP` lists it: of two that ask at once, one sees the other.
    pub wanted: BTreeSet<IpAddr>,
    /// How often it moved.
    pub moves: i32,
}

/// The Lease `vip.<namespace>.<name>` in one of its versions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Title {
    /// Its version.
    pub version: Version,
    /// What it says.
    pub content: TitleContent,
    /// Whether somebody asked to delete it.
    pub deleting: bool,
}

/// The state that a compare-and-swap expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Expect {
    /// There is no such object.
    Absent,
    /// It is at this version.
    At(Version),
}
