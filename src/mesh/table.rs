//! All peers and what was agreed with them. Pure: datagrams come in as bytes, and go out through [`Table::outgoing`].

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::frame::{self, Frame, Kind, MAX_PAYLOAD, Names};
use super::key::KeyRing;
use super::peer::{Peer, Silence};
use super::reject::Reject;
use super::session::Session;
use super::ticket::{Ticket, Tickets};

/// A datagram to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// To whom.
    pub peer: Arc<str>,
    /// Where that is.
    pub address: SocketAddr,
    /// What.
    pub bytes: Vec<u8>,
}

/// Who sent it, and the payload.
pub type Message<'a> = (Arc<str>, &'a [u8]);

/// All peers of the node `me`.
#[derive(Debug)]
pub struct Table {
    me: Arc<str>,
    keys: KeyRing,
    tickets: Tickets,
    peers: BTreeMap<Arc<str>, Peer>,
    /// Who was given a ticket: the one that is used, and the one that is offered.
    given: HashMap<Ticket, Arc<str>>,
    outgoing: VecDeque<Outgoing>,
}

impl Table {
    /// A table without peers and keys.
    pub fn new(me: &str, tickets: Tickets) -> Self {
        Self {
            me: me.into(),
            keys: KeyRing::default(),
            tickets,
            peers: BTreeMap::new(),
            given: HashMap::new(),
            outgoing: VecDeque::new(),
        }
    }

    /// From now on these keys count. What was agreed with peers goes on.
    pub fn set_keys(&mut self, keys: KeyRing) {
        self.keys = keys;
    }

    /// From now on these are the peers. What was agreed with those that stay goes on.
    pub fn set_peers(&mut self, peers: &BTreeMap<Arc<str>, Option<SocketAddr>>) {
        self.peers.retain(|name, _| peers.contains_key(name));
        self.given.retain(|_, name| peers.contains_key(name));
        for (name, address) in peers.iter().filter(|(name, _)| **name != self.me) {
            self.peers.entry(name.clone()).or_default().address = *address;
        }
    }

    /// Sends `payload` to a peer; waits for nothing. Where there is no session yet, a greeting goes out, and the payload
    /// follows as soon as it is answered.
    ///
    /// # Errors
    /// [`Silence`] when it is known already that it will not arrive.
    pub fn send(&mut self, to: &str, payload: &[u8], now: Instant) -> Result<(), Silence> {
        if payload.len() > MAX_PAYLOAD {
            return Err(Silence::TooLong(payload.len()));
        }
        if self.keys.signing().is_none() {
            return Err(Silence::NoKey);
        }
        let (name, peer) = known(&mut self.peers, to).ok_or(Silence::NoAddress)?;
        if peer.address.is_none() {
            return Err(Silence::NoAddress);
        }
        let greet = peer.greet(now);
        if peer.session.is_some() {
            self.post_data(&name, payload);
        } else {
            peer.keep(payload, now);
        }
        if greet {
            self.greet(&name);
        }
        Ok(())
    }

