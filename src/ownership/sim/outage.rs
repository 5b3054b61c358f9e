//! The API server away for everyone.

use super::network::Request;
use super::world::{Happening, Proc, World};
use super::{Instant, MILLI, SECOND};

/// What it does with requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Manner {
    /// It refuses connections.
    #[default]
    Down,
    /// Nothing comes back.
    Lost,
    /// It takes them, and does them when it is back.
    Hung,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outage {
    pub(super) until: Instant,
    pub(super) manner: Manner,
}

impl World {
    pub(super) fn away(&self) -> bool {
        self.now < self.outage.until
    }

    /// Whether a connection is refused, which the process knows at once.
    pub(super) fn refused(&mut self, from: Proc, request: &Request) -> bool {
        let refuses = self.away() && self.outage.manner == Manner::Down;
        if refuses {
            let pause = if request.given_up().is_some() { MILLI } else { 500 * MILLI };
            self.after(pause, self.given_up(from, request));
        }
        refuses
    }

    /// A request reaches an API server that is away.
    pub(super) fn hang(&mut self, from: Proc, request: Request) {
        self.at(self.timeout(from.0), self.given_up(from, &request));
        if self.outage.manner == Manner::Hung {
            self.at(self.back(), Happening::Hang(from, request));
        }
    }

    /// What it was asked while it hung is done when it is back, and perhaps answered.
    pub(super) fn awake(&mut self, from: Proc, request: Request) {
        if self.away() {
            return self.at(self.back(), Happening::Hang(from, request));
        }
        let busy = self.rng.between(0, SECOND);
        let answered = self.rng.chance(500).then(|| self.now + busy + MILLI);
        self.after(busy, Happening::Arrive(from, request, answered));
    }

    /// The API server goes away, and with it every watch that it served.
    pub(super) fn go_away(&mut self, outage: Outage) {
        self.outage = outage;
        if self.census.is_none() {
            return;
        }
        for node in 0..self.nodes.len() {
            if let Some(to) = self.alive(node) {
                self.relist(to, 0);
            }
        }
    }

    /// As the agent does it: a random part of a wait that doubles up to a second.
    pub(super) fn relist(&mut self, to: Proc, failed: u32) {
        if !self.away() {
            return self.send(to, Request::List);
        }
        let wait = (50 * MILLI * (1 << failed.min(5))).min(SECOND);
        let wait = self.rng.between(wait / 2, wait);
        self.after(wait, Happening::Relist(to, failed + 1));
    }

    /// When to look whether it is back: faults may be lifted before their time.
    pub(super) fn back(&self) -> Instant {
        self.outage.until.min(self.now + SECOND)
    }

    /// What a process does about a request that it has given up.
    pub(super) fn given_up(&self, from: Proc, request: &Request) -> Happening {
        let lists = self.nodes[from.0].process.as_ref().map_or(0, |process| process.lists);
        request.given_up().map_or(Happening::ListAgain(from, lists), |event| Happening::Give(from, event))
    }
}
