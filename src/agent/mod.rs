//! The only place where the rooms meet: watches in, actions out, deadlines, shutdown.
//!
//! One loop ([`run::Agent`]) feeds everything that happens through the ownership machine, one input after the other.
//! What it wants done goes to tasks of their own: requests to [`perform`], the kernel and the wire to [`hand`].

mod backoff;
mod by_hand;
mod codec;
mod deadline;
mod entitlement;
mod facts;
mod fencing;
mod guards;
mod hand;
mod input;
mod inventory;
mod keys;
mod lease_client;
mod lease_watch;
mod message;
mod options;
mod own_thread;
mod peers;
mod perform;
mod planner;
mod probes;
mod realtime;
mod report;
mod right;
mod run;
mod scene;
pub(crate) mod schedule;
mod senses;
mod start;
pub(crate) mod target;
mod turns;
mod underway;
pub mod uninstall;
mod wait;
mod wants;
mod watches;

pub use by_hand::{CloseError, Closed, close};
pub use options::{Options, OptionsError};
pub use start::{Error, run};
