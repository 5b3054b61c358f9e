//! The values of the metrics' labels, as types: each value is written in one place.

use std::fmt::{self, Write as _};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

macro_rules! values {
    ($($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $value:ident => $text:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$about])* $value,)+
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
                encoder.write_str(match self { $(Self::$value => $text,)+ })
            }
        }
    )+};
}

values! {
    /// Which of the agent's writes to the API server.
    ApiWrite {
        /// The Lease of a node: renewal, begin, closing.
        NodeLease => "node_lease",
        /// The Lease of a `VirtualIP`.
        VipLease => "vip_lease",
        /// A status.
        Status => "status",
        /// An Event.
        Event => "event",
        /// A finalizer, or the object of this node.
        Object => "object",
    }
    /// How a call ended.
    Outcome {
        /// It took effect.
        Ok => "ok",
        /// The object had changed before.
        Conflict => "conflict",
        /// It was refused, or nobody knows.
        Error => "error",
    }
    /// Where a handover goes.
    Direction {
        /// From another node to this one.
        Received => "received",
        /// From this node to another one.
        Given => "given",
    }
    /// What the kernel was asked to do with an address.
    Operation {
        /// Add it.
        Add => "add",
        /// Give it a new lifetime.
        Extend => "extend",
        /// Remove it.
        Remove => "remove",
    }
    /// Where the right to answer comes from.
    Source {
        /// The API server alone.
        Lease => "lease",
        /// The API server or witnesses.
        Both => "both",
        /// Witnesses alone.
        Witness => "witness",
    }
    /// What was said on the wire.
    Announcement {
        /// Gratuitous ARP, in either form.
        Arp => "arp",
        /// Unsolicited neighbour advertisement.
        Na => "na",
    }
}

/// A write to the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ApiWriteLabels {
    /// Which.
    pub kind: ApiWrite,
    /// How it ended.
    pub outcome: Outcome,
}

/// A measured call to the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ApiLabels {
    /// Which.
    pub kind: ApiWrite,
}

/// A handover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct HandoverLabels {
    /// Where it goes.
    pub direction: Direction,
}

/// A call to the kernel about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct KernelLabels {
    /// What was asked.
    pub operation: Operation,
    /// How it ended.
    pub outcome: Outcome,
}

/// A source of the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SourceLabels {
    /// Which.
    pub source: Source,
}

/// An announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AnnouncementLabels {
    /// What was said.
    pub protocol: Announcement,
}
