//! The key that the agents' datagrams are signed with: a Secret that they make and change themselves.
//!
//! The Secret has three keys ([`slots::Slots`]): one to sign with, the one before, and the one after. A change moves each one place on and
//! draws a new last one. So every key was known to all agents for a whole period before anybody signs with it, and is
//! accepted for a whole period after. What a person does to the Secret, deleting it or writing other keys into it, is borne as
//! well ([`store::Store`]): nobody signs with a key that came unannounced before the others had time to hear of it.
//!
//! No clock is compared: the keys are changed by whichever agent has known them unchanged for the period first.

mod follow;
mod slots;
mod store;

pub use follow::{Place, follow};
pub use store::Spans;
