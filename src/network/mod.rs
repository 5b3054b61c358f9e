//! Links, addresses, ARP and NDP of this node; knows nothing of Kubernetes.
//!
//! [`Kernel`] asks and changes, [`Monitor`] hears what changed, [`Announcer`] and [`Listener`] speak and listen on
//! the wire. Nothing here knows who may own an address: callers hold the right, this room only acts.

mod address;
mod announcer;
pub mod arp;
mod batch;
mod claim;
pub mod clock;
mod connections;
#[cfg(test)]
mod corpus;
mod ethernet;
pub mod fence;
mod filter;
mod host_lock;
mod kernel;
mod leisure;
mod likeness;
mod link;
mod listener;
mod mac;
mod mark;
mod message;
mod monitor;
pub mod ndp;
mod netlink;
mod outcome;
mod packet_socket;
mod place;
mod probe;
mod request;
mod setup;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use address::Look;
pub use announcer::{Announcer, Form};
pub use claim::Claim;
pub use connections::{CLOSE_WITHIN, ConnectionError, close_connections};
pub use host_lock::{HostLock, LockError};
pub use kernel::{Kernel, KernelError};
pub use leisure::{leisure, together, turn};
pub use link::{Link, Links, Unfit};
pub use listener::Listener;
pub use mac::{InvalidMac, Mac};
pub use mark::{LABEL_MAX, LABEL_SUFFIX, Marked, PROTOCOL};
pub use monitor::{Change, Monitor};
pub use outcome::{Added, AddressError, Removed};
pub use packet_socket::WireError;
pub use place::{LINK_LOCAL_PREFIX, On, Prefix, Wish, is_link_local};
pub use probe::probe;
pub use setup::{Broadcast, Label, Setup, Spot};
