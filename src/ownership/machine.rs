//! The state machine of one node: takes events, keeps the order that safety needs, returns actions.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Bound;

use super::event::{Action, Answer, Event};
use super::lease::{Epoch, Holder, Incarnation, Key, NodeName, Title};
use super::life::{Life, Needs, Nonces};
use super::memo::Memo;
use super::message::Message;
use super::need::Needy;
use super::peers::Peers;
use super::seat::{Context, Seat};
use super::source::Mode;
use super::time::Time;
use super::timing::Timing;
use super::witness::{Matter, Request, Witness};

/// So many forgotten seats are remembered beyond the epoch in which they were forgotten.
const GRAVES: usize = 1000;

/// How far leaving has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Leaving {
    No,
    /// Handing over.
    Asked,
    /// [`Action::Done`] was said.
    Done,
}

/// The lease protocol of one node for all its `VirtualIP`s.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Machine {
    me: NodeName,
    timing: Timing,
    nonces: Nonces,
    life: Life,
    peers: Peers,
    witness: Witness,
    seats: BTreeMap<Key, Seat>,
    /// What the kernel was last asked for, by key.
    asked: BTreeMap<Key, BTreeSet<IpAddr>>,
    /// What was known of seats whose Lease is gone. A late event from before would name this very epoch, and a late
    /// write may yet bring the Lease back.
    graves: BTreeMap<Key, Seat>,
    /// When life and peers were last decided, which every step does.
    decided: Time,
    /// When all seats were last decided.
    seats_decided: Time,
    /// When time alone may next change what is decided about a seat. Kept, since most steps are messages that touch none, many
    /// times a second.
    seats_due: Option<Time>,
    /// What the seats need, for as long as nothing touches them.
    seats_need: Memo<Needy>,
    synced: bool,
    inventoried: bool,
    leaving: Leaving,
}

/// What a person or a metric wants to know of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The open epoch.
    pub epoch: Option<Epoch>,
    /// The end of the right, if one runs.
    pub right: Option<Time>,
    /// How many vip Leases name this node in its current epoch.
    pub held: usize,
}

impl Machine {
    /// The machine of `me`. `incarnation` must differ from that of every other process.
    #[must_use]
    pub fn new(me: NodeName, timing: Timing, incarnation: u64) -> Self {
        Self {
            life: Life::new(me.clone(), incarnation),
            witness: Witness::new(Incarnation(incarnation)),
            me,
            timing,
            nonces: Nonces::new(incarnation),
            peers: Peers::default(),
            seats: BTreeMap::new(),
            asked: BTreeMap::new(),
            graves: BTreeMap::new(),
            decided: Time::default(),
            seats_decided: Time::default(),
            seats_due: None,
            seats_need: Memo::default(),
            synced: false,
            inventoried: false,
            leaving: Leaving::No,
        }
    }

    /// Handles one event. The clock comes first: if the right has ended, the epoch is over before the event is
    /// looked at, whatever it says.
    pub fn step(&mut self, event: Event, now: Time) -> Vec<Action> {
        let mut out = Vec::new();
        // Elsewhere nobody names this node as its witness, unless others are configured otherwise.
        let may_witness = self.timing.source != Mode::Lease || matches!(event, Event::Message { .. });
        if may_witness && self.witness.clock(now) {
            self.peers.disturb();
        }
        let mut lapsed = self.life.lapse(now, &self.timing, &mut out);
        let touched = self.touched(&event, now);
        let first = self.is_first(&touched);
        let (before, calm) = (self.foundation(now), self.is_calm(&event));
        self.take(event, now, &mut out);
        // An answer may come after the right that it gives has ended.
        lapsed |= self.life.lapse(now, &self.timing, &mut out);
        self.life.tell(now, &self.timing, &mut out);
        if self.graves.len() > GRAVES && out.iter().any(|action| matches!(action, Action::Ended(_))) {
            self.graves.clear();
        }
        if self.synced {
            self.life.wake(now, &self.timing);
        }
        if self.synced && self.inventoried {
            // What touches one VirtualIP only cannot change what is decided about another.
            let same = self.foundation(now) == before && !lapsed;
            let touched = if same { touched } else { Touched::All };
            self.decide(&touched, calm, now, &mut out);
            self.look_ahead(&touched, first);
        }
        out
    }

