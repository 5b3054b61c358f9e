//! One node: its clock, its kernel, and the process that runs the machine.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use super::super::event::Want;
use super::super::lease::{Epoch, Key, NodeName};
use super::super::machine::Machine;
use super::super::time::Time;
use super::kernel::Kernel;
use super::placement::{Live, Plan};
use super::{Instant, SECOND, node_name};

const MILLION: u128 = 1_000_000;
/// What a clock shows at boot: 20 s of firmware and kernel.
const BOOT: u64 = 20 * SECOND;

/// A call to the kernel that waits for its turn.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Set { key: Key, addresses: BTreeSet<IpAddr> },
    Extend,
}

/// A call that was made, to be looked at once more.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) op: Op,
    /// What was added or extended.
    pub(super) put: BTreeMap<IpAddr, Key>,
    pub(super) lifetime: Duration,
}

/// One life of the agent.
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
pub(super) struct Process {
    pub(super) incarnation: u64,
    pub(super) machine: Machine,
    /// The armed tick; earlier ones are void.
    pub(super) tick: u64,
    /// Ticks in a row at one moment.
    pub(super) spins: u32,
    pub(super) listed: bool,
    /// How often it asked for a list.
    pub(super) lists: u64,
    /// The next entry of the API server's log that the watch delivers.
    pub(super) cursor: usize,
    /// When the watch delivers the last entry that is on its way.
    pub(super) watched: Instant,
    pub(super) calls: VecDeque<Op>,
    pub(super) calling: bool,
    /// What the process believes that the kernel has.
    pub(super) up: BTreeMap<IpAddr, Key>,
    pub(super) plan: Rc<Plan>,
    /// The nodes that it planned with.
    pub(super) live: Live,
    /// The epoch that it planned in.
    pub(super) epoch: Option<Epoch>,
    /// Whether all plans are to be made again.
    pub(super) stale: bool,
    /// When it made them last.
    pub(super) planned: Instant,
    /// Whether it will make them again in a moment.
    pub(super) plans: bool,
    pub(super) wants: BTreeMap<Key, Want>,
    pub(super) leaving: bool,
    /// The end of its right as its hand and the fence were told last.
    pub(super) deadline: Option<Time>,
}

impl Process {
    /// Whether it has waited for the last of so many lists, and has none.
    pub(super) fn lists_in_vain(&self, lists: u64) -> bool {
        !self.listed && self.lists == lists
    }

    /// The end of the right that its hand acts under.
    pub(super) fn right(&self, clock: Time) -> Option<Time> {
        self.deadline.filter(|until| clock < *until)
    }
}

pub(super) struct Node {
    pub(super) name: NodeName,
    /// Ticks of its clock in a million of the world's.
    pub(super) rate: u64,
    booted: Instant,
    pub(super) off: bool,
    pub(super) kernel: Kernel,
    pub(super) process: Option<Process>,
    pub(super) paused_until: Instant,
    pub(super) cut_until: Instant,
    pub(super) stalled_until: Instant,
}

impl Node {
    pub(super) fn new(index: usize, rate: u64) -> Self {
        Self {
            name: node_name(index),
            rate,
            booted: 0,
            off: true,
            kernel: Kernel::default(),
            process: None,
            paused_until: 0,
            cut_until: 0,
            stalled_until: 0,
        }
    }

    pub(super) fn boot(&mut self, now: Instant) {
        self.off = false;
        self.booted = now;
        self.kernel.boot();
    }

    pub(super) fn start(&mut self, machine: Machine, incarnation: u64, plan: Rc<Plan>) {
        self.process = Some(Process {
            incarnation,
            machine,
            tick: 0,
            spins: 0,
            listed: false,
            lists: 0,
            cursor: 0,
            watched: 0,
            calls: VecDeque::new(),
            calling: false,
            up: BTreeMap::new(),
            plan,
            live: Live::default(),
            epoch: None,
            stale: true,
            planned: 0,
            plans: false,
            wants: BTreeMap::new(),
            leaving: false,
            deadline: None,
        });
    }

    /// What its clock shows.
    pub(super) fn clock(&self, now: Instant) -> Time {
        let passed = u128::from(now - self.booted) * u128::from(self.rate) / MILLION;
        Time(BOOT + u64::try_from(passed).unwrap())
    }

    /// The first moment at which its clock shows `time` or later.
    pub(super) fn moment(&self, time: Time) -> Instant {
        self.booted + self.span(time.0.saturating_sub(BOOT))
    }

    /// A span of its clock in the world's time.
    pub(super) fn span(&self, nanos: u64) -> u64 {
        u64::try_from((u128::from(nanos) * MILLION).div_ceil(u128::from(self.rate))).unwrap()
    }

    pub(super) fn answers(&self, address: IpAddr, now: Instant) -> bool {
        self.kernel.answers(address, self.clock(now))
    }

    pub(super) fn reachable_at(&self) -> Instant {
        self.cut_until.max(self.stalled_until)
    }
}
