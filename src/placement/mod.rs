//! Who should own each `VirtualIP`: pure functions over what the cluster says.
//!
//! Every agent computes the same answer from the same objects: first what a node cannot carry ([`Refusal`]), then
//! the holder where it is fit (a running `VirtualIP` never moves by itself), then the node that has fewest, then a
//! stable hash.

mod facts;
mod plan;
mod refusal;

pub use facts::{InterfaceFacts, NodeFacts, VipFacts};
pub use plan::{Plan, plan};
pub use refusal::{Refusal, refuse};