    /// When [`Machine::step`] wants an [`Event::Tick`] if nothing else happens.
    #[must_use]
    pub fn wake_at(&self) -> Option<Time> {
        if !self.synced || !self.inventoried {
            return None;
        }
        // What was due at the last decision and not done waits for an event, not for time.
        let peers = self.peers.wakes(&self.me, &self.witness, &self.timing);
        let others = self.life.wakes(&self.timing).chain(peers).filter(|at| *at > self.decided);
        self.seats_due.into_iter().chain(others).min()
    }

    /// The end of the right, if one runs. Adding or extending an address is allowed only before it.
    #[must_use]
    pub fn right(&self, now: Time) -> Option<Time> {
        self.life.right(now, &self.timing).map(|(_, until)| until)
    }

    /// The vip Lease as last known.
    #[must_use]
    pub fn title(&self, key: &Key) -> Option<&Title> {
        self.seats.get(key)?.title()
    }

    /// All vip Leases as last known.
    pub fn titles(&self) -> impl Iterator<Item = (&Key, &Title)> {
        self.seats.iter().filter_map(|(key, seat)| Some((key, seat.title()?)))
    }

    /// Whether the vip Lease names this node in its current epoch.
    #[must_use]
    pub fn holds(&self, key: &Key) -> bool {
        self.seats.get(key).is_some_and(|seat| seat.held_by(&self.me, self.life.epoch()))
    }

    /// The addresses of `key` that are up in the kernel.
    #[must_use]
    pub fn up(&self, key: &Key) -> Option<&BTreeSet<IpAddr>> {
        self.seats.get(key).map(Seat::up)
    }

    /// Whether this node owns something, and all that it answers for, or that others await its silence of, is its own and
    /// `stays`: then nobody waits for this process, and where it ends the right does.
    #[must_use]
    pub fn owns_only(&self, stays: impl Fn(&Key) -> bool) -> bool {
        let owns = |seat: &Seat| seat.held_by(&self.me, self.life.epoch());
        let awaited = |seat: &Seat| {
            let awaiting = seat.title().and_then(|title| title.content.awaiting.as_deref());
            awaiting.is_some_and(|awaited| awaited.node == self.me)
        };
        let mut concern =
            self.seats.iter().filter(|(_, seat)| owns(seat) || awaited(seat) || !seat.silent()).peekable();
        concern.peek().is_some() && concern.all(|(key, seat)| owns(seat) && !awaited(seat) && stays(key))
    }

    /// Whether a vip Lease names a dead epoch, or nobody.
    #[must_use]
    pub fn free(&self, title: &Title, now: Time) -> bool {
        let holder = title.content.holder.as_ref();
        holder.is_none_or(|holder| self.peers.dead(holder, title.version, now, &self.timing))
    }

    /// Nodes whose epoch is open as far as known.
    pub fn live(&self) -> impl Iterator<Item = &NodeName> {
        self.peers.open()
    }

    /// The open epoch.
    #[cfg(test)]
    pub(super) fn epoch(&self) -> Option<&Epoch> {
        self.life.epoch()
    }

    /// Figures of the moment.
    #[must_use]
    pub fn summary(&self, now: Time) -> Summary {
        let epoch = self.life.epoch().cloned();
        let held = self.seats.values().filter(|seat| seat.held_by(&self.me, epoch.as_ref())).count();
        Summary { right: self.right(now), held, epoch }
    }

