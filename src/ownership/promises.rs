//! The promises that this node lives on: whom it asks, how often, and until when they carry it (rules 12 and 14).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::choice::{Candidate, choose};
use super::event::{Action, Neighbour};
use super::lease::{Epoch, Incarnation, NodeName, Nonce};
use super::life::Nonces;
use super::memo::Memo;
use super::message::{Message, Refusal};
use super::peers::Peers;
use super::rule::{Rule, dropped};
use super::source::{Mode, Source, Witnesses};
use super::time::Time;
use super::timing::Timing;

/// What is known of a node as a possible witness.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Ear {
    incarnation: Option<Incarnation>,
    /// The first question that it has not answered.
    unanswered: Option<Time>,
}

impl Ear {
    /// For how long it has not answered.
    fn silence(&self, now: Time) -> Duration {
        self.unanswered.map(|since| now.since(since)).unwrap_or_default()
    }
}

/// What the machine tells before it is decided whom to ask.
pub(super) struct Facts<'a> {
    pub(super) me: &'a NodeName,
    pub(super) epoch: &'a Epoch,
    /// The sources that the own Lease may name, the confirmed one first.
    pub(super) sources: Vec<Source>,
    /// Which nodes live, as far as their Leases say.
    pub(super) peers: &'a Peers,
    pub(super) now: Time,
    pub(super) timing: &'a Timing,
}

/// What a node is asked: a promise, or without an incarnation only which one it is.
#[derive(Clone, Copy)]
struct Question<'a> {
    node: &'a NodeName,
    round: Nonce,
    witness: Option<Incarnation>,
    period: Duration,
}

/// The owner's side of promises.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Promises {
    incarnation: Incarnation,
    neighbours: BTreeMap<NodeName, Neighbour>,
    ears: BTreeMap<NodeName, Ear>,
    /// When what was promised was asked for, by choice, witness and its incarnation.
    given: BTreeMap<(Nonce, NodeName, Incarnation), Time>,
    /// When each was last asked.
    asked: BTreeMap<(Nonce, NodeName), Time>,
    /// Choices under which somebody voted this node out.
    spoiled: BTreeSet<Nonce>,
    /// A choice that no Lease names yet.
    proposal: Option<Witnesses>,
    /// The choices under which witnesses are asked.
    choices: Memo<BTreeSet<Witnesses>>,
}

impl Promises {
    pub(super) fn new(incarnation: Incarnation) -> Self {
        Self { incarnation, ..Self::default() }
    }

    pub(super) fn neighbours(&mut self, neighbours: BTreeMap<NodeName, Neighbour>) {
        self.ears.retain(|node, _| neighbours.contains_key(node));
        self.neighbours = neighbours;
    }

    /// Whether messages can be sent at all.
    pub(super) fn can_talk(&self) -> bool {
        !self.neighbours.is_empty()
    }

    /// The epoch is over, and what was promised to it worth nothing.
    pub(super) fn clear(&mut self) {
        self.given.clear();
        self.asked.clear();
        self.spoiled.clear();
        self.proposal = None;
        self.choices.0.clear();
    }

    /// A witness has promised. Counted is from when it was asked, which the answer repeats: no promise can be taken for a
    /// later one.
    pub(super) fn promised(
        &mut self,
        from: NodeName,
        witness: Incarnation,
        round: Nonce,
        asked: Nonce,
        now: Time,
    ) {
        let at = Time(asked.sequence);
        if asked.incarnation != self.incarnation.0 || at > now {
            return;
        }
        self.answered(&from, witness);
        let at = if dropped(Rule::CountFromAsking) { now } else { at };
        let given = self.given.entry((round, from, witness)).or_default();
        *given = (*given).max(at);
    }

    pub(super) fn has_promised(&self, witness: &NodeName, round: Nonce, incarnation: Incarnation) -> bool {
        self.given.contains_key(&(round, witness.clone(), incarnation))
    }

    pub(super) fn refused(&mut self, from: &NodeName, witness: Incarnation, round: Nonce, why: Refusal) {
        self.answered(from, witness);
        if why == Refusal::Voted {
            self.spoiled.insert(round);
        }
    }

    fn answered(&mut self, from: &NodeName, witness: Incarnation) {
        *self.ears.entry(from.clone()).or_default() = Ear { incarnation: Some(witness), unanswered: None };
    }

