//! Small authenticated datagrams between the agents of a cluster, over one UDP port; knows neither Kubernetes nor what is said.
//!
//! Every datagram carries an HMAC under a key that all agents share ([`KeyRing`]). Who lacks the key gets no answer, whatever
//! he sends. What was recorded cannot be played again: each of two peers draws a random *ticket* for the other, and takes
//! only datagrams that name the ticket it gave out last and a number that it has not seen under it ([`session`]). Tickets
//! are exchanged in one round trip, and anew when one of the two was started again; no clock is compared.
//!
//! What is sent arrives once or never, in any order, and perhaps late.

mod counts;
mod frame;
mod key;
mod peer;
mod reject;
mod session;
mod socket;
mod table;
#[cfg(test)]
mod tests;
mod ticket;
mod window;

pub use counts::{Counts, Figures};
pub use frame::{MAX_DATAGRAM, MAX_PAYLOAD};
pub use key::{InvalidKey, KEY_LENGTH, Key, KeyRing, NoRandomness};
pub use peer::Silence;
pub use reject::Reject;
pub use socket::{Delivery, Mesh, MeshError};
