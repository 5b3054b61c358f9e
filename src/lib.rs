//! A Kubernetes controller that gives a cluster on bare metal its floating addresses: exactly one node
//! answers for a `VirtualIP`, and never two at once.
//!
//! Data goes one way: `api` ► `placement` ► `ownership` ► `network`; only `agent` knows them all. `ocf` uses `network` alone,
//! `mesh` carries messages between agents and knows none of the others.

pub mod agent;
pub mod api;
pub mod cli;
pub mod manifests;
pub mod mesh;
pub mod network;
pub mod observe;
pub mod ocf;
pub mod ownership;
pub mod placement;
#[cfg(test)]
mod rooms_test;
pub mod standalone;
#[cfg(test)]
mod wall_clock_test;