    /// Takes a datagram that came from `source`; none when it only served the agreement.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn receive<'a>(
        &mut self,
        datagram: &'a [u8],
        source: IpAddr,
        now: Instant,
    ) -> Result<Option<Message<'a>>, Reject> {
        let frame = frame::open(datagram, &self.keys)?;
        if frame.kind == Kind::Hello {
            return self.hello(&frame, now).map(|()| None);
        }
        let Some(name) = self.given.get(&frame.to).cloned() else {
            self.resume(source, now);
            return Err(Reject::Stale);
        };
        self.admit(&name, &frame, now)?;
        let Some(peer) = self.peers.get_mut(&name) else { return Err(Reject::Stranger) };
        peer.hear(now);
        let kept: Vec<Vec<u8>> = peer.kept(now).collect();
        for payload in &kept {
            self.post_data(&name, payload);
        }
        if frame.kind == Kind::Welcome && kept.is_empty() {
            // So that the peer can use what was agreed.
            self.post_data(&name, &[]);
        }
        let carries = frame.kind == Kind::Data && !frame.body.is_empty();
        Ok(carries.then_some((name, frame.body)))
    }

    /// The next datagram to be sent.
    pub fn outgoing(&mut self) -> Option<Outgoing> {
        self.outgoing.pop_front()
    }

    /// The kernel took a datagram for this peer, or did not and said why.
    pub fn sent(&mut self, peer: &str, error: Option<String>) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.error = error;
        }
    }

    /// Why nothing was heard of a peer in the last `span`; none when something was.
    pub fn silence(&self, peer: &str, span: Duration, now: Instant) -> Option<Silence> {
        let Some(peer) = self.peers.get(peer) else { return Some(Silence::NoAddress) };
        if self.keys.signing().is_none() {
            return Some(Silence::NoKey);
        }
        if peer.heard_within(span, now) {
            return None;
        }
        Some(match (peer.address, &peer.error) {
            (None, _) => Silence::NoAddress,
            (Some(address), Some(error)) => Silence::Unsent(address, error.clone()),
            (Some(address), None) => Silence::NoAnswer(address),
        })
    }

    /// A greeting proves nothing: it may be a recorded one. So it changes nothing; the answer goes where the peer lives, and
    /// only who can read it there can use it.
    fn hello(&mut self, frame: &Frame<'_>, now: Instant) -> Result<(), Reject> {
        let names = Names::read(frame.body)?;
        let (name, peer) = known(&mut self.peers, names.from).ok_or(Reject::Stranger)?;
        if names.to != &*self.me {
            return Err(Reject::Stranger);
        }
        if peer.welcome(now) {
            let mine = peer.offer(&mut self.tickets);
            self.given.insert(mine, name.clone());
            self.post(&name, Frame { kind: Kind::Welcome, to: frame.from, from: mine, number: 0, body: &[] });
        }
        Ok(())
    }

    /// Whether a datagram that names one of the peer's tickets is in order; the first under an offered ticket begins a session.
    fn admit(&mut self, name: &str, frame: &Frame<'_>, now: Instant) -> Result<(), Reject> {
        let peer = self.peers.get_mut(name).ok_or(Reject::Stranger)?;
        let before = peer.session;
        if let Some(session) = peer.session.as_mut().filter(|session| session.mine == frame.to) {
            if session.theirs != frame.from {
                // Of another life of the peer than the one that this ticket was agreed with.
                if peer.greet_again(now) {
                    self.greet(name);
                }
                return Err(Reject::Stale);
            }
            return if session.take(frame.number) { Ok(()) } else { Err(Reject::Replayed) };
        }
        let mut session = Session::new(frame.to, frame.from);
        if frame.kind == Kind::Data && !session.take(frame.number) {
            return Err(Reject::Malformed);
        }
        peer.agree(session);
        if let Some(before) = before {
            self.given.remove(&before.mine);
        }
        Ok(())
    }

    /// Somebody who has the key speaks in a session that is not known, as peers do after this agent was started again. Whoever
    /// lives at that address is greeted.
    fn resume(&mut self, source: IpAddr, now: Instant) {
        let lives_there =
            |peer: &Peer| peer.address.is_some_and(|address| address.ip() == source.to_canonical());
        let found = self.peers.iter_mut().find(|(_, peer)| lives_there(peer));
        if let Some((name, peer)) = found
            && peer.greet_again(now)
        {
            let name = name.clone();
            self.greet(&name);
        }
    }

    fn greet(&mut self, name: &str) {
        let Some((name, peer)) = known(&mut self.peers, name) else { return };
        let mine = peer.offer(&mut self.tickets);
        self.given.insert(mine, name.clone());
        let body = Names { from: &self.me, to: &name }.write();
        self.post(&name, Frame { kind: Kind::Hello, to: Ticket::NONE, from: mine, number: 0, body: &body });
    }

    fn post_data(&mut self, name: &str, payload: &[u8]) {
        let session = self.peers.get_mut(name).and_then(|peer| peer.session.as_mut());
        let Some(session) = session else { return };
        let number = session.next_number();
        let (to, from) = (session.theirs, session.mine);
        self.post(name, Frame { kind: Kind::Data, to, from, number, body: payload });
    }

    fn post(&mut self, name: &str, frame: Frame<'_>) {
        let Some((name, peer)) = known(&mut self.peers, name) else { return };
        if let (Some(address), Some(key)) = (peer.address, self.keys.signing()) {
            self.outgoing.push_back(Outgoing { peer: name, address, bytes: frame.seal(key) });
        }
    }
}

fn known<'a>(peers: &'a mut BTreeMap<Arc<str>, Peer>, name: &str) -> Option<(Arc<str>, &'a mut Peer)> {
    let (shared, _) = peers.get_key_value(name)?;
    let shared = shared.clone();
    peers.get_mut(name).map(|peer| (shared, peer))
}
