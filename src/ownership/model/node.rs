//! One node of the model: its kernel, the process that runs the machine, and what it has sent.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::time::Duration;

use super::super::event::{Event, Want};
use super::super::machine::Machine;
use super::super::sim::api::Change;
use super::super::sim::network::Request;
use super::super::sim::placement::Specs;
use super::super::time::Time;

/// A call to the kernel that waits for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Op {
    /// Bring the address up, or take it down.
    Set(bool),
    Extend,
}

/// How far the call to the kernel has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Hand {
    Free,
    /// The clock was looked at; the call is still to be made.
    Checked(Op, Duration),
    /// The call was made; the clock is to be looked at once more.
    Made(Op, bool, Duration),
}

/// A request on its way, or its answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sent {
    pub(super) request: Request,
    pub(super) incarnation: u64,
    /// It may take as long as it likes.
    pub(super) late: bool,
    /// The agent was told that the outcome is unknown.
    pub(super) told: bool,
    /// It took effect, and this is the answer.
    pub(super) answer: Option<Event>,
}

/// One life of the agent.
#[derive(Clone)]
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
pub(super) struct Process {
    pub(super) incarnation: u64,
    pub(super) machine: Machine,
    pub(super) listed: bool,
    /// What the watch has still to deliver.
    pub(super) watch: VecDeque<Rc<Change>>,
    pub(super) calls: VecDeque<Op>,
    pub(super) hand: Hand,
    /// Whether the hand believes that the address is up.
    pub(super) up: bool,
    pub(super) specs: Rc<Specs>,
    pub(super) want: Option<Want>,
    /// Whether it has told the fence of a right.
    pub(super) bound: bool,
    pub(super) leaving: bool,
    pub(super) done: bool,
}

/// An address in the kernel, and after how many ticks it goes: at the earliest, and at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Up {
    pub(super) earliest: u32,
    pub(super) latest: u32,
}

impl Up {
    /// Behind an exact fence the lifetime is only the cleaner.
    pub(super) const FOR_EVER: Self = Self { earliest: u32::MAX, latest: u32::MAX };
}

#[derive(Clone)]
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
pub(super) struct Node {
    pub(super) process: Option<Process>,
    pub(super) up: Option<Up>,
    /// What the fence was told last, where it is exact: nothing is answered from then on.
    pub(super) deadline: Time,
    /// The kernel lost the address and the process has not heard of it.
    pub(super) vanished: bool,
    /// A call of a former life that may still be made: only where the host lock is dropped.
    pub(super) stray: Option<Duration>,
    pub(super) sent: Vec<Sent>,
    pub(super) ticked: bool,
    pub(super) paused: bool,
    pub(super) stalled: bool,
    /// Cut off from the API server.
    pub(super) cut: bool,
    /// Cut off from the other agents.
    pub(super) deaf: bool,
}

impl Node {
    pub(super) fn off() -> Self {
        Self {
            process: None,
            up: None,
            deadline: Time::default(),
            vanished: false,
            stray: None,
            sent: Vec::new(),
            ticked: true,
            paused: false,
            stalled: false,
            cut: false,
            deaf: false,
        }
    }

    /// The process, if it runs.
    pub(super) fn running(&self) -> Option<&Process> {
        self.process.as_ref().filter(|_| !self.paused)
    }

    /// Whether a call to the kernel has been begun and takes long.
    pub(super) fn slow(&self) -> bool {
        self.process.as_ref().is_some_and(|process| matches!(process.hand, Hand::Checked(..)))
    }

    /// Whether the watches deliver.
    pub(super) fn hears(&self) -> bool {
        !self.paused && !self.stalled && !self.cut
    }

    pub(super) fn digest(&self, clock: Time, state: &mut impl Hasher) {
        let flags = [self.vanished, self.ticked, self.paused, self.stalled, self.cut, self.deaf];
        let deadline = Some(self.deadline).filter(|deadline| clock < *deadline);
        (self.up, flags, self.stray, deadline).hash(state);
        for sent in &self.sent {
            let alive = self.process.as_ref().is_some_and(|process| process.incarnation == sent.incarnation);
            (alive, sent.late, sent.told).hash(state);
            (&sent.request, &sent.answer).hash(state);
        }
        let Some(process) = &self.process else { return state.write_u8(0) };
        (process.listed, process.up, process.leaving, process.bound, process.hand).hash(state);
        (&process.machine, &process.watch, &process.calls, &process.want).hash(state);
        process.specs.hash(state);
    }
}
