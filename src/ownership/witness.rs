//! This node as a witness of others: what it has promised and how it has voted (rules 12 to 14).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::lease::{Epoch, Holder, Incarnation, NodeName, Nonce};
use super::message::{Message, Refusal};
use super::rule::{Rule, dropped};
use super::time::Time;

/// An epoch, and the choice of witnesses under which somebody wants to close it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Matter<'a> {
    pub(super) holder: &'a Holder,
    pub(super) round: Nonce,
    /// The incarnation that the choice names.
    pub(super) witness: Incarnation,
    pub(super) period: Duration,
}

/// A request for a promise.
pub(super) struct Request {
    pub(super) epoch: Epoch,
    pub(super) round: Nonce,
    pub(super) witness: Option<Incarnation>,
    pub(super) period: Duration,
    pub(super) asked: Nonce,
}

/// What this process has said as a witness. A process that was started again has forgotten all of it, which is why
/// each choice of witnesses names incarnations.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Witness {
    incarnation: Incarnation,
    /// The first moment that this process knows of.
    started: Option<Time>,
    /// Until when the epochs that asked may not be voted out.
    promised: BTreeMap<Holder, Time>,
    /// Under these choices a promise is never given again.
    voted: BTreeMap<Holder, BTreeSet<Nonce>>,
}

impl Witness {
    pub(super) fn new(incarnation: Incarnation) -> Self {
        Self { incarnation, started: None, promised: BTreeMap::new(), voted: BTreeMap::new() }
    }

    /// The time, before anything else in each step. Says whether it is the first.
    pub(super) fn clock(&mut self, now: Time) -> bool {
        let first = self.started.is_none();
        self.started.get_or_insert(now);
        first
    }

    /// Answers a request for a promise.
    pub(super) fn asked(&mut self, from: NodeName, request: Request, dead: bool, now: Time) -> Message {
        let Request { epoch, round, witness, period, asked } = request;
        let holder = Holder { node: from, epoch: epoch.clone() };
        let forgetful = dropped(Rule::NamedIncarnation);
        let me = witness.filter(|_| forgetful).unwrap_or(self.incarnation);
        let why = if dead {
            Some(Refusal::Dead)
        } else if witness != Some(me) {
            Some(Refusal::Unnamed)
        } else if self.voted.get(&holder).is_some_and(|rounds| rounds.contains(&round))
            && !dropped(Rule::VotedIsVoted)
        {
            Some(Refusal::Voted)
        } else {
            None
        };
        if let Some(why) = why {
            return Message::Refuse { epoch, round, witness: self.incarnation, why };
        }
        let until = self.promised.entry(holder).or_default();
        *until = (*until).max(now + period);
        Message::Promise { epoch, round, witness: me, asked }
    }

    /// From when on this node would vote to close: no promise runs. What a former incarnation promised is not known, so
    /// it must have run out as well.
    pub(super) fn quiet_at(&self, holder: &Holder, period: Duration) -> Option<Time> {
        let mut promised = self.promised.get(holder).copied().unwrap_or_default();
        let mut restarted = self.started? + period;
        if dropped(Rule::NoVoteUnderPromise) {
            promised = Time::default();
        }
        if dropped(Rule::SilentAfterStart) {
            restarted = Time::default();
        }
        Some(promised.max(restarted))
    }

    fn would(&self, me: &NodeName, matter: &Matter<'_>, now: Time) -> bool {
        let quiet = self.quiet_at(matter.holder, matter.period);
        matter.holder.node != *me && quiet.is_some_and(|quiet| now >= quiet)
    }

    /// Votes, for ever, or says only what the vote would be. Nobody votes against itself.
    pub(super) fn vote(&mut self, me: &NodeName, matter: &Matter<'_>, binding: bool, now: Time) -> bool {
        let own = matter.witness == self.incarnation;
        if own && self.voted.get(matter.holder).is_some_and(|rounds| rounds.contains(&matter.round)) {
            return true;
        }
        let yes = self.would(me, matter, now);
        if yes && binding && own {
            self.voted.entry(matter.holder.clone()).or_default().insert(matter.round);
        }
        yes
    }

