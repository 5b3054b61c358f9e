//! Messages between agents: each arrives at once, unless a fault lets it be late or get lost.

use std::hash::{Hash, Hasher};

use super::super::event::{Event, Neighbour};
use super::super::lease::NodeName;
use super::super::message::Message;
use super::super::sim::node_name;
use super::fingerprint::Fingerprint;
use super::world::World;

/// So many messages that are late are kept; the next is lost.
const MOST_LATE: usize = 3;

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Letter {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) message: Message,
    /// It may take as long as it likes.
    pub(super) late: bool,
}

impl Letter {
    /// Whose clock its times are of.
    fn clock(&self) -> usize {
        match self.message {
            Message::Promise { .. } => self.to,
            _ => self.from,
        }
    }
}

impl World {
    /// An agent learns which nodes there are.
    pub(super) fn introduce(&mut self, index: usize) {
        if self.setting.talks() {
            let all = (0..self.nodes.len()).map(|node| (node_name(node), Neighbour::default())).collect();
            self.feed(index, Event::Neighbours(all));
        }
    }

    pub(super) fn post(&mut self, from: usize, to: &NodeName, message: Message) {
        let Some(to) = (0..self.nodes.len()).find(|node| node_name(*node) == *to) else { return };
        let parted = self.parted == Some((from.min(to), from.max(to)));
        if parted || self.nodes[from].deaf || self.nodes[to].deaf || self.nodes[to].process.is_none() {
            return;
        }
        let late = self.nodes[to].paused;
        let letter = Letter { from, to, message, late };
        if !late || (self.late_letters() < MOST_LATE && !self.letters.contains(&letter)) {
            self.letters.push(letter);
        }
    }

    fn late_letters(&self) -> usize {
        self.letters.iter().filter(|letter| letter.late).count()
    }

    /// Whoever runs there now gets it.
    pub(super) fn hear(&mut self, at: usize) {
        let Letter { from, to, message, .. } = self.letters.remove(at);
        if self.nodes[to].process.is_some() {
            self.give(to, Event::Message { from: node_name(from), message });
        }
    }

    /// It takes long from now on.
    pub(super) fn straggle(&mut self, at: usize) {
        self.letters[at].late = true;
        if self.late_letters() > MOST_LATE {
            self.letters.remove(at);
        }
    }

    pub(super) fn digest_letters(&self, print: &mut Fingerprint) {
        for letter in &self.letters {
            print.clock = self.clock(letter.clock()).0;
            letter.hash(print);
        }
        print.write_u8(0);
    }
}
