//! The node's own life: epochs, and the right that renewals and promises give (rules 1 to 3, 15 and 16).

use std::collections::BTreeMap;

use super::event::{Action, Answer, Neighbour, NodeWrite};
use super::lease::{Epoch, Expect, Incarnation, NodeLease, NodeName, Nonce, Version};
use super::message::{Message, Refusal};
use super::peers::Peers;
use super::promises::{Facts, Promises};
use super::rule::{Rule, dropped};
use super::source::{Mode, Source};
use super::stand::Stand;
use super::steps::Steps;
use super::time::Time;
use super::timing::Timing;

/// Draws the marks of this process's writes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Nonces {
    last: Nonce,
}

impl Nonces {
    pub(super) fn new(incarnation: u64) -> Self {
        Self { last: Nonce { incarnation, sequence: 0 } }
    }

    pub(super) fn draw(&mut self) -> Nonce {
        self.last.sequence += 1;
        self.last
    }
}

/// What is known of the own node Lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Known {
    Unknown,
    Absent(Version),
    Present(NodeLease),
}

/// Where the node stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    /// A former life's epoch has not been looked at yet: the kernel goes on under its old deadline.
    Waking,
    /// No epoch. The next one begins when the kernel is silent.
    Ended,
    /// In an epoch.
    Begun(Begun),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Begun {
    epoch: Epoch,
    /// The latest known version of the Lease.
    stand: Stand,
    /// Whether a write of this process confirmed the epoch. One of a former life gives no right before that.
    confirmed: bool,
    /// When an epoch of a former life is given up, if nothing confirms it.
    give_up: Time,
    /// Whether a former life began it.
    continued: bool,
}

/// A write whose fate is not known yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Attempt {
    nonce: Nonce,
    /// What it expects to find: once the Lease has another version, it can never take effect.
    expect: Expect,
    begins: bool,
    stand: Stand,
}

/// So many writes of unknown fate are remembered. In tests few, so that the searches find out what comes of forgetting some.
const ATTEMPTS: usize = if cfg!(test) { 2 } else { 32 };

/// The own node Lease and what follows from it.
///
/// **Invariant.** The right is the minimum over all versions that the Lease may be in (rule 15), and never shrinks while an
/// epoch runs: a write that would make it shorter is not sent before it does not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Life {
    me: NodeName,
    known: Known,
    state: State,
    attempts: Vec<Attempt>,
    flight: Option<Nonce>,
    /// When the last renewal or begin was sent.
    sent: Time,
    /// Nothing is sent before this.
    rest_until: Time,
    /// Since when the node has had no reason to renew briskly.
    idle_since: Option<Time>,
    promises: Promises,
    steps: Steps,
    /// The end of the right of which was told last.
    told: Time,
}

/// A write to the own Lease.
struct Write {
    expect: Expect,
    number: i32,
    open: bool,
    stand: Stand,
}

/// What the rest of the machine tells the life before it decides.
#[allow(clippy::struct_excessive_bools)] // four independent facts
pub(super) struct Needs {
    /// No address is up and no call to the kernel is pending.
    pub(super) silent: bool,
    /// Something is owned, or about to be.
    pub(super) brisk: bool,
    /// The node leaves: close instead of renewing, once this says so.
    pub(super) close: bool,
    /// The node leaves: begin nothing.
    pub(super) leaving: bool,
}

impl Life {
    pub(super) fn new(me: NodeName, incarnation: u64) -> Self {
        Self {
            me,
            known: Known::Unknown,
            state: State::Waking,
            attempts: Vec::new(),
            flight: None,
            sent: Time::default(),
            rest_until: Time::default(),
            idle_since: None,
            promises: Promises::new(Incarnation(incarnation)),
            steps: Steps::default(),
            told: Time::default(),
        }
    }

    /// The epoch, if one is open as far as this node knows.
    pub(super) fn epoch(&self) -> Option<&Epoch> {
        match &self.state {
            State::Begun(begun) => Some(&begun.epoch),
            State::Waking | State::Ended => None,
        }
    }

    /// The epoch and the end of its right, if the right runs at `now`.
    pub(super) fn right(&self, now: Time, timing: &Timing) -> Option<(&Epoch, Time)> {
        let State::Begun(begun) = &self.state else { return None };
        let until = self.until(begun, timing);
        (begun.confirmed && now < until).then_some((&begun.epoch, until))
    }

