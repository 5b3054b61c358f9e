//! The other nodes' Leases: which epochs are dead, and whose turn it is to close one (rules 4, 5 and 16).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::campaign::{Campaign, Subject};
use super::event::{Action, Answer, NodeWrite};
use super::lease::{Epoch, Expect, Holder, Incarnation, NodeLease, NodeName, Nonce, Version};
use super::life::Nonces;
use super::memo::Memo;
use super::rule::{Rule, dropped};
use super::source::{Mode, Source};
use super::time::Time;
use super::timing::Timing;
use super::weight::weight;
use super::witness::Witness;

/// So many nodes stand in line to close one that lives on its Lease alone: they are told of its renewals, as its witnesses
/// are of those of one that has witnesses.
const LINE: u32 = 4;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Peer {
    version: Version,
    lease: Option<NodeLease>,
    /// Since when this version has been known, on our clock.
    known_since: Time,
    /// Since when a Lease with this uid, or the lack of one, has been known.
    born: Time,
    /// The Lease is gone, or was made anew and not begun yet, and what it said before may have named witnesses: no wait
    /// ends a right that comes from them. Nothing is known where the Lease was gone from the start.
    haunted: Option<bool>,
    campaign: Campaign,
    flight: Option<Nonce>,
    rest_until: Time,
}

/// What is known of every node's Lease, the own one included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::struct_field_names)] // they are what the others are about
pub(super) struct Peers {
    peers: BTreeMap<NodeName, Peer>,
    /// Nodes whose Lease was asked for, and when to ask again.
    inquired: BTreeMap<NodeName, Time>,
    /// How many other open nodes come before this one in closing each, as long as the same are open.
    turns: Memo<Option<BTreeMap<NodeName, u32>>>,
    /// Until when there is nothing to do about any of them; none: not known. Messages that keep rights come many times a second, and
    /// there may be hundreds of nodes.
    calm: Memo<Option<Calm>>,
}

/// Unless there is news of a node.
#[derive(Clone, Copy, Debug)]
struct Calm {
    /// When something is due, as it stands. What this node promises meanwhile only puts it off.
    due: Time,
    /// From when on each step looks again whether it was put off, so that nobody wakes for nothing.
    look: Time,
}

impl Peers {
    pub(super) fn observe(&mut self, node: &NodeName, version: Version, lease: Option<NodeLease>, now: Time) {
        let uid = |lease: &Option<NodeLease>| lease.as_ref().map(|lease| lease.epoch.lease.clone());
        let mut born = now;
        let mut flight = None;
        let mut campaign = Campaign::default();
        let mut haunted = lease.is_some().then_some(false);
        if let Some(known) = self.peers.get(node) {
            if version <= known.version {
                return;
            }
            if uid(&known.lease) == uid(&lease) {
                born = known.born;
            }
            flight = known.flight;
            campaign = known.campaign.clone();
            haunted = known.haunts(lease.as_ref());
        }
        let rest_until = Time::default();
        self.disturb();
        if self.open_epoch(node).is_some() != lease.as_ref().is_some_and(|lease| lease.open) {
            self.turns.0 = None;
        }
        let peer = Peer { version, lease, known_since: now, born, haunted, campaign, flight, rest_until };
        self.peers.insert(node.clone(), peer);
    }

    /// Whether a Lease of `node` says only that it goes on with what is known. Where it is being asked after, its version may matter as
    /// well.
    pub(super) fn is_renewal(&self, node: &NodeName, lease: &NodeLease) -> bool {
        let known = self.peers.get(node).and_then(|peer| peer.lease.as_ref());
        let same = |known: &NodeLease| {
            known.open && lease.open && known.epoch == lease.epoch && known.duration == lease.duration
        };
        !self.inquired.contains_key(node) && known.is_some_and(same)
    }

    /// Whether it is time to ask once more after a Lease that is not known.
    pub(super) fn asks_again(&self, now: Time) -> bool {
        self.inquired.values().any(|again| *again <= now)
    }

    /// What is due may have changed.
    pub(super) fn disturb(&mut self) {
        self.calm.0 = None;
    }

    fn is_calm(&self, now: Time) -> bool {
        self.calm.0.is_some_and(|calm| now < calm.look)
    }

    /// The open epoch of `node`, as far as known.
    pub(super) fn open_epoch(&self, node: &NodeName) -> Option<&Epoch> {
        let lease = self.peers.get(node)?.lease.as_ref()?;
        lease.open.then_some(&lease.epoch)
    }

    /// Nodes whose epoch is open.
    pub(super) fn open(&self) -> impl Iterator<Item = &NodeName> {
        self.peers.iter().filter(|(_, peer)| is_open(peer)).map(|(node, _)| node)
    }

