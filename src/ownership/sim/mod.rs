//! A deterministic simulation of whole clusters around the production [`Machine`](super::Machine): an API
//! server with etcd's semantics, kernels with lifetimes, clocks of different rates, and every fault that the
//! protocol has to bear. The same seed gives the same run.

mod agent;
pub(super) mod api;
mod census;
mod faults;
mod hand;
mod handover;
mod kernel;
mod large;
pub(super) mod network;
mod node;
mod outage;
mod partitions;
pub(super) mod placement;
mod post;
mod report;
pub(super) mod rng;
mod scenarios;
mod seeds;
mod traffic;
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
    NodeName(format!("n{index}").into())
}

/// The number of the node with this name.
fn node_index(name: &NodeName) -> usize {
    name.0[1..].parse().unwrap()
}

pub(super) fn key(index: usize) -> Key {
    Key { namespace: "test".into(), name: format!("vip{index}") }
}

/// The address of one of many `VirtualIP`s.
fn wide_address(vip: usize) -> IpAddr {
    let [_, a, b, c] = u32::try_from(vip).unwrap().to_be_bytes();
    IpAddr::from([10, a, b, c])
}

fn wide_index(address: IpAddr) -> Option<usize> {
    match address {
        IpAddr::V4(v4) if v4.octets()[0] == 10 => {
            let [_, a, b, c] = v4.octets();
            usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()
        }
        _ => None,
    }
}

pub(super) fn address(index: u8) -> IpAddr {
    IpAddr::from([192, 168, 200, index])
}
