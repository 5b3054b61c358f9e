//! What the API server has to do.

use super::super::event::{Answer, TitleWrite, Why};
use super::super::lease::Title;
use super::network::Request;
use super::{Instant, SECOND};

/// Counted so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    /// Writes that reached the API server.
    pub(super) writes: u64,
    /// Reads, lists among them.
    pub(super) reads: u64,
    /// Events that watches delivered.
    pub(super) delivered: u64,
    /// Claims that were sent, and those that won.
    pub(super) claims: u64,
    pub(super) claimed: u64,
    /// The second that is being counted, and its requests.
    second: u64,
    requests: u64,
    /// The most requests in any second.
    pub(super) busiest: u64,
}

impl Traffic {
    pub(super) fn request(&mut self, now: Instant, request: &Request) {
        match request {
            Request::WriteNode(_) | Request::WriteTitle(_) => self.writes += 1,
            _ => self.reads += 1,
        }
        let second = now / SECOND;
        if second != self.second {
            (self.second, self.requests) = (second, 0);
        }
        self.requests += 1;
        self.busiest = self.busiest.max(self.requests);
    }

    pub(super) fn title(&mut self, write: &TitleWrite, answer: &Answer<Title>) {
        if write.why == Why::Claim {
            self.claims += 1;
            self.claimed += u64::from(matches!(answer, Answer::Written(..)));
        }
    }

    /// What was counted since `before`, the busiest second as of its own.
    pub(super) fn since(&self, before: &Self) -> Self {
        Self {
            writes: self.writes - before.writes,
            reads: self.reads - before.reads,
            delivered: self.delivered - before.delivered,
            claims: self.claims - before.claims,
            claimed: self.claimed - before.claimed,
            ..*self
        }
    }

    /// Begins to look for the busiest second anew.
    pub(super) fn forget_busiest(&mut self) {
        self.busiest = 0;
    }
}