    fn take(&mut self, event: Event, now: Time, out: &mut Vec<Action>) {
        match event {
            Event::Tick => {}
            Event::Neighbours(neighbours) => self.life.neighbours(neighbours),
            Event::Message { from, message } => self.hear(from, message, now, out),
            Event::Node { node, version, lease } => {
                if node == self.me {
                    self.life.observe(version, lease.clone(), out);
                }
                self.peers.observe(&node, version, lease, now);
                self.witness.forget(&node, |holder| self.peers.over(holder));
            }
            Event::Title { key, version, title } => self.seat(key).observe(version, title, now),
            Event::Synced => {
                self.synced = true;
                self.seats.values_mut().for_each(Seat::synced);
            }
            Event::NodeAnswer { node, nonce, answer } if node == self.me => {
                if let Answer::Written(version, lease) = &answer {
                    self.peers.observe(&node, *version, lease.clone(), now);
                }
                self.life.answered(nonce, answer, now, &self.timing, out);
            }
            Event::NodeAnswer { node, nonce, answer } => {
                self.peers.answered(&node, nonce, answer, now, &self.timing, out);
            }
            Event::TitleAnswer { key, nonce, answer } => {
                let timing = self.timing.clone();
                self.seat(key.clone()).answered(&key, nonce, answer, now, &timing, out);
            }
            Event::Checked { key, version, taken } => {
                let timing = self.timing.clone();
                self.seat(key).checked(version, taken, now, &timing);
            }
            Event::Wanted { key, want } => self.seat(key).want(want),
            Event::Found { key, up } => self.seat(key).found(up),
            Event::Inventoried => self.inventoried = true,
            Event::Kernel { key, up } => {
                let asked = self.asked.remove(&key).unwrap_or_default();
                let timing = self.timing.clone();
                self.seat(key).kernel(up, &asked, now, &timing);
            }
            Event::Vanished { key, address } => self.seat(key).vanished(address),
            Event::Leave => self.leave(),
            Event::Abandon => {
                self.leave();
                self.life.end(out);
            }
        }
    }

    /// Another agent says something: as a witness of this node, or to this node as its witness.
    fn hear(&mut self, from: NodeName, message: Message, now: Time, out: &mut Vec<Action>) {
        match message {
            Message::Ask { epoch, round, witness, period, asked } => {
                let dead = self.peers.over(&Holder { node: from.clone(), epoch: epoch.clone() });
                let request = Request { epoch, round, witness, period, asked };
                let message = self.witness.asked(from.clone(), request, dead, now);
                out.push(Action::Send { to: from, message });
            }
            Message::Canvass { holder, round, witness, period, binding } => {
                let matter = Matter { holder: &holder, round, witness, period };
                if self.witness.vote(&self.me, &matter, binding, now) {
                    let message = Message::Vote { holder, round, witness, binding };
                    out.push(Action::Send { to: from, message });
                }
            }
            Message::Vote { holder, round, witness, binding } => {
                self.peers.voted(from, &holder, round, witness, binding);
            }
            Message::Promise { .. } | Message::Refuse { .. } => self.life.hear(from, message, now, out),
            Message::Silent { key, version, onto } => {
                // Who waits for this knows the Lease, at least as it was when it accepted.
                if let Some(seat) = self.seats.get_mut(&key) {
                    seat.hear(from, version, onto, now);
                }
            }
        }
    }

    /// What the event may change, if it does not end or give the right. Messages keep rights, many times a second.
    fn touched(&self, event: &Event, now: Time) -> Touched {
        let mut nodes = self.peers.ripe(self.decided, now, &self.timing);
        let again = self.peers.asks_again(now);
        match event {
            Event::Title { key, .. }
            | Event::TitleAnswer { key, .. }
            | Event::Checked { key, .. }
            | Event::Wanted { key, .. }
            | Event::Kernel { key, .. }
            | Event::Vanished { key, .. }
            | Event::Message { message: Message::Silent { key, .. }, .. } => {
                let alone = nodes.is_empty() && !again;
                return if alone { Touched::One(key.clone()) } else { Touched::All };
            }
            _ if again || self.seats_due(now) => return Touched::All,
            // An answer that says nothing of the Lease is none.
            Event::Message { .. }
            | Event::Tick
            | Event::NodeAnswer { answer: Answer::Conflict | Answer::Unknown, .. } => {}
            // Whoever is open goes on.
            Event::Node { node, lease: Some(lease), .. }
            | Event::NodeAnswer { node, answer: Answer::Written(_, Some(lease)), .. }
                if self.peers.is_renewal(node, lease) => {}
            // Where it is the own Lease, and the right depends on it, that shows in the foundation.
            Event::Node { node, .. } | Event::NodeAnswer { node, .. } => {
                nodes.insert(node.clone());
            }
            _ => return Touched::All,
        }
        if nodes.is_empty() { Touched::None } else { Touched::Nodes(nodes) }
    }

