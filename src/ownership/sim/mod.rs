//! A deterministic simulation of whole clusters around the production [`Machine`](super::Machine): an API
//! server with etcd's semantics, kernels with lifetimes, clocks of different rates, and every fault that the
//! protocol has to bear. The same seed gives the same run.

mod agent;
pub(super) mod api;
mod faults;
mod hand;
mod kernel;
pub(super) mod network;
mod node;
mod outage;
mod partitions;
pub(super) mod placement;
mod post;
mod rng;
mod scenarios;
mod seeds;
mod world;

use std::net::IpAddr;
use std::time::Duration;

use super::lease::{Key, NodeName};

/// Virtual time of the world in nanoseconds; no machine ever sees it.
type Instant = u64;

const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLI;

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap()
}

fn seconds(at: Instant) -> f64 {
    Duration::from_nanos(at).as_secs_f64()
}

pub(super) fn node_name(index: usize) -> NodeName {
    NodeName(format!("n{index}"))
}

pub(super) fn key(index: usize) -> Key {
    Key { namespace: "test".into(), name: format!("vip{index}") }
}

pub(super) fn address(index: u8) -> IpAddr {
    IpAddr::from([192, 168, 200, index])
}
