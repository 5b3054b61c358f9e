//! The model checker: every run of small worlds around the production [`Machine`](super::Machine), up to a number
//! of faults.
//!
//! A world is two or three nodes, one `VirtualIP` with one address, and an API server with etcd's
//! semantics. Time goes in ticks of half a second; the Lease lasts six. Without a fault everything that is under way is
//! done before time goes on, watches deliver at once, and a write and its answer are one step; each fault lets something
//! be late, get lost, sleep, die or be cut off for as long as it likes. Messages between agents arrive at once as well, and
//! where there are such, or a world is coarse, requests take effect in the order of the nodes. The hand is the model's own.

mod fingerprint;
mod hand;
mod missed;
mod moves;
mod node;
mod plot;
mod plots;
mod post;
mod requests;
mod search;
mod tests;
mod walks;
mod words;
mod world;