    /// Forgets epochs of `node` that are dead: to these nothing is promised anyway.
    pub(super) fn forget(&mut self, node: &NodeName, dead: impl Fn(&Holder) -> bool) {
        self.promised.retain(|holder, _| holder.node != *node || !dead(holder));
        self.voted.retain(|holder, _| holder.node != *node || !dead(holder));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(1);
    const START: Time = Time(5_000_000_000);

    fn name(text: &str) -> NodeName {
        NodeName(text.into())
    }

    fn holder() -> Holder {
        Holder { node: name("m"), epoch: Epoch { lease: "u".into(), number: 1 } }
    }

    fn round(sequence: u64) -> Nonce {
        Nonce { incarnation: 1, sequence }
    }

    fn witness() -> Witness {
        let mut witness = Witness::new(Incarnation(7));
        witness.clock(START);
        witness
    }

    fn ask(witness: &mut Witness, number: u64, incarnation: u64, now: Time) -> Message {
        let request = Request {
            epoch: holder().epoch,
            round: round(number),
            witness: Some(Incarnation(incarnation)),
            period: PERIOD,
            asked: Nonce::default(),
        };
        witness.asked(name("m"), request, false, now)
    }

    fn vote(witness: &mut Witness, number: u64, incarnation: u64, binding: bool, now: Time) -> bool {
        let holder = holder();
        let matter = Matter {
            holder: &holder,
            round: round(number),
            witness: Incarnation(incarnation),
            period: PERIOD,
        };
        witness.vote(&name("x"), &matter, binding, now)
    }

    #[test]
    fn nobody_votes_while_a_promise_runs_under_whatever_choice() {
        let mut witness = witness();
        let now = START + PERIOD * 5;
        assert!(matches!(ask(&mut witness, 1, 7, now), Message::Promise { .. }));
        assert!(!vote(&mut witness, 2, 7, true, now + PERIOD - Duration::from_nanos(1)));
        assert!(vote(&mut witness, 2, 7, true, now + PERIOD));
    }

    #[test]
    fn who_has_voted_never_promises_again_under_that_choice() {
        let mut witness = witness();
        let now = START + PERIOD;
        assert!(vote(&mut witness, 1, 7, false, now));
        assert!(matches!(ask(&mut witness, 1, 7, now), Message::Promise { .. }), "that was no vote");
        let now = now + PERIOD;
        assert!(vote(&mut witness, 1, 7, true, now));
        assert!(matches!(ask(&mut witness, 1, 7, now), Message::Refuse { why: Refusal::Voted, .. }));
        assert!(
            matches!(ask(&mut witness, 2, 7, now), Message::Promise { .. }),
            "another choice, another vote"
        );
        assert!(vote(&mut witness, 1, 7, true, now), "what was voted stays voted");
    }

    #[test]
    fn a_new_incarnation_promises_nothing_for_the_old_one_and_votes_for_it_when_its_promises_have_run_out() {
        let mut witness = witness();
        assert!(matches!(
            ask(&mut witness, 1, 6, START),
            Message::Refuse { why: Refusal::Unnamed, witness: Incarnation(7), .. }
        ));
        assert!(!vote(&mut witness, 1, 6, true, START + PERIOD / 2));
        assert!(vote(&mut witness, 1, 6, true, START + PERIOD));
    }

    #[test]
    fn nobody_votes_against_itself() {
        let mut witness = witness();
        let holder = holder();
        let matter = Matter { holder: &holder, round: round(1), witness: Incarnation(7), period: PERIOD };
        assert!(!witness.vote(&name("m"), &matter, true, START + PERIOD * 9));
    }
}