    /// Until when promises of a majority run; the beginning of time if not so many have promised.
    pub(super) fn until(&self, witnesses: &Witnesses, timing: &Timing) -> Time {
        let mut asked: Vec<Time> = self.promises_to(witnesses).flatten().collect();
        asked.sort_unstable_by(|a, b| b.cmp(a));
        let few = usize::from(dropped(Rule::MajorityOfPromises));
        let weakest = match witnesses.promises_needed().checked_sub(1 + few) {
            Some(index) => asked.get(index),
            // The node's own promise alone never ends.
            None if dropped(Rule::MajorityOfPromises) => return Time(u64::MAX >> 1),
            None => None,
        };
        weakest.map_or(Time::default(), |asked| *asked + timing.right_of(witnesses.period))
    }

    /// A better choice than the one that the Lease names, once all of it have promised.
    pub(super) fn ready(&self, now: Time, timing: &Timing) -> Option<&Witnesses> {
        let proposal = self.proposal.as_ref()?;
        let runs = |asked: Time| now < asked + timing.right_of(proposal.period);
        self.promises_to(proposal).all(|asked| asked.is_some_and(runs)).then_some(proposal)
    }

    /// When what each of the witnesses has promised was asked for.
    fn promises_to<'a>(&'a self, witnesses: &'a Witnesses) -> impl Iterator<Item = Option<Time>> + 'a {
        witnesses.others.iter().map(|(node, incarnation)| {
            self.given.get(&(witnesses.round, node.clone(), *incarnation)).copied()
        })
    }

    /// Asks whoever is due, under every choice that the Lease may name and the one that it may name next.
    pub(super) fn decide(&mut self, facts: &Facts<'_>, nonces: &mut Nonces, out: &mut Vec<Action>) {
        self.propose(facts, nonces, out);
        let choices: BTreeSet<Witnesses> =
            facts.sources.iter().filter_map(Source::witnesses).chain(&self.proposal).cloned().collect();
        let rounds: BTreeSet<Nonce> = choices.iter().map(|choice| choice.round).collect();
        self.given.retain(|(round, ..), _| rounds.contains(round));
        self.asked.retain(|(round, _), _| rounds.contains(round) || *round == Nonce::default());
        self.spoiled.retain(|round| rounds.contains(round));
        for choice in &choices {
            let Witnesses { round, period, others } = choice;
            for (node, incarnation) in others {
                let soon = facts.now + facts.timing.early();
                if self.due(choice, node, facts.timing).is_none_or(|due| due <= soon) {
                    let witness = Some(*incarnation);
                    self.ask(facts, Question { node, round: *round, witness, period: *period }, out);
                }
            }
        }
        self.choices.0 = choices;
    }

    /// Looks for a better choice than the present one.
    fn propose(&mut self, facts: &Facts<'_>, nonces: &mut Nonces, out: &mut Vec<Action>) {
        let period = facts.timing.period;
        let named =
            |round| facts.sources.iter().any(|source| source.witnesses().is_some_and(|w| w.round == round));
        // What may have been written stays as it is until its fate is known.
        if self.proposal.as_ref().is_some_and(|proposal| named(proposal.round)) {
            let confirmed = facts.sources.first().and_then(Source::witnesses);
            if confirmed == self.proposal.as_ref() {
                self.proposal = None;
            } else {
                return;
            }
        }
        if facts.timing.source == Mode::Lease {
            self.proposal = None;
            return;
        }
        let current = facts.sources.first().and_then(Source::witnesses);
        let Some(others) = self.best(facts, current, out) else { return };
        let same =
            |w: &Witnesses| w.others == others && w.period == period && !self.spoiled.contains(&w.round);
        if others.is_empty() || current.is_some_and(same) {
            self.proposal = None;
        } else if !self.proposal.as_ref().is_some_and(same) {
            self.proposal = Some(Witnesses { round: nonces.draw(), period, others });
        }
    }

