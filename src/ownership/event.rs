//! What comes into the machine and what it wants done.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use super::lease::{Epoch, Expect, Key, NodeLease, NodeName, Nonce, Title, TitleContent, Version};
use super::message::Message;
use super::source::Source;
use super::time::Time;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Time passed; look whether something is due.
    Tick,
    /// A node Lease was read or watched. `None`: it did not exist at `version`.
    Node {
        /// Whose Lease.
        node: NodeName,
        /// The version seen, or at which it was absent.
        version: Version,
        /// What it says.
        lease: Option<NodeLease>,
    },
    /// A vip Lease was read or watched. `None`: it did not exist at `version`.
    Title {
        /// Whose Lease.
        key: Key,
        /// The version seen, or at which it was absent.
        version: Version,
        /// What it says.
        title: Option<Title>,
    },
    /// Every Lease that existed was delivered: what is not known does not exist.
    Synced,
    /// A write to a node Lease was answered.
    NodeAnswer {
        /// Whose Lease.
        node: NodeName,
        /// Which write.
        nonce: Nonce,
        /// Its outcome.
        answer: Answer<NodeLease>,
    },
    /// A write to a vip Lease was answered.
    TitleAnswer {
        /// Whose Lease.
        key: Key,
        /// Which write.
        nonce: Nonce,
        /// Its outcome.
        answer: Answer<Title>,
    },
    /// A read of all vip Leases, sent after `version` was known, found these addresses listed by others.
    Checked {
        /// For which `VirtualIP`.
        key: Key,
        /// The version it was asked for.
        version: Version,
        /// Addresses that others list; `None` when the read failed.
        taken: Option<BTreeSet<IpAddr>>,
    },
    /// Placement wants this of the `VirtualIP`.
    Wanted {
        /// Which.
        key: Key,
        /// What.
        want: Want,
    },
    /// A former life of this agent left these addresses in the kernel, said before anything else about `key`.
    Found {
        /// Whose they are by the Leases.
        key: Key,
        /// The addresses that are up.
        up: BTreeSet<IpAddr>,
    },
    /// Marked addresses that belong to no `VirtualIP` are gone, and those of [`Event::Found`] were all said.
    Inventoried,
    /// The kernel has these addresses after an [`Action::Set`].
    Kernel {
        /// Whose.
        key: Key,
        /// The addresses that are up now.
        up: BTreeSet<IpAddr>,
    },
    /// An address vanished from the kernel without our doing.
    Vanished {
        /// Whose.
        key: Key,
        /// The address.
        address: IpAddr,
    },
    /// The other nodes to which messages can be sent, as far as the outside knows; whether they answer shows. None: there
    /// is no way to talk, and the right comes from the Lease.
    Neighbours(BTreeMap<NodeName, Neighbour>),
    /// Another agent says this.
    Message {
        /// Who; authenticated.
        from: NodeName,
        /// What.
        message: Message,
    },
    /// Hand everything over, close the epoch and say [`Action::Done`].
    Leave,
    /// Time is up: silence everything at once, close the epoch and say [`Action::Done`].
    Abandon,
}

/// A node that messages can be sent to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Neighbour {
    /// Its `topology.kubernetes.io/zone`, if it has one: witnesses are spread over zones.
    pub zone: Option<String>,
}

/// The outcome of a write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer<T> {
    /// It took effect and made this; `None`: the object is gone as of the version.
    Written(Version, Option<T>),
    /// It was refused because the object has another version.
    Conflict,
    /// Nobody knows: it failed, or no answer came in time. It may still take effect.
    Unknown,
}

/// What this node should do about a `VirtualIP`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Want {
    /// Nothing: this node cannot hold it.
    #[default]
    Abstain,
    /// Hold it with these addresses if it is free; `rank` 0 is the best placed node.
    Hold {
        /// How many live nodes are better placed.
        rank: u32,
        /// The addresses it is entitled to.
        addresses: BTreeSet<IpAddr>,
    },
    /// Hand it to one of these, in this order.
    Yield {
        /// Successors, best first.
        to: Vec<NodeName>,
        /// Whether it must go even if no successor is there.
        must: bool,
        /// The addresses it is entitled to as long as it stays.
        addresses: BTreeSet<IpAddr>,
    },
    /// It is being deleted: silence it, then remove its Lease. `steward`: do so also for a dead holder.
    Retire {
        /// Whether this node tidies up where nobody holds.
        steward: bool,
    },
}

/// Why a vip Lease is written; for logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// It was free, or its holder dead.
    Claim,
    /// The owner asks a successor.
    Offer,
    /// The successor is there.
    Accept,
    /// The successor owns, and waits until the address is silent here.
    Appoint,
    /// The address is silent at the one that was awaited.
    Clear,
    /// The address is silent here and now the successor's.
    Gift,
    /// The address is silent here and nobody's.
    Release,
    /// The addresses it lists change.
    Settle,
    /// A write of our own, so that no late write of a former life or hand can take effect.
    Confirm,
    /// It is deleted.
    Retire,
}

/// A compare-and-swap on a node Lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeWrite {
    /// Whose Lease.
    pub node: NodeName,
    /// What must be there.
    pub expect: Expect,
    /// Its `leaseTransitions`.
    pub number: i32,
    /// Whether the epoch is open.
    pub open: bool,
    /// What it states as duration.
    pub duration: Duration,
    /// What it states as source of the right. Who closes leaves it as it is.
    pub source: Source,
    /// Which write.
    pub nonce: Nonce,
    /// Whom the watches need to tell besides the node itself; `None`: everybody. Where an epoch begins and where it ends
    /// matters to all, that it goes on only to those who would close it.
    pub told: Option<BTreeSet<NodeName>>,
}

/// A compare-and-swap on a vip Lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TitleWrite {
    /// Whose Lease.
    pub key: Key,
    /// What must be there.
    pub expect: Expect,
    /// What it shall say. With [`Why::Retire`] the Lease is removed.
    pub content: TitleContent,
    /// Why.
    pub why: Why,
    /// Which write.
    pub nonce: Nonce,
}

/// What the agent shall do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Write a node Lease.
    WriteNode(NodeWrite),
    /// Write a vip Lease.
    WriteTitle(TitleWrite),
    /// Read a node Lease, linearizably.
    ReadNode(NodeName),
    /// Read a vip Lease, linearizably.
    ReadTitle(Key),
    /// Read all vip Leases, linearizably, and say which of the addresses others list.
    Check {
        /// For which `VirtualIP`.
        key: Key,
        /// The version the answer is for.
        version: Version,
        /// The addresses asked about.
        addresses: BTreeSet<IpAddr>,
    },
    /// Bring the kernel's addresses of `key` to exactly these and answer [`Event::Kernel`]. Adding is allowed only
    /// while the right of the moment runs.
    Set {
        /// Whose.
        key: Key,
        /// The addresses.
        addresses: BTreeSet<IpAddr>,
    },
    /// Say this to another agent: once, at once, and never queued behind anything.
    Send {
        /// To whom.
        to: NodeName,
        /// What.
        message: Message,
    },
    /// The right runs until then: extend the lifetimes of all addresses that are up.
    Extend(Time),
    /// An epoch began.
    Began(Epoch),
    /// The epoch is over; its right, if one ran, has ended.
    Ended(Epoch),
    /// Everything is handed over and the epoch closed.
    Done,
}