    /// What decisions about all seats rest on, besides the peers.
    fn foundation(&self, now: Time) -> (Option<Epoch>, bool, bool) {
        let right = self.life.right(now, &self.timing).map(|(epoch, _)| epoch.clone());
        (right, self.life.waking(), self.life.continued())
    }

    /// Whether the event cannot change whom this node asks for promises: time alone may.
    fn is_calm(&self, event: &Event) -> bool {
        match event {
            Event::Message { from, message: Message::Promise { round, witness, .. }, .. } => {
                self.life.has_promised(from, *round, *witness)
            }
            Event::Message { message, .. } => !matches!(message, Message::Refuse { .. }),
            _ => false,
        }
    }

    /// Whether time alone may have changed what is decided about a seat since all were looked at.
    fn seats_due(&self, now: Time) -> bool {
        self.seats_due.is_some_and(|at| self.seats_decided < at && at <= now)
    }

    /// Whether it is for this seat that they are due next.
    fn is_first(&self, touched: &Touched) -> bool {
        let Touched::One(key) = touched else { return false };
        let seat = self.seats.get(key);
        seat.is_some_and(|seat| seat.wakes(&self.timing).any(|at| Some(at) == self.seats_due))
    }

    /// Looks when the next seat is due. Of a thousand only the one that was `touched` is looked at, unless it was the `first`.
    fn look_ahead(&mut self, touched: &Touched, first: bool) {
        let due = |seat: &Seat| seat.wakes(&self.timing).filter(|at| *at > self.seats_decided).min();
        self.seats_due = match touched {
            Touched::None => return,
            Touched::One(key) if !first => {
                self.seats_due.into_iter().chain(self.seats.get(key).and_then(due)).min()
            }
            Touched::One(_) | Touched::Nodes(_) | Touched::All => self.seats.values().filter_map(due).min(),
        };
    }

    fn leave(&mut self) {
        if self.leaving == Leaving::No {
            self.leaving = Leaving::Asked;
        }
    }

    fn seat(&mut self, key: Key) -> &mut Seat {
        let grave = self.graves.remove(&key);
        let synced = self.synced;
        self.seats.entry(key).or_insert_with(|| grave.unwrap_or_else(|| Seat::new(synced)))
    }