    /// The best witnesses; none while one of them has not yet said which incarnation it is.
    fn best(
        &mut self,
        facts: &Facts<'_>,
        current: Option<&Witnesses>,
        out: &mut Vec<Action>,
    ) -> Option<BTreeMap<NodeName, Incarnation>> {
        let Facts { now, timing, .. } = *facts;
        let member = |node: &NodeName| current.and_then(|w| w.others.get(node)).copied();
        let mut candidates = Vec::new();
        for (node, neighbour) in &self.neighbours {
            let silence = self.ears.get(node).map(|ear| ear.silence(now)).unwrap_or_default();
            if silence >= timing.idle_after {
                // It is tried again now and then.
                self.ears.remove(node);
            }
            let deaf = silence >= timing.period && silence < timing.idle_after;
            let member = member(node).is_some() && silence < timing.period + timing.duration;
            if node != facts.me && facts.peers.open_epoch(node).is_some() && (member || !deaf) {
                candidates.push(Candidate { node, zone: neighbour.zone.as_ref(), member, deaf });
            }
        }
        let zone = self.neighbours.get(facts.me).and_then(|me| me.zone.as_ref());
        let mut others = BTreeMap::new();
        let mut strangers = Vec::new();
        for node in choose(facts.me, zone, candidates) {
            match self.ears.get(&node).and_then(|ear| ear.incarnation).or(member(&node)) {
                Some(incarnation) => drop(others.insert(node, incarnation)),
                None => strangers.push(node),
            }
        }
        let complete = strangers.is_empty();
        for node in strangers {
            let round = Nonce::default();
            if self.asked_last(round, &node).is_none_or(|last| last + timing.ask / 2 <= now) {
                self.ask(facts, Question { node: &node, round, witness: None, period: timing.period }, out);
            }
        }
        complete.then_some(others)
    }

    fn ask(&mut self, facts: &Facts<'_>, question: Question<'_>, out: &mut Vec<Action>) {
        let Question { node, round, witness, period } = question;
        let now = facts.now;
        self.asked.insert((round, node.clone()), now);
        self.ears.entry(node.clone()).or_default().unanswered.get_or_insert(now);
        let asked = Nonce { incarnation: self.incarnation.0, sequence: now.0 };
        let message = Message::Ask { epoch: facts.epoch.clone(), round, witness, period, asked };
        out.push(Action::Send { to: node.clone(), message });
    }

    /// When a witness is to be asked again, or for the first time. What is not answered may have been lost, and is asked again soon.
    ///
    /// Where half of the others are enough, the two halves take turns: each answer then gives all of the right, and costs
    /// half. As soon as one does not answer all are asked.
    fn due(&self, choice: &Witnesses, node: &NodeName, timing: &Timing) -> Option<Time> {
        let again = timing.ask / 4;
        let last = self.asked_last(choice.round, node)?;
        if !self.has_answered(choice, node) {
            return Some(last + again);
        }
        let (first, others) = other_half(choice, node);
        let others = others.filter_map(|other| Some((self.asked_last(choice.round, other)?, other)));
        let Some((other, who)) = others.max() else { return Some(last + timing.ask) };
        Some(if !self.has_answered(choice, who) {
            // Not counted from when that one was asked: it is asked again and again, and this one would never be.
            last + timing.ask + again
        } else if other > last || (other == last && !first) {
            (other + timing.ask).min(last + timing.ask * 2)
        } else if other == last {
            last + timing.ask
        } else {
            last + timing.ask * 2
        })
    }

    fn asked_last(&self, round: Nonce, node: &NodeName) -> Option<Time> {
        self.asked.get(&(round, node.clone())).copied()
    }

    /// Whether a witness has answered what it was asked last.
    fn has_answered(&self, choice: &Witnesses, node: &NodeName) -> bool {
        let given = choice
            .others
            .get(node)
            .and_then(|incarnation| self.given.get(&(choice.round, node.clone(), *incarnation)));
        given.copied() >= self.asked_last(choice.round, node)
    }

    /// When somebody is to be asked, or given up.
    pub(super) fn wakes<'a>(&'a self, timing: &'a Timing) -> impl Iterator<Item = Time> + 'a {
        let asks = self.choices.0.iter().flat_map(move |choice| {
            choice.others.keys().filter_map(move |node| self.due(choice, node, timing))
        });
        let unknown = |node: &NodeName| self.ears.get(node).is_none_or(|ear| ear.incarnation.is_none());
        let strangers =
            self.asked.iter().filter(move |((round, node), _)| *round == Nonce::default() && unknown(node));
        let asks = asks.chain(strangers.map(|(_, last)| *last + timing.ask / 2));
        let deaf = self
            .ears
            .values()
            .filter_map(|ear| ear.unanswered)
            .flat_map(|since| [since + timing.period, since + timing.idle_after]);
        asks.chain(deaf)
    }
}

/// Whether this one is of the half that begins, and the witnesses that are asked when it is not, if they can take turns.
fn other_half<'a>(choice: &'a Witnesses, node: &NodeName) -> (bool, impl Iterator<Item = &'a NodeName>) {
    let place = choice.others.keys().position(|other| other == node).unwrap_or_default();
    let first = place.is_multiple_of(2);
    let even = choice.others.len().is_multiple_of(2);
    (first, choice.others.keys().skip(usize::from(first)).step_by(2).filter(move |_| even))
}
