//! One other agent: where it is, and what is known of how it can be reached.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::session::Session;
use super::ticket::{Ticket, Tickets};

/// Payloads kept until there is a session.
const KEPT: usize = 8;

/// And for how long: what was said a second ago is of no use any more.
const KEPT_FOR: Duration = Duration::from_secs(1);

/// Between two greetings of the same peer.
const HELLO_PAUSE: Duration = Duration::from_millis(100);

/// Between two answers to greetings of the same peer, so that a recorded greeting cannot make a storm.
const WELCOME_PAUSE: Duration = Duration::from_millis(5);

/// A peer of which nothing was heard for this long may have been started again, and is greeted.
const QUIET: Duration = Duration::from_millis(250);

/// Why nothing is heard of a peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Silence {
    /// There is no key to sign with yet.
    #[error("the shared key is not known yet")]
    NoKey,
    /// Nobody said where it is.
    #[error("its address is not known")]
    NoAddress,
    /// The kernel does not send there.
    #[error("nothing can be sent to {0}: {1}")]
    Unsent(SocketAddr, String),
    /// What is sent is not answered.
    #[error("no answer from UDP {0}")]
    NoAnswer(SocketAddr),
    /// More than fits into a datagram was to be sent.
    #[error("a message of {0} bytes is too long")]
    TooLong(usize),
}

/// One other agent.
#[derive(Debug, Default)]
pub struct Peer {
    /// Where it is.
    pub address: Option<SocketAddr>,
    /// What was agreed.
    pub session: Option<Session>,
    /// A ticket given out that no datagram has named yet.
    pub offered: Option<Ticket>,
    /// Why the kernel did not send the last datagram.
    pub error: Option<String>,
    waiting: VecDeque<(Instant, Vec<u8>)>,
    greeted: Option<Instant>,
    welcomed: Option<Instant>,
    heard: Option<Instant>,
}

impl Peer {
    /// The ticket to offer: the same until it is used, so that greetings in both directions come to one session.
    pub fn offer(&mut self, tickets: &mut Tickets) -> Ticket {
        *self.offered.get_or_insert_with(|| tickets.draw())
    }

    /// It has proved that it lives and has the ticket `session` names.
    pub fn agree(&mut self, session: Session) {
        self.session = Some(session);
        self.offered = None;
    }

    /// A datagram of the session came.
    pub fn hear(&mut self, now: Instant) {
        self.heard = Some(now);
    }

    /// Whether something was heard of it in the last `span`.
    pub fn heard_within(&self, span: Duration, now: Instant) -> bool {
        self.heard.is_some_and(|heard| now.saturating_duration_since(heard) <= span)
    }

    /// Whether to send a greeting now, because there is no session or it seems not to work.
    pub fn greet(&mut self, now: Instant) -> bool {
        let lively = self.session.is_some() && self.heard_within(QUIET, now);
        !lively && due(&mut self.greeted, HELLO_PAUSE, now)
    }

    /// Whether to send a greeting now, because the peer speaks in a session that is over.
    pub fn greet_again(&mut self, now: Instant) -> bool {
        due(&mut self.greeted, HELLO_PAUSE, now)
    }

    /// Whether to answer a greeting now.
    pub fn welcome(&mut self, now: Instant) -> bool {
        due(&mut self.welcomed, WELCOME_PAUSE, now)
    }

    /// Keeps a payload until there is a session; the oldest gives way.
    pub fn keep(&mut self, payload: &[u8], now: Instant) {
        if self.waiting.len() == KEPT {
            self.waiting.pop_front();
        }
        self.waiting.push_back((now, payload.to_vec()));
    }

    /// What was kept and still counts.
    pub fn kept(&mut self, now: Instant) -> impl Iterator<Item = Vec<u8>> + use<> {
        let waiting = std::mem::take(&mut self.waiting);
        let fresh = move |at: Instant| now.saturating_duration_since(at) <= KEPT_FOR;
        waiting.into_iter().filter(move |(at, _)| fresh(*at)).map(|(_, payload)| payload)
    }
}

fn due(last: &mut Option<Instant>, pause: Duration, now: Instant) -> bool {
    let due = last.is_none_or(|last| now.saturating_duration_since(last) >= pause);
    if due {
        *last = Some(now);
    }
    due
}
