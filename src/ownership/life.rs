//! The node's own life: epochs and the right that renewals give (rules 1 to 3).

use std::time::Duration;

use super::event::{Action, Answer, NodeWrite};
use super::lease::{Epoch, Expect, NodeLease, NodeName, Nonce, Version};
use super::source::Source;
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
    /// When it is over, if nothing renews it.
    until: Time,
    /// Whether a write of this process confirmed it. An epoch of a former life gives no right before that.
    confirmed: bool,
    /// Whether the latest confirmed version states the idle duration: no right then.
    idle: bool,
    /// Whether a former life began it.
    continued: bool,
}

/// A write whose fate is not known yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Attempt {
    nonce: Nonce,
    /// Read before the request left: the right counts from here.
    sent: Time,
    begins: bool,
    idle: bool,
}

/// The own node Lease and what follows from it.
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
}

/// A write to the own Lease.
#[derive(Clone, Copy)]
struct Write {
    expect: Expect,
    number: i32,
    open: bool,
    idle: bool,
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
    pub(super) fn new(me: NodeName) -> Self {
        Self {
            me,
            known: Known::Unknown,
            state: State::Waking,
            attempts: Vec::new(),
            flight: None,
            sent: Time::default(),
            rest_until: Time::default(),
            idle_since: None,
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
    pub(super) fn right(&self, now: Time) -> Option<(&Epoch, Time)> {
        match &self.state {
            State::Begun(begun) if begun.confirmed && now < begun.until && !self.idles(begun) => {
                Some((&begun.epoch, begun.until))
            }
            _ => None,
        }
    }

    /// While a write with the idle duration may be in effect there is no right, whatever came before (rule 15).
    fn idles(&self, begun: &Begun) -> bool {
        begun.idle || self.attempts.iter().any(|attempt| attempt.idle)
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
    pub(super) fn lapse(&mut self, now: Time, out: &mut Vec<Action>) -> bool {
        let lapsed = matches!(&self.state, State::Begun(begun) if now >= begun.until);
        if lapsed {
            self.end(out);
        }
        lapsed
    }

    /// Ends the epoch at once, for ever.
    pub(super) fn end(&mut self, out: &mut Vec<Action>) {
        self.attempts.clear();
        self.rest_until = Time::default();
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
                until: now + timing.duration,
                confirmed: false,
                idle: false,
                continued: true,
            }),
            _ => State::Ended,
        };
    }

    /// Takes in a version of the own Lease.
    pub(super) fn observe(
        &mut self,
        version: Version,
        lease: Option<NodeLease>,
        timing: &Timing,
        out: &mut Vec<Action>,
    ) {
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
            Some(lease) if lease.open => self.renewed(lease, timing, out),
            _ if matches!(self.state, State::Begun(_)) => self.end(out),
            _ => {}
        }
        self.known = lease.map_or(Known::Absent(version), Known::Present);
    }

    /// The Lease is open. The right counts from the sending of the very write that made this version, known by
    /// its nonce, and of no other (rule 2).
    fn renewed(&mut self, lease: &NodeLease, timing: &Timing, out: &mut Vec<Action>) {
        let attempt = self.attempts.iter().find(|attempt| attempt.nonce == lease.nonce).cloned();
        if let State::Begun(begun) = &mut self.state
            && begun.epoch != lease.epoch
        {
            return self.end(out);
        }
        let Some(attempt) = attempt else { return };
        // Every earlier write expected a version that is gone: it can never take effect.
        self.attempts.retain(|other| other.nonce > attempt.nonce);
        let until = attempt.sent + timing.right_of(lease.duration);
        match &mut self.state {
            State::Begun(begun) => {
                begun.until = until;
                begun.confirmed = true;
                begun.idle = attempt.idle;
            }
            State::Ended if attempt.begins => {
                let epoch = lease.epoch.clone();
                out.push(Action::Began(epoch.clone()));
                self.state =
                    State::Begun(Begun { epoch, until, confirmed: true, idle: false, continued: false });
            }
            State::Ended | State::Waking => return,
        }
        if !attempt.idle {
            out.push(Action::Extend(until));
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
            Answer::Written(version, lease) => self.observe(version, lease, timing, out),
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

    /// Decides on the next write.
    pub(super) fn decide(
        &mut self,
        needs: &Needs,
        now: Time,
        timing: &Timing,
        nonces: &mut Nonces,
        out: &mut Vec<Action>,
    ) {
        self.note_idleness(needs.brisk, now);
        if self.flight.is_some() || now < self.rest_until {
            return;
        }
        let due = self.renewal_due(needs.brisk, timing);
        let (expect, number) = match &self.known {
            Known::Unknown => {
                self.rest_until = now + timing.duration;
                return out.push(Action::ReadNode(self.me.clone()));
            }
            Known::Absent(_) => (Expect::Absent, 0),
            Known::Present(lease) => (Expect::At(lease.version), lease.epoch.number),
        };
        let known_open = matches!(&self.known, Known::Present(lease) if lease.open);
        match &self.state {
            _ if needs.close && known_open => {
                // Once this is sent the epoch may be dead at any moment: nothing may be answered for in it.
                self.end(out);
                let write = Write { expect, number, open: false, idle: false };
                self.send(write, now, timing, nonces, out);
            }
            State::Ended if needs.silent && !needs.leaving => {
                // A Lease that was just created gives no right: it is created closed, and begun by a second write.
                let begins = expect != Expect::Absent;
                let number = if begins { number.wrapping_add(1) } else { number };
                let write = Write { expect, number, open: begins, idle: false };
                self.send(write, now, timing, nonces, out);
            }
            State::Begun(_) if now >= due => {
                let idle = self.wants_idle(now, timing);
                let write = Write { expect, number, open: true, idle };
                self.send(write, now, timing, nonces, out);
            }
            _ => {}
        }
    }

    fn send(&mut self, write: Write, now: Time, timing: &Timing, nonces: &mut Nonces, out: &mut Vec<Action>) {
        let Write { expect, number, open, idle } = write;
        let nonce = nonces.draw();
        let begins = open && self.state == State::Ended;
        if begins {
            // Starting another begin ends the one before: its late answer is worth nothing (rule 1).
            self.attempts.clear();
        }
        if open {
            self.attempts.push(Attempt { nonce, sent: now, begins, idle });
        }
        self.flight = Some(nonce);
        self.sent = now;
        let duration = if idle { timing.idle_duration } else { timing.duration };
        out.push(Action::WriteNode(NodeWrite {
            node: self.me.clone(),
            expect,
            number,
            open,
            duration,
            source: Source::Lease,
            nonce,
        }));
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
        match &self.state {
            State::Begun(begun) if !begun.confirmed => self.rest_until,
            State::Begun(begun) if begun.idle && brisk => self.rest_until,
            State::Begun(begun) if begun.idle => self.sent + idle_renew(timing),
            _ => self.sent + timing.renew,
        }
    }

    /// When [`Life::decide`] or [`Life::lapse`] has something to do without any event.
    pub(super) fn wakes(&self, timing: &Timing) -> impl Iterator<Item = Time> {
        let act = match &self.state {
            State::Begun(_) => self.renewal_due(self.idle_since.is_none(), timing).max(self.rest_until),
            State::Waking | State::Ended => self.rest_until,
        };
        let until = match &self.state {
            State::Begun(begun) => Some(begun.until),
            State::Waking | State::Ended => None,
        };
        until.into_iter().chain(self.flight.is_none().then_some(act))
    }
}

fn idle_renew(timing: &Timing) -> Duration {
    timing.idle_duration / 3
}