    fn context(&self, now: Time) -> Context<'_> {
        Context {
            now,
            me: &self.me,
            right: self.life.right(now, &self.timing).map(|(epoch, _)| epoch),
            waking: self.life.waking(),
            continued: self.life.continued(),
            leaving: self.leaving != Leaving::No,
            peers: &self.peers,
            timing: &self.timing,
        }
    }

    fn decide(&mut self, touched: &Touched, calm: bool, now: Time, out: &mut Vec<Action>) {
        self.decided = now;
        self.peers.decide(&self.me, &mut self.witness, now, &self.timing, &mut self.nonces, out);
        self.inquire(touched, now, out);
        self.decide_seats(touched, now, out);
        if !calm || self.life.has_to_ask(now, &self.timing) {
            self.life.ask(&self.peers, now, &self.timing, &mut self.nonces, out);
        }
        let needs = self.needs(now);
        self.life.decide(&needs, &self.peers, now, &self.timing, &mut self.nonces, out);
        self.finish(&needs, out);
    }

    /// Asks after holders whose Lease is not known, or only as it was before they were named.
    fn inquire(&mut self, touched: &Touched, now: Time, out: &mut Vec<Action>) {
        if *touched == Touched::None {
            return;
        }
        let titles = self.seats.range(touched.range()).filter(|(_, seat)| touched.includes(seat));
        let named = titles.filter_map(|(_, seat)| seat.title()).flat_map(|title| {
            let content = &title.content;
            content.holder.iter().chain(content.awaiting.as_deref()).map(|holder| (holder, title.version))
        });
        let strangers: BTreeSet<NodeName> = named
            .filter(|(holder, version)| self.peers.stranger(holder, *version))
            .map(|(holder, _)| holder.node.clone())
            .collect();
        self.peers.inquire(strangers, now, &self.timing, out);
    }

    fn decide_seats(&mut self, touched: &Touched, now: Time, out: &mut Vec<Action>) {
        if *touched == Touched::None {
            return;
        }
        let mut seats = std::mem::take(&mut self.seats);
        let mut nonces = self.nonces.clone();
        let cx = self.context(now);
        let mut decided = Vec::new();
        let mut needy = self.seats_need.0;
        let epoch = self.life.epoch();
        for (key, seat) in seats.range_mut(touched.range()).filter(|(_, seat)| touched.includes(seat)) {
            seat.decide(key, &cx, &mut nonces, &mut decided);
            let need = seat.need(&cx, epoch);
            needy.count(&mut seat.counted, need);
        }
        if *touched == Touched::All {
            self.seats_decided = now;
            self.graves.extend(seats.extract_if(.., |_, seat| {
                let forgets = seat.forgettable();
                if forgets {
                    needy.forget(&mut seat.counted);
                }
                forgets
            }));
        }
        self.seats_need.0 = needy;
        for action in &decided {
            if let Action::Set { key, addresses } = action {
                self.asked.insert(key.clone(), addresses.clone());
            }
        }
        self.nonces = nonces;
        self.seats = seats;
        out.append(&mut decided);
    }

    fn needs(&self, now: Time) -> Needs {
        let Needy { speaking, held, brisk } = self.seats_need.0;
        let (silent, held) = (speaking == 0, held > 0);
        let brisk = brisk > 0 || self.peers.suspicious(&self.me, &self.witness, now, &self.timing);
        let leaving = self.leaving != Leaving::No;
        // Without an epoch nothing can be handed over any more: closing it spares the others the wait.
        let released = silent && (!held || self.life.epoch().is_none());
        Needs { silent, brisk, leaving, close: leaving && released }
    }

    /// Whether what is kept so that it need not be worked out again is what would be.
    #[cfg(test)]
    pub(super) fn keeps_right(&self, now: Time) -> bool {
        let mut needy = Needy::default();
        let (cx, epoch) = (self.context(now), self.life.epoch());
        for seat in self.seats.values() {
            needy.count(&mut Memo::default(), seat.need(&cx, epoch));
        }
        !self.synced
            || !self.inventoried
            || needy == self.seats_need.0
                && self.peers.keeps_right(&self.me, &self.witness, now, &self.timing)
    }

    fn finish(&mut self, needs: &Needs, out: &mut Vec<Action>) {
        if self.leaving == Leaving::Asked && needs.close && self.life.closed() {
            self.leaving = Leaving::Done;
            out.push(Action::Done);
        }
    }
}

/// The seats about which an event may change what is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Touched {
    None,
    One(Key),
    /// Those for which it matters how one of these nodes is.
    Nodes(BTreeSet<NodeName>),
    All,
}

impl Touched {
    /// Which have to be looked at.
    fn range(&self) -> (Bound<&Key>, Bound<&Key>) {
        match self {
            Self::One(key) => (Bound::Included(key), Bound::Included(key)),
            _ => (Bound::Unbounded, Bound::Unbounded),
        }
    }

    /// Whether a seat of that range is one of them.
    fn includes(&self, seat: &Seat) -> bool {
        match self {
            Self::None => false,
            Self::Nodes(nodes) => seat.depends_on(nodes),
            Self::One(_) | Self::All => true,
        }
    }
}