    /// The versions that the Lease may be in.
    fn stands<'a>(&'a self, begun: &'a Begun) -> impl Iterator<Item = &'a Stand> {
        std::iter::once(&begun.stand).chain(self.attempts.iter().map(|attempt| &attempt.stand))
    }

    /// What holds in whichever of its versions the Lease is (rule 15).
    fn least(&self, begun: &Begun, of: impl Fn(&Stand) -> Time) -> Time {
        let versions = if dropped(Rule::MinimumOfAll) { 1 } else { usize::MAX };
        self.stands(begun).take(versions).map(of).min().unwrap_or_default()
    }

    fn until(&self, begun: &Begun, timing: &Timing) -> Time {
        self.least(begun, |stand| stand.right(&self.promises, timing))
    }

    /// Whether the own Lease is known to be closed or absent, and no write is under way.
    pub(super) fn closed(&self) -> bool {
        self.flight.is_none() && !matches!(&self.known, Known::Present(lease) if lease.open)
    }

    /// Whether a former life's epoch is still being looked at.
    pub(super) fn waking(&self) -> bool {
        match &self.state {
            State::Waking => true,
            State::Begun(begun) => !begun.confirmed,
            State::Ended => false,
        }
    }

    /// Whether a former life began this epoch: its Leases need a write of our own first.
    pub(super) fn continued(&self) -> bool {
        matches!(&self.state, State::Begun(begun) if begun.continued)
    }

    /// Ends the epoch if its right has run out, and says so: the first thing in every step.
    pub(super) fn lapse(&mut self, now: Time, timing: &Timing, out: &mut Vec<Action>) -> bool {
        let lapsed = self.lapses_at(timing).is_some_and(|at| now >= at) && !dropped(Rule::OverAtItsEnd);
        if lapsed {
            self.end(out);
        }
        lapsed
    }

    /// When the epoch is over, if nothing renews it.
    fn lapses_at(&self, timing: &Timing) -> Option<Time> {
        let State::Begun(begun) = &self.state else { return None };
        if !begun.confirmed {
            return Some(begun.give_up);
        }
        Some(self.least(begun, |stand| stand.ends(&self.promises, timing)))
    }

    /// Ends the epoch at once, for ever.
    pub(super) fn end(&mut self, out: &mut Vec<Action>) {
        self.attempts.clear();
        self.rest_until = Time::default();
        self.told = Time::default();
        self.steps = Steps::default();
        self.promises.clear();
        if let State::Begun(begun) = std::mem::replace(&mut self.state, State::Ended) {
            out.push(Action::Ended(begun.epoch));
        }
    }

    /// The kernel's inventory and the own Lease are known: continue the former life's epoch if it is open.
    pub(super) fn wake(&mut self, now: Time, timing: &Timing) {
        if self.state != State::Waking || self.known == Known::Unknown {
            return;
        }
        self.state = match &self.known {
            Known::Present(lease) if lease.open => State::Begun(Begun {
                epoch: lease.epoch.clone(),
                stand: Stand {
                    source: lease.source.clone(),
                    duration: lease.duration,
                    idle: false,
                    sent: dropped(Rule::RenewBeforeContinuing).then_some(now),
                },
                confirmed: dropped(Rule::RenewBeforeContinuing),
                give_up: now + timing.duration,
                continued: true,
            }),
            _ => State::Ended,
        };
    }

    /// Takes in a version of the own Lease.
    pub(super) fn observe(&mut self, version: Version, lease: Option<NodeLease>, out: &mut Vec<Action>) {
        let newer = match &self.known {
            Known::Unknown => true,
            Known::Absent(known) => version > *known,
            Known::Present(known) => version > known.version,
        };
        if !newer {
            return;
        }
        if self.known == Known::Unknown {
            self.rest_until = Time::default();
        }
        match &lease {
            Some(lease) if lease.open => self.renewed(lease, out),
            _ if matches!(self.state, State::Begun(_)) => self.end(out),
            _ => {}
        }
        self.known = lease.map_or(Known::Absent(version), Known::Present);
    }