    /// Whether an epoch is known to be over: its own Lease says so.
    pub(super) fn over(&self, holder: &Holder) -> bool {
        let lease = self.peers.get(&holder.node).and_then(|peer| peer.lease.as_ref());
        lease.filter(|lease| lease.epoch.lease == holder.epoch.lease).is_some_and(|lease| {
            let number = lease.epoch.number;
            number > holder.epoch.number || (number == holder.epoch.number && !lease.open)
        })
    }

    /// Whether an epoch that a vip Lease named at version `named` is dead: closed or outlived by a later one.
    /// Dead is for ever. Where the node Lease itself is gone or another, as seen no earlier than it was named, its
    /// last right may still run, so its duration is waited for.
    pub(super) fn dead(&self, holder: &Holder, named: Version, now: Time, timing: &Timing) -> bool {
        match self.peers.get(&holder.node) {
            Some(Peer { lease: Some(lease), .. }) if lease.epoch.lease == holder.epoch.lease => {
                self.over(holder)
            }
            Some(peer) => {
                let haunted = peer.haunted.unwrap_or(timing.source != Mode::Lease);
                let outwaited = now.since(peer.born) >= timing.duration || dropped(Rule::WaitForTheLost);
                peer.version >= named && !haunted && outwaited
            }
            None => false,
        }
    }

    /// Whether nothing can be said about a holder before its node Lease is read: what is known of it is nothing,
    /// or older than the vip Lease that names the holder.
    pub(super) fn stranger(&self, holder: &Holder, named: Version) -> bool {
        self.peers.get(&holder.node).is_none_or(|peer| {
            let uid = peer.lease.as_ref().map(|lease| &lease.epoch.lease);
            uid != Some(&holder.epoch.lease) && peer.version < named
        })
    }

    /// Reads the Leases of these nodes, now and then.
    pub(super) fn inquire(
        &mut self,
        nodes: BTreeSet<NodeName>,
        now: Time,
        timing: &Timing,
        out: &mut Vec<Action>,
    ) {
        self.inquired.retain(|_, again| now < *again);
        for node in nodes {
            if !self.inquired.contains_key(&node) {
                self.disturb();
                self.inquired.insert(node.clone(), now + timing.renew);
                out.push(Action::ReadNode(node));
            }
        }
    }

    /// Whether some other node may be dead, so that its addresses may soon have to be claimed.
    pub(super) fn suspicious(&self, me: &NodeName, witness: &Witness, now: Time, timing: &Timing) -> bool {
        !self.is_calm(now)
            && self
                .open_others(me)
                .filter_map(|(node, peer, lease)| self.doubted_at(me, node, peer, lease, witness, timing))
                .any(|at| now >= at)
    }

    /// Closes whoever may be closed, and collects the votes for it where that takes votes.
    pub(super) fn decide(
        &mut self,
        me: &NodeName,
        witness: &mut Witness,
        now: Time,
        timing: &Timing,
        nonces: &mut Nonces,
        out: &mut Vec<Action>,
    ) {
        if self.is_calm(now) {
            return;
        }
        self.line_up(me);
        let nodes: Vec<NodeName> = self.open_others(me).map(|(node, ..)| node.clone()).collect();
        for node in nodes {
            let due = self.peers.get(&node).and_then(|peer| self.close_at(me, &node, peer, witness, timing));
            let due = due.is_some_and(|due| now >= due);
            let Some(peer) = self.peers.get_mut(&node) else { continue };
            let Some(lease) = &peer.lease else { continue };
            let elected = match subject(me, &node, lease) {
                None => due,
                Some(_) if dropped(Rule::VotesToClose) => due,
                Some(_) if !due => {
                    peer.campaign.pause();
                    false
                }
                Some(subject) => peer.campaign.go_on(&subject, witness, now, out),
            };
            if !elected || peer.flight.is_some() || now < peer.rest_until {
                continue;
            }
            let nonce = nonces.draw();
            peer.flight = Some(nonce);
            out.push(Action::WriteNode(NodeWrite {
                expect: Expect::At(peer.version),
                number: lease.epoch.number,
                open: false,
                duration: lease.duration,
                source: lease.source.clone(),
                nonce,
                node,
                told: None,
            }));
        }
        self.calm.0 = self.calm(me, witness, now, timing);
    }

