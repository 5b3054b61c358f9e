//! Random numbers that name sessions.

use ring::hmac;

use super::key::{Key, NoRandomness};

/// Names one direction of a session; drawn by the receiver. Nobody can guess one, and none comes twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

impl Ticket {
    /// Where a ticket is not known yet.
    pub const NONE: Self = Self(0);
}

/// Draws tickets: HMAC of a counter under a secret of this process. The kernel is asked for randomness once, at the start, so
/// that drawing cannot fail later.
#[derive(Debug)]
pub struct Tickets {
    secret: hmac::Key,
    drawn: u64,
}

impl Tickets {
    /// A fresh secret.
    pub fn new() -> Result<Self, NoRandomness> {
        Ok(Self::of(Key::random()?.bytes()))
    }

    /// The tickets of this secret.
    pub fn of(secret: &[u8]) -> Self {
        Self { secret: hmac::Key::new(hmac::HMAC_SHA256, secret), drawn: 0 }
    }

    /// The next ticket.
    pub fn draw(&mut self) -> Ticket {
        loop {
            self.drawn += 1;
            let digest = hmac::sign(&self.secret, &self.drawn.to_be_bytes());
            let mut first = [0; 8];
            first.copy_from_slice(&digest.as_ref()[..8]);
            let ticket = Ticket(u64::from_be_bytes(first));
            if ticket != Ticket::NONE {
                return ticket;
            }
        }
    }
}