    /// The Lease is open. The right counts from the sending of the very write that made this version, known by
    /// its nonce, and of no other (rule 2).
    fn renewed(&mut self, lease: &NodeLease, out: &mut Vec<Action>) {
        let own = |attempt: &&Attempt| attempt.nonce == lease.nonce || dropped(Rule::OwnNonce);
        let attempt = self.attempts.iter().rfind(own).cloned();
        if let State::Begun(begun) = &self.state
            && begun.epoch != lease.epoch
        {
            return self.end(out);
        }
        // Every write that expected an earlier version can never take effect.
        self.attempts.retain(|other| other.expect == Expect::At(lease.version));
        let stated =
            |sent, idle| Stand { source: lease.source.clone(), duration: lease.duration, idle, sent };
        match (&mut self.state, attempt) {
            (State::Begun(begun), Some(attempt)) => {
                begun.stand = stated(attempt.stand.sent, attempt.stand.idle);
                begun.confirmed = true;
            }
            // A write of a former life, or one that is forgotten: what it states counts from now on, and what was shown
            // by an earlier write is not shown by it.
            (State::Begun(begun), None) => {
                let duration = begun.stand.duration.min(lease.duration);
                begun.stand = Stand { duration, ..stated(begun.stand.sent, begun.stand.idle) };
            }
            (State::Ended, Some(attempt)) if attempt.begins => {
                let epoch = lease.epoch.clone();
                out.push(Action::Began(epoch.clone()));
                self.state = State::Begun(Begun {
                    epoch,
                    stand: stated(attempt.stand.sent, false),
                    confirmed: true,
                    give_up: Time::default(),
                    continued: false,
                });
            }
            (State::Ended | State::Waking, _) => {}
        }
    }

    /// Takes in the answer to a write.
    pub(super) fn answered(
        &mut self,
        nonce: Nonce,
        answer: Answer<NodeLease>,
        now: Time,
        timing: &Timing,
        out: &mut Vec<Action>,
    ) {
        if self.flight == Some(nonce) {
            self.flight = None;
        }
        match answer {
            Answer::Written(version, lease) => self.observe(version, lease, out),
            Answer::Conflict => {
                // This write can never take effect; one before it may have.
                self.attempts.retain(|attempt| attempt.nonce != nonce);
                self.rest_until = now + timing.retry;
                out.push(Action::ReadNode(self.me.clone()));
            }
            Answer::Unknown => {
                self.rest_until = now + timing.retry;
                out.push(Action::ReadNode(self.me.clone()));
            }
        }
    }

    /// Which nodes can be talked to.
    pub(super) fn neighbours(&mut self, neighbours: BTreeMap<NodeName, Neighbour>) {
        self.promises.neighbours(neighbours);
    }

    /// A witness answers. What it says of another epoch is old.
    pub(super) fn hear(&mut self, from: NodeName, message: Message, now: Time, out: &mut Vec<Action>) {
        match message {
            Message::Promise { epoch, round, witness, asked } if Some(&epoch) == self.epoch() => {
                self.promises.promised(from, witness, round, asked, now);
            }
            Message::Refuse { epoch, round, witness, why } if Some(&epoch) == self.epoch() => {
                self.promises.refused(&from, witness, round, why);
                if why == Refusal::Dead {
                    // The watch is behind: whoever closed it was quicker.
                    out.push(Action::ReadNode(self.me.clone()));
                }
            }
            _ => {}
        }
    }

    /// Says how far the right reaches, when that is further by something.
    pub(super) fn tell(&mut self, now: Time, timing: &Timing, out: &mut Vec<Action>) {
        let Some((_, until)) = self.right(now, timing) else { return };
        if until >= self.told + timing.ask.min(timing.renew) / 2 {
            self.told = until;
            out.push(Action::Extend(until));
        }
    }

    /// Whether this witness has promised something under that choice before.
    pub(super) fn has_promised(&self, witness: &NodeName, round: Nonce, incarnation: Incarnation) -> bool {
        self.promises.has_promised(witness, round, incarnation)
    }

    /// Whether it is time to ask somebody, or to give him up.
    pub(super) fn has_to_ask(&self, now: Time, timing: &Timing) -> bool {
        self.promises.wakes(timing).any(|at| at <= now + timing.early())
    }