    /// None where something is due now, or never will be.
    fn calm(&self, me: &NodeName, witness: &Witness, now: Time, timing: &Timing) -> Option<Calm> {
        let later = self.ripens(timing).chain(self.inquired.values().copied()).filter(|at| *at > now);
        let later = later.map(|at| Calm { due: at, look: at });
        let others = self.open_others(me).filter_map(|other| {
            let due = self.dues(other, me, witness, timing).min()?;
            // A witness is asked again before its promise ends, and is awake then.
            let margin = if other.2.source == Source::Lease { Duration::ZERO } else { timing.ask };
            Some(Calm { due, look: due - margin })
        });
        let both =
            |one: Calm, other: Calm| Calm { due: one.due.min(other.due), look: one.look.min(other.look) };
        later.chain(others).reduce(both).filter(|calm| calm.due > now)
    }

    /// Whether what is kept is no later than what would be found now.
    #[cfg(test)]
    pub(super) fn keeps_right(&self, me: &NodeName, witness: &Witness, now: Time, timing: &Timing) -> bool {
        let found = self.calm(me, witness, now, timing);
        self.calm.0.is_none_or(|kept| {
            now >= kept.look || found.is_some_and(|found| kept.due <= found.due && kept.look <= found.look)
        })
    }

    /// A witness votes to close an epoch, or would. It counts only as the incarnation that the Lease names.
    pub(super) fn voted(
        &mut self,
        from: NodeName,
        holder: &Holder,
        round: Nonce,
        witness: Incarnation,
        binding: bool,
    ) {
        let Some(peer) = self.peers.get_mut(&holder.node) else { return };
        let Some(lease) = peer.lease.as_ref().filter(|lease| lease.open && lease.epoch == holder.epoch)
        else {
            return;
        };
        let named = lease.source.witnesses().filter(|witnesses| witnesses.round == round);
        if named.and_then(|witnesses| witnesses.others.get(&from)) == Some(&witness) {
            peer.campaign.voted(from, round, binding);
            self.disturb();
        }
    }

    pub(super) fn answered(
        &mut self,
        node: &NodeName,
        nonce: Nonce,
        answer: Answer<NodeLease>,
        now: Time,
        timing: &Timing,
        out: &mut Vec<Action>,
    ) {
        if let Some(peer) = self.peers.get_mut(node)
            && peer.flight == Some(nonce)
        {
            peer.flight = None;
            // A retry at a fresh version has the whole wait before it; one at the same version may follow soon.
            peer.rest_until = now + timing.grace;
            self.disturb();
        }
        match answer {
            Answer::Written(version, lease) => self.observe(node, version, lease, now),
            Answer::Conflict | Answer::Unknown => out.push(Action::ReadNode(node.clone())),
        }
    }

