//! The resource agent for Pacemaker: what `ocf:heartbeat:IPaddr2` does, on the address core of this project.
//!
//! Parameters come from the environment (`OCF_RESKEY_*`), results are exit codes and a reason on standard error, as
//! the Open Cluster Framework's resource agent API 1.0 says. Pacemaker decides who owns the address; so it carries no
//! lifetime here. It carries our mark: what somebody else configured is never touched, and what is ours is found
//! again whatever state its interface is in.

mod announce;
mod carrier;
mod code;
mod error;
mod parameters;
mod place;
mod verbs;

pub use announce::{announce, announce_rest};
pub use code::Code;
pub use error::OcfError;
pub use parameters::{Invalid, Netmask, Parameters, Subject, is_probe, needs_carrier, refresh};
pub use place::Place;
pub use verbs::{Monitored, Started, monitor, start, stop, validate};

/// What `meta-data` prints.
pub const METADATA: &str = include_str!("metadata.xml");