    /// Asks the witnesses that are due for their promises.
    pub(super) fn ask(
        &mut self,
        peers: &Peers,
        now: Time,
        timing: &Timing,
        nonces: &mut Nonces,
        out: &mut Vec<Action>,
    ) {
        let State::Begun(begun) = &self.state else { return };
        let sources = self.stands(begun).map(|stand| stand.source.clone()).collect();
        let epoch = begun.epoch.clone();
        let facts = Facts { me: &self.me, epoch: &epoch, sources, peers, now, timing };
        self.promises.decide(&facts, nonces, out);
    }

    /// Decides on the next write.
    pub(super) fn decide(
        &mut self,
        needs: &Needs,
        peers: &Peers,
        now: Time,
        timing: &Timing,
        nonces: &mut Nonces,
        out: &mut Vec<Action>,
    ) {
        self.note_idleness(needs.brisk, now);
        if let State::Begun(begun) = &self.state {
            self.steps.look(&begun.stand, &self.promises, now, timing);
        }
        if self.flight.is_some() || now < self.rest_until {
            return;
        }
        let (expect, number) = match &self.known {
            Known::Unknown => {
                self.rest_until = now + timing.duration;
                return out.push(Action::ReadNode(self.me.clone()));
            }
            Known::Absent(_) => (Expect::Absent, 0),
            Known::Present(lease) => (Expect::At(lease.version), lease.epoch.number),
        };
        let known_open = matches!(&self.known, Known::Present(lease) if lease.open);
        let plain = Stand { source: Source::Lease, duration: timing.duration, idle: false, sent: Some(now) };
        let write = match &self.state {
            _ if needs.close && known_open => {
                // Once this is sent the epoch may be dead at any moment: nothing may be answered for in it.
                self.end(out);
                Write { expect, number, open: false, stand: plain }
            }
            State::Ended if (needs.silent || dropped(Rule::SilentBeforeBegin)) && !needs.leaving => {
                // A Lease that was just created gives no right: it is created closed, and begun by a second write.
                let open = expect != Expect::Absent;
                let number = if open { number.wrapping_add(1) } else { number };
                Write { expect, number, open, stand: plain }
            }
            State::Begun(begun) => {
                let Some(stand) = self.next_stand(begun, needs.brisk, now, timing) else { return };
                Write { expect, number, open: true, stand }
            }
            _ => return,
        };
        self.send(write, peers, now, nonces, out);
    }

    /// What the Lease shall state next, if it is time to write it.
    fn next_stand(&self, begun: &Begun, brisk: bool, now: Time, timing: &Timing) -> Option<Stand> {
        let kept = &begun.stand.source;
        if let Some(source) = self.next_source(begun, now, timing) {
            let waits = kept.mode() == Mode::Both && source.mode() == Mode::Witness;
            let stand = self.stand(source, now, timing);
            if self.harmless(begun, &stand, timing) {
                return Some(stand);
            }
            // Until the Lease's part has run down to where promises reach: a renewal would put that off for ever.
            if waits {
                return None;
            }
        }
        (now >= self.renewal_due(brisk, timing)).then(|| self.stand(kept.clone(), now, timing))
    }

    fn next_source(&self, begun: &Begun, now: Time, timing: &Timing) -> Option<Source> {
        if !begun.confirmed {
            // A new process has no promises yet: this way its first write gives a right all the same.
            let witnesses = begun.stand.source.witnesses();
            return witnesses.cloned().map(Source::Both);
        }
        let fresh = begun.stand.sent.is_some_and(|sent| now.since(sent) <= timing.renew * 2);
        let settled = fresh && self.attempts.is_empty();
        self.steps.next(&begun.stand, settled, &self.promises, now, timing)
    }

    /// Whether the right is no shorter as long as it is not known whether this was written (rule 15). While the node idles
    /// there is nothing that a right is needed for.
    fn harmless(&self, begun: &Begun, next: &Stand, timing: &Timing) -> bool {
        let shorter = next.right(&self.promises, timing) < self.until(begun, timing);
        next.idle || !shorter || dropped(Rule::NeverShorter)
    }

