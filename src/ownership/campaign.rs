//! Closing an epoch that lives on promises: the votes of its witnesses are collected by one of them (rules 13 and 16).

use std::collections::BTreeSet;
use std::time::Duration;

use super::event::Action;
use super::lease::{Holder, NodeName, Nonce};
use super::message::Message;
use super::rule::{Rule, dropped};
use super::source::Witnesses;
use super::time::Time;
use super::timing::Timing;
use super::weight::weight;
use super::witness::{Matter, Witness};

/// Where the closing of one epoch stands, under one choice of its witnesses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Campaign {
    round: Nonce,
    /// Who would vote. Votes are for ever, and one in vain weakens a living node: so it is first asked who would.
    would: BTreeSet<NodeName>,
    votes: BTreeSet<NodeName>,
    /// When to ask again.
    next: Time,
}

/// Whose epoch, and what it lives on.
pub(super) struct Subject<'a> {
    pub(super) me: &'a NodeName,
    pub(super) holder: Holder,
    pub(super) witnesses: &'a Witnesses,
}

impl Subject<'_> {
    fn matter(&self, voter: &NodeName) -> Option<Matter<'_>> {
        let witness = *self.witnesses.others.get(voter)?;
        let Witnesses { round, period, .. } = *self.witnesses;
        Some(Matter { holder: &self.holder, round, witness, period })
    }

    /// How long this node leaves it to the witnesses that come before it.
    fn turn(&self, timing: &Timing) -> Duration {
        let mine = weight(self.me, &self.holder.node);
        let before =
            self.witnesses.others.keys().filter(|other| weight(other, &self.holder.node) < mine).count();
        (self.witnesses.period / 6).min(timing.grace) * u32::try_from(before).unwrap_or(u32::MAX)
    }

    /// From when on this node campaigns: it is a witness, and nobody has asked it for a promise for a whole period.
    pub(super) fn due(&self, witness: &Witness, timing: &Timing) -> Option<Time> {
        self.witnesses.others.get(self.me)?;
        Some(witness.quiet_at(&self.holder, self.witnesses.period)? + self.turn(timing))
    }
}

impl Campaign {
    /// Goes on, and says whether there are enough votes.
    pub(super) fn go_on(
        &mut self,
        subject: &Subject<'_>,
        witness: &mut Witness,
        now: Time,
        out: &mut Vec<Action>,
    ) -> bool {
        if self.round != subject.witnesses.round {
            *self = Self { round: subject.witnesses.round, ..Self::default() };
        }
        let needed = subject.witnesses.votes_needed() - usize::from(dropped(Rule::EnoughVotes));
        let others = self.would.union(&self.votes).filter(|node| *node != subject.me).count();
        let voting = others + 1 >= needed;
        if voting && !self.votes.contains(subject.me) {
            let Some(matter) = subject.matter(subject.me) else { return false };
            if !witness.vote(subject.me, &matter, true, now) {
                return false;
            }
            self.votes.insert(subject.me.clone());
            self.next = now;
        }
        if self.votes.len() >= needed {
            return true;
        }
        if now >= self.next {
            self.next = now + subject.witnesses.period / 6;
            self.canvass(subject, voting, out);
            if !voting {
                // Who would have voted a while ago may have been asked for a promise since.
                self.would.clear();
            }
        }
        false
    }

    fn canvass(&self, subject: &Subject<'_>, binding: bool, out: &mut Vec<Action>) {
        let Witnesses { round, period, .. } = *subject.witnesses;
        for (node, witness) in &subject.witnesses.others {
            if node != subject.me && !self.votes.contains(node) {
                let holder = subject.holder.clone();
                let message = Message::Canvass { holder, round, witness: *witness, period, binding };
                out.push(Action::Send { to: node.clone(), message });
            }
        }
    }

    /// A promise runs, or may run: what others would have voted is worth nothing any more.
    pub(super) fn pause(&mut self) {
        self.would.clear();
    }

    /// A witness votes, or would.
    pub(super) fn voted(&mut self, from: NodeName, round: Nonce, binding: bool) {
        if self.round != round {
            return;
        }
        if binding {
            self.votes.insert(from);
        } else {
            self.would.insert(from);
        }
    }

    /// When to ask again.
    pub(super) fn next(&self) -> Time {
        self.next
    }
}
