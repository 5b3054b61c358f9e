//! What two peers have agreed on: two tickets, each drawn at random by the one who receives under it.
//!
//! Why nothing recorded can be played again: a datagram counts only under the ticket that its receiver gave out last, with a
//! number not seen under it. A receiver that was started again has given out none of the tickets of its former life. A sender
//! that was started again has learned a ticket that no datagram of its former life names; the first datagram that names
//! it proves that its sender lives now, and ends what was agreed before.

use super::ticket::Ticket;
use super::window::Window;

/// An agreement with one peer.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    /// Names what the peer sends.
    pub mine: Ticket,
    /// Names what is sent to the peer.
    pub theirs: Ticket,
    sent: u64,
    seen: Window,
}

impl Session {
    /// A session under these tickets.
    pub fn new(mine: Ticket, theirs: Ticket) -> Self {
        Self { mine, theirs, sent: 0, seen: Window::default() }
    }

    /// The number of the next datagram to the peer, from one.
    pub fn next_number(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    /// Whether the peer's datagram of this number is new.
    pub fn take(&mut self, number: u64) -> bool {
        self.seen.take(number)
    }
}
