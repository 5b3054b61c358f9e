//! Who does own: the lease protocol as a state machine without IO or clock.
//!
//! [`Machine::step`] takes an [`Event`] and the time, and returns the [`Action`]s that the agent performs. The
//! same code runs in production and under the model checker. The rules it follows are numbered as in the
//! protocol: a node's life is an *epoch* of its node Lease ([`life`]), a dead epoch is *closed* by whoever knew
//! it unchanged for its whole duration ([`peers`]), and a `VirtualIP` belongs to a (node, epoch) through its own
//! Lease ([`seat`]).
//!
//! **Invariant.** At any moment at most one node answers for an address.

mod campaign;
mod choice;
mod event;
mod lease;
mod life;
mod machine;
mod memo;
mod message;
#[cfg(test)]
mod model;
mod need;
mod peers;
mod promises;
mod rule;
mod seat;
#[cfg(test)]
mod sim;
mod source;
mod stand;
mod steps;
mod time;
mod timing;
mod weight;
mod witness;

pub use event::{Action, Answer, Event, Neighbour, NodeWrite, TitleWrite, Want, Why};
pub use lease::{
    Epoch, Expect, Holder, Incarnation, Key, NodeLease, NodeName, Nonce, Offer, Title, TitleContent, Version,
};
pub use machine::{Machine, Summary};
pub use message::{Message, Refusal};
pub use source::{Mode, Source, Witnesses};
pub use time::Time;
pub use timing::{Fence, KERNEL_SLACK, Timing, TimingError, whole_lifetime};
