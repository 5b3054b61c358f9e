//! A real Kubernetes cluster on this machine, in namespaces: for tests, the demonstration and the benchmark.
//!
//! Everything begins with [`Cluster::start`]. A program that uses the lab calls [`enter`] before anything else.

pub mod addresses;
pub mod attach;
pub mod audit;
mod base_address;
mod cables;
pub mod certificates;
mod cgroup;
pub mod cluster;
pub mod control_plane;
mod control_plane_flags;
pub mod daemon;
pub mod deploy;
pub mod error;
mod faults;
mod fence;
pub mod forgery;
pub mod host;
mod http;
pub mod image;
mod init;
pub mod janitor;
pub mod judge;
pub mod keepalived;
pub mod kernels;
pub mod losses;
pub mod metallb;
mod namespaces;
pub mod node;
pub mod node_config;
mod outages;
pub mod packages;
pub mod plan;
pub mod process;
pub mod program;
pub mod programs;
pub mod refusals;
pub mod run;
pub mod seen;
pub mod slow_api;
pub mod snapshot;
mod sources;
pub mod stage;
pub mod state;
pub mod switch;

pub use cluster::Cluster;
pub use error::{Error, Result};
pub use node::Node;
pub use plan::{InterfacePlan, NodePlan, Plan};

use std::{env, path::Path, process::exit};

/// The lab starts this same program again as the first process of each host, and as its janitor. Where this is such
/// a start, the call does not return.
pub fn enter() {
    let words: Vec<_> = env::args().skip(1).take(3).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [init::WORD, name] => init::main(name, None),
        [init::WORD, name, disk] => init::main(name, Some(Path::new(disk))),
        [janitor::WORD, dir] => exit(janitor::main(Path::new(dir)).map_or(1, |()| 0)),
        _ => {}
    }
}
