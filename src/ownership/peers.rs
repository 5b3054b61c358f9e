//! The other nodes' Leases: which epochs are dead, and whose turn it is to close one (rules 4 and 5).

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::event::{Action, Answer, NodeWrite};
use super::lease::{Epoch, Expect, Holder, NodeLease, NodeName, Nonce, Version};
use super::life::Nonces;
use super::time::Time;
use super::timing::Timing;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Peer {
    version: Version,
    lease: Option<NodeLease>,
    /// Since when this version has been known, on our clock.
    known_since: Time,
    /// Since when a Lease with this uid, or the lack of one, has been known.
    born: Time,
    flight: Option<Nonce>,
    rest_until: Time,
}

/// What is known of every node's Lease, the own one included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Peers {
    peers: BTreeMap<NodeName, Peer>,
    /// Nodes whose Lease was asked for, and when to ask again.
    inquired: BTreeMap<NodeName, Time>,
}

impl Peers {
    pub(super) fn observe(&mut self, node: &NodeName, version: Version, lease: Option<NodeLease>, now: Time) {
        let uid = |lease: &Option<NodeLease>| lease.as_ref().map(|lease| lease.epoch.lease.clone());
        let mut born = now;
        let mut flight = None;
        if let Some(known) = self.peers.get(node) {
            if version <= known.version {
                return;
            }
            if uid(&known.lease) == uid(&lease) {
                born = known.born;
            }
            flight = known.flight;
        }
        let peer = Peer { version, lease, known_since: now, born, flight, rest_until: Time::default() };
        self.peers.insert(node.clone(), peer);
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

    /// Whether an epoch that a vip Lease named at version `named` is dead: closed or outlived by a later one.
    /// Dead is for ever. Where the node Lease itself is gone or another, as seen no earlier than it was named, its
    /// last right may still run, so its duration is waited for.
    pub(super) fn dead(&self, holder: &Holder, named: Version, now: Time, timing: &Timing) -> bool {
        match self.peers.get(&holder.node) {
            Some(Peer { lease: Some(lease), .. }) if lease.epoch.lease == holder.epoch.lease => {
                lease.epoch.number > holder.epoch.number
                    || (lease.epoch.number == holder.epoch.number && !lease.open)
            }
            Some(peer) => peer.version >= named && now.since(peer.born) >= timing.duration,
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
                self.inquired.insert(node.clone(), now + timing.renew);
                out.push(Action::ReadNode(node));
            }
        }
    }

    /// Whether some open Lease other than `me`'s has not been renewed for half its duration.
    pub(super) fn suspicious(&self, me: &NodeName, now: Time) -> bool {
        self.open_others(me).any(|(_, peer, lease)| now.since(peer.known_since) >= lease.duration / 2)
    }

    /// Closes whoever has been known unchanged for its whole duration.
    pub(super) fn decide(
        &mut self,
        me: &NodeName,
        now: Time,
        timing: &Timing,
        nonces: &mut Nonces,
        out: &mut Vec<Action>,
    ) {
        let due: Vec<NodeName> = self
            .open_others(me)
            .filter(|(node, peer, lease)| {
                peer.flight.is_none() && now >= self.close_at(me, node, peer, lease, timing)
            })
            .map(|(node, ..)| node.clone())
            .collect();
        for node in due {
            let Some(peer) = self.peers.get_mut(&node) else { continue };
            let Some(lease) = &peer.lease else { continue };
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
            }));
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
        timing: &'a Timing,
    ) -> impl Iterator<Item = Time> + 'a {
        let close = self.open_others(me).flat_map(|(node, peer, lease)| {
            let close = peer.flight.is_none().then(|| self.close_at(me, node, peer, lease, timing));
            [close, Some(peer.known_since + lease.duration / 2)].into_iter().flatten()
        });
        let gone = self.peers.values().map(|peer| peer.born + timing.duration);
        close.chain(gone).chain(self.inquired.values().copied())
    }

    fn close_at(
        &self,
        me: &NodeName,
        node: &NodeName,
        peer: &Peer,
        lease: &NodeLease,
        timing: &Timing,
    ) -> Time {
        (peer.known_since + lease.duration + timing.grace * self.turn(me, node)).max(peer.rest_until)
    }

    /// How many other open nodes come before `me` in closing `node`: spreads the work, and lets one go first.
    fn turn(&self, me: &NodeName, node: &NodeName) -> u32 {
        let mine = weight(me, node);
        let before = self.open().filter(|other| *other != node && *other != me && weight(other, node) < mine);
        u32::try_from(before.count()).unwrap_or(u32::MAX).min(8)
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

fn is_open(peer: &Peer) -> bool {
    peer.lease.as_ref().is_some_and(|lease| lease.open)
}

fn weight(closer: &NodeName, node: &NodeName) -> u64 {
    let mut hasher = DefaultHasher::new();
    (closer, node).hash(&mut hasher);
    hasher.finish()
}