    fn stand(&self, source: Source, now: Time, timing: &Timing) -> Stand {
        let promised = source.mode() == Mode::Witness;
        let idle = !promised && self.wants_idle(now, timing);
        let duration = if idle || promised { timing.idle_duration } else { timing.duration };
        Stand { source, duration, idle, sent: Some(now) }
    }

    fn send(&mut self, write: Write, peers: &Peers, now: Time, nonces: &mut Nonces, out: &mut Vec<Action>) {
        let Write { expect, number, open, stand } = write;
        let begins = open && self.state == State::Ended;
        if begins && !dropped(Rule::OneBegin) {
            // Starting another begin ends the one before: its late answer is worth nothing (rule 1).
            self.attempts.clear();
        }
        if open && !self.make_room() {
            return;
        }
        let nonce = nonces.draw();
        self.flight = Some(nonce);
        self.sent = now;
        out.push(Action::WriteNode(NodeWrite {
            node: self.me.clone(),
            expect,
            number,
            open,
            duration: stand.duration,
            source: stand.source.clone(),
            nonce,
            told: if open && !begins { Some(peers.closers(&self.me, &stand.source)) } else { None },
        }));
        if open {
            self.attempts.push(Attempt { nonce, expect, begins, stand });
        }
    }

    /// Whether one more write of unknown fate can be remembered. A renewal may be forgotten: until it is known what became
    /// of it, the right is no longer than it was before. So may one that another states again, which counts from the first of the
    /// two then: else a node that wants another source while the API server is away for long could never write again.
    fn make_room(&mut self) -> bool {
        let State::Begun(begun) = &self.state else { return true };
        if self.attempts.len() < ATTEMPTS {
            return true;
        }
        let renewal = |attempt: &Attempt| {
            let stand = &attempt.stand;
            stand.source == begun.stand.source && stand.idle == begun.stand.idle
        };
        if let Some(oldest) = self.attempts.iter().position(renewal) {
            self.attempts.remove(oldest);
            return true;
        }
        let same = |one: &Stand, other: &Stand| {
            (&one.source, one.duration, one.idle) == (&other.source, other.duration, other.idle)
        };
        let again = self.attempts.iter().enumerate().find_map(|(first, attempt)| {
            let mut later = self.attempts.iter().skip(first + 1);
            let next = later.position(|later| same(&later.stand, &attempt.stand))?;
            Some((first, first + 1 + next))
        });
        let Some((first, next)) = again else { return false };
        self.attempts[next].stand.sent = self.attempts[first].stand.sent;
        self.attempts.remove(first);
        true
    }

    fn note_idleness(&mut self, brisk: bool, now: Time) {
        if brisk {
            self.idle_since = None;
        } else if self.idle_since.is_none() {
            self.idle_since = Some(now);
        }
    }

    fn wants_idle(&self, now: Time, timing: &Timing) -> bool {
        self.idle_since.is_some_and(|since| now.since(since) >= timing.idle_after)
    }

    /// When the next renewal is due: at once if the stated duration is the idle one and the brisk one is needed.
    fn renewal_due(&self, brisk: bool, timing: &Timing) -> Time {
        let State::Begun(begun) = &self.state else { return self.sent + timing.renew };
        match begun.stand.source {
            _ if !begun.confirmed || (begun.stand.idle && brisk) => self.rest_until,
            Source::Witness(_) => self.sent + timing.idle_duration / 2,
            _ if begun.stand.idle => self.sent + timing.idle_duration / 3,
            _ => self.sent + timing.renew,
        }
    }

    /// When [`Life::decide`] or [`Life::lapse`] has something to do without any event.
    pub(super) fn wakes(&self, timing: &Timing) -> impl Iterator<Item = Time> {
        let mut wakes = Vec::new();
        if self.flight.is_none() {
            wakes.push(match &self.state {
                State::Begun(_) => self.renewal_due(self.idle_since.is_none(), timing).max(self.rest_until),
                State::Waking | State::Ended => self.rest_until,
            });
        }
        if let State::Begun(begun) = &self.state {
            wakes.extend(self.lapses_at(timing));
            wakes.push(self.until(begun, timing));
            wakes.extend(self.steps.wakes(&begun.stand, &self.promises, timing));
            wakes.extend(self.promises.wakes(timing));
        }
        wakes.into_iter()
    }
}