    /// When a Lease may have to be closed, grows suspicious, is gone for long enough, or must be asked for again.
    pub(super) fn wakes<'a>(
        &'a self,
        me: &'a NodeName,
        witness: &'a Witness,
        timing: &'a Timing,
    ) -> impl Iterator<Item = Time> + 'a {
        let all = || {
            let dues = self.open_others(me).flat_map(|other| self.dues(other, me, witness, timing));
            dues.chain(self.ripens(timing)).chain(self.inquired.values().copied())
        };
        let known = self.calm.0.map(|calm| calm.due);
        known.into_iter().chain(known.is_none().then(all).into_iter().flatten())
    }

    /// When a Lease may have to be closed, or grows suspicious.
    fn dues(
        &self,
        (node, peer, lease): (&NodeName, &Peer, &NodeLease),
        me: &NodeName,
        witness: &Witness,
        timing: &Timing,
    ) -> impl Iterator<Item = Time> + use<> {
        let due = self.close_at(me, node, peer, witness, timing);
        let close = due.filter(|_| peer.flight.is_none()).map(|due| due.max(peer.rest_until));
        let votes = due.filter(|_| lease.source != Source::Lease).map(|due| due.max(peer.campaign.next()));
        let doubted = self.doubted_at(me, node, peer, lease, witness, timing);
        [due, close, votes, doubted].into_iter().flatten()
    }

    /// When a Lease is gone for so long that a holder which it named is dead.
    fn ripens(&self, timing: &Timing) -> impl Iterator<Item = Time> {
        self.peers.values().map(|peer| peer.ripens(timing))
    }

    /// Whose Leases have been what they are, or gone, for so long as of `now`, and were not yet as of `before`.
    pub(super) fn ripe(&self, before: Time, now: Time, timing: &Timing) -> BTreeSet<NodeName> {
        if self.is_calm(now) {
            return BTreeSet::new();
        }
        let ripe = |peer: &Peer| before < peer.ripens(timing) && peer.ripens(timing) <= now;
        self.peers.iter().filter(|(_, peer)| ripe(peer)).map(|(node, _)| node.clone()).collect()
    }

    /// From when on `me` closes `node`, or collects votes for that; never if it is not among its witnesses.
    fn close_at(
        &self,
        me: &NodeName,
        node: &NodeName,
        peer: &Peer,
        witness: &Witness,
        timing: &Timing,
    ) -> Option<Time> {
        let lease = peer.lease.as_ref()?;
        let wait = if dropped(Rule::WholeWait) { lease.duration / 2 } else { lease.duration };
        let outwaited = peer.known_since + wait;
        let silent = || subject(me, node, lease)?.due(witness, timing);
        match lease.source {
            Source::Lease => Some(outwaited + self.patience(me, node, timing)),
            Source::Both(_) if dropped(Rule::BothWait) => silent(),
            Source::Both(_) if dropped(Rule::VotesToClose) => Some(outwaited),
            Source::Both(_) => Some(outwaited.max(silent()?)),
            Source::Witness(_) => silent(),
        }
    }

    /// How long `me` leaves closing `node` to those before it. Who does not stand in line is not told of renewals and only makes
    /// up for a line that is gone: so rarely that all together hardly ask more than one would.
    fn patience(&self, me: &NodeName, node: &NodeName, timing: &Timing) -> Duration {
        let turn = self.turn(me, node);
        match turn.checked_sub(LINE) {
            None => timing.grace * turn,
            Some(behind) => timing.idle_duration * (behind + 1),
        }
    }

    /// How many other open nodes come before `me` in closing `node`: spreads the work, and lets one go first.
    fn turn(&self, me: &NodeName, node: &NodeName) -> u32 {
        let known = self.turns.0.as_ref().and_then(|turns| turns.get(node));
        known.copied().unwrap_or_else(|| self.count_before(me, node))
    }

    fn count_before(&self, me: &NodeName, node: &NodeName) -> u32 {
        let mine = weight(me, node);
        let before = self.open().filter(|other| *other != node && *other != me && weight(other, node) < mine);
        u32::try_from(before.count()).unwrap_or(u32::MAX)
    }

    fn line_up(&mut self, me: &NodeName) {
        if self.turns.0.is_none() {
            let turns = self.open().map(|node| (node.clone(), self.count_before(me, node))).collect();
            self.turns.0 = Some(turns);
        }
    }

    /// Who would close `me` if it fell silent, with a right from `source`.
    pub(super) fn closers(&self, me: &NodeName, source: &Source) -> BTreeSet<NodeName> {
        if let Some(witnesses) = source.witnesses() {
            return witnesses.others.keys().cloned().collect();
        }
        let mut others: Vec<&NodeName> = self.open().filter(|other| *other != me).collect();
        others.sort_by_cached_key(|other| weight(other, me));
        others.into_iter().take(LINE as usize).cloned().collect()
    }

    /// When `node` ought to have given a sign of life: to those in line by its Lease, to its witnesses by asking them.
    fn doubted_at(
        &self,
        me: &NodeName,
        node: &NodeName,
        peer: &Peer,
        lease: &NodeLease,
        witness: &Witness,
        timing: &Timing,
    ) -> Option<Time> {
        match lease.source {
            Source::Lease if self.turn(me, node) >= LINE => None,
            Source::Lease => Some(peer.known_since + lease.duration / 2),
            Source::Both(_) | Source::Witness(_) => subject(me, node, lease)?.due(witness, timing),
        }
    }

    fn open_others<'a>(
        &'a self,
        me: &'a NodeName,
    ) -> impl Iterator<Item = (&'a NodeName, &'a Peer, &'a NodeLease)> + 'a {
        self.peers
            .iter()
            .filter(move |(node, _)| *node != me)
            .filter_map(|(node, peer)| Some((node, peer, peer.lease.as_ref().filter(|lease| lease.open)?)))
    }
}

impl Peer {
    fn ripens(&self, timing: &Timing) -> Time {
        self.born + timing.duration
    }

    /// What is to be feared once the Lease is this, or gone. A node that begins an epoch has none from before.
    fn haunts(&self, next: Option<&NodeLease>) -> Option<bool> {
        let same = |lease: &NodeLease| next.is_some_and(|next| next.epoch.lease == lease.epoch.lease);
        match (&self.lease, next) {
            (_, Some(next)) if next.epoch.number > 0 => Some(false),
            (Some(lease), _) if !same(lease) && self.haunted == Some(false) => {
                Some(lease.open && lease.source != Source::Lease)
            }
            _ => self.haunted,
        }
    }
}

fn subject<'a>(me: &'a NodeName, node: &NodeName, lease: &'a NodeLease) -> Option<Subject<'a>> {
    let holder = Holder { node: node.clone(), epoch: lease.epoch.clone() };
    Some(Subject { me, holder, witnesses: lease.source.witnesses()? })
}

fn is_open(peer: &Peer) -> bool {
    peer.lease.as_ref().is_some_and(|lease| lease.open)
}
