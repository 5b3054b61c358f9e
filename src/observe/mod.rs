//! Metrics, Events, status writing, health endpoints, logs: what people and other programs see of an agent.
//!
//! Nothing here is on the way of an address: whoever owns one hands over what it has to say and goes on.

#[cfg(test)]
pub(crate) mod api_fake;
mod datagrams;
mod event_series;
pub mod events;
pub mod health;
mod labels;
pub mod log;
pub mod metrics;
mod node_status;
mod pending;
mod right;
mod status;
mod status_writer;
mod text;
pub mod urgent;

pub use datagrams::Datagrams;
pub use node_status::{NodeFacts, node_status};
pub use status::{Facts, Foreigner, Owner, status};
pub use status_writer::{StatusWriter, Subject};
pub use text::with_causes;
