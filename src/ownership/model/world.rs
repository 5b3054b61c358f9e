//! A state of the world: what everyone knows, what is under way, and which faults are left.

use std::hash::Hash;
use std::rc::Rc;
use std::time::Duration;

use super::super::event::{Action, Event, Want};
use super::super::machine::Machine;
use super::super::rule::{Rule, dropped};
use super::super::sim::api::Api;
use super::super::sim::network::Request;
use super::super::sim::placement::{Spec, Specs};
use super::super::sim::{address, key, node_name};
use super::super::source::Mode;
use super::super::time::Time;
use super::super::timing::{Fence, Timing};
use super::fingerprint::{Fingerprint, INCARNATION, TIME, VERSION};
use super::node::{Hand, Node, Op, Process, Sent};
use super::plot::Plot;
use super::post::Letter;

/// A tick of the world, in nanoseconds.
pub(super) const TICK: u64 = 500_000_000;
/// From so many requests of one node on, one that was given up, or is a former life's, is lost.
const MOST_SENT: usize = 4;

/// How often each fault may happen in one run, and how many in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Faults {
    pub(super) all: u8,
    /// A request that takes effect late or never, or an answer that comes late or never.
    pub(super) late: u8,
    /// A process that sleeps, or a call to the kernel that takes long.
    pub(super) pauses: u8,
    /// A watch that delivers late.
    pub(super) stalls: u8,
    /// A node cut off from the API server.
    pub(super) cuts: u8,
    /// A process that is killed.
    pub(super) crashes: u8,
    /// A node that loses its power.
    pub(super) power: u8,
    /// A change of the user's mind where the address should be.
    pub(super) preferred: u8,
    /// An agent that is asked to stop.
    pub(super) leaves: u8,
    /// A `VirtualIP` that is deleted, or made again.
    pub(super) deleted: u8,
    /// A node Lease that somebody deletes by hand.
    pub(super) meddled: u8,
    /// A message that is late or gets lost.
    pub(super) post: u8,
    /// A node cut off from the other agents.
    pub(super) deaf: u8,
    /// Two agents that do not hear each other.
    pub(super) parted: u8,
    /// An API server that does nothing for a while.
    pub(super) outages: u8,
    /// A node that users put on standby, or take off it: in plots only.
    pub(super) standby: u8,
}

/// What is the same in all states of one search.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) timing: Timing,
    /// What each clock advances in a tick, in nanoseconds.
    pub(super) rates: Vec<u64>,
    pub(super) fence: Fence,
    /// Whether no fault that is left is to cost the address for a moment.
    pub(super) unbroken: bool,
    /// The only node that may be struck by what strikes one node, where not all.
    pub(super) victim: Option<usize>,
    /// Whether what strikes a node strikes it only when nothing else is to be done at that tick.
    pub(super) coarse: bool,
}

impl Setting {
    /// Nodes whose clocks run at these rates, in percent.
    pub(super) fn new(percent: &[u64]) -> Self {
        let timing = Timing {
            duration: ticks(6),
            renew: nearly(1),
            idle_duration: ticks(6),
            idle_after: Duration::from_secs(1 << 30),
            grace: nearly(1),
            turn: nearly(1),
            offer: nearly(2),
            retry: nearly(1),
            source: Mode::Lease,
            period: ticks(6),
            ask: ticks(2),
        };
        let rates = percent.iter().map(|percent| TICK / 100 * percent).collect();
        Self { timing, rates, fence: Fence::Lifetimes, unbroken: false, victim: None, coarse: false }
    }

    /// The same nodes behind an exact fence.
    pub(super) fn exact(self) -> Self {
        Self { fence: Fence::Exact, ..self }
    }

    /// The same nodes, each struck only between ticks.
    pub(super) fn coarse(self) -> Self {
        Self { coarse: true, ..self }
    }

    /// The same nodes, which live on promises as soon as they can.
    pub(super) fn with_witnesses(self, source: Mode) -> Self {
        let period = ticks(3);
        // Both halves of the witnesses have their turn in every tick.
        let timing = Timing { source, period, ask: nearly(1) / 2, renew: nearly(2), ..self.timing };
        Self { timing, ..self.exact() }
    }

    /// The same nodes, whose witnesses take turns from tick to tick.
    pub(super) fn in_turns(self) -> Self {
        Self { timing: Timing { period: ticks(4), ask: nearly(1), ..self.timing }, ..self }
    }

    /// Whether agents talk to each other.
    pub(super) fn talks(&self) -> bool {
        self.timing.source != Mode::Lease
    }
}

fn ticks(count: u64) -> Duration {
    Duration::from_nanos(count * TICK)
}

/// A little less, so that what is due after one tick is due on a slow clock too.
fn nearly(count: u64) -> Duration {
    ticks(count).saturating_sub(Duration::from_millis(50))
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) setting: Rc<Setting>,
    /// Ticks since the beginning.
    pub(super) now: u64,
    pub(super) api: Rc<Api>,
    pub(super) nodes: Vec<Rc<Node>>,
    pub(super) specs: Rc<Specs>,
    /// Messages on their way.
    pub(super) letters: Vec<Letter>,
    /// Two agents that do not hear each other.
    pub(super) parted: Option<(usize, usize)>,
    /// The API server does nothing.
    pub(super) away: bool,
    pub(super) faults: Faults,
    incarnations: u64,
    /// What happens, and in which order, where that is given.
    pub(super) plot: Option<Plot>,
    /// Readable, when asked for.
    pub(super) story: Option<Vec<String>>,
    pub(super) failure: Option<String>,
}

impl World {
    /// Nodes that are off, and a `VirtualIP` that nobody has.
    pub(super) fn new(setting: Setting, faults: Faults) -> Self {
        let spec = Spec { addresses: [address(1)].into(), created: 1, deleted: false, prefer: None };
        let specs = Specs { vips: [(key(0), spec)].into(), ..Specs::default() };
        Self {
            now: 0,
            api: Rc::new(Api { revision: VERSION, ..Api::default() }),
            nodes: setting.rates.iter().map(|_| Rc::new(Node::off())).collect(),
            setting: Rc::new(setting),
            specs: Rc::new(specs),
            letters: Vec::new(),
            parted: None,
            away: false,
            faults,
            incarnations: INCARNATION,
            plot: None,
            story: None,
            failure: None,
        }
    }

    pub(super) fn node(&mut self, node: usize) -> &mut Node {
        Rc::make_mut(&mut self.nodes[node])
    }

    pub(super) fn process(&mut self, node: usize) -> &mut Process {
        self.node(node).process.as_mut().unwrap()
    }

    /// What the clock of a node shows.
    pub(super) fn clock(&self, node: usize) -> Time {
        Time(TIME + self.now * self.setting.rates[node])
    }

    pub(super) fn say(&mut self, text: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(format!("{:>4}  {}", self.now, text()));
        }
    }

    pub(super) fn fail(&mut self, text: String) {
        self.failure.get_or_insert(text);
    }

    /// What has been said, and how it ended.
    pub(super) fn told(self) -> String {
        let mut lines = self.story.unwrap_or_default();
        lines.extend(self.failure.map(|failure| format!("      {failure}")));
        lines.join("\n")
    }

    pub(super) fn fingerprint(&self, print: &mut Fingerprint) -> u64 {
        self.faults.hash(print);
        self.plot.as_ref().map(|plot| plot.place(self.now)).hash(print);
        self.api.nodes.hash(print);
        self.api.titles.hash(print);
        (&self.specs, self.parted, self.away).hash(print);
        for (index, node) in self.nodes.iter().enumerate() {
            print.clock = self.clock(index).0;
            node.digest(self.clock(index), print);
        }
        self.digest_letters(print);
        print.take()
    }

    /// The nodes that answer.
    pub(super) fn owners(&self) -> Vec<usize> {
        let open = |node: usize| {
            self.setting.fence == Fence::Lifetimes || self.clock(node) < self.nodes[node].deadline
        };
        (0..self.nodes.len()).filter(|node| self.nodes[*node].up.is_some() && open(*node)).collect()
    }

    /// Looks whether a promise is broken.
    pub(super) fn judge(&mut self) {
        let owners = self.owners();
        if let [one, other, ..] = owners[..] {
            self.fail(format!("two owners: {} and {}", node_name(one), node_name(other)));
        }
        if let ([one], true) = (&owners[..], self.api.titles.is_empty()) {
            self.fail(format!("{} answers although the Lease of the address is gone", node_name(*one)));
        }
        if owners.is_empty() && self.setting.unbroken {
            self.fail("nobody answers".into());
        }
    }

    /// Whether everything is as users want it.
    pub(super) fn in_order(&self) -> bool {
        let deleted = self.specs.vips[&key(0)].deleted;
        if deleted {
            self.api.titles.is_empty() && self.owners().is_empty()
        } else {
            self.owners().len() == 1
        }
    }

    /// Lets everything happen that heals, one thing after the other, until nothing is left to be done at this tick.
    pub(super) fn settle(&mut self) {
        let mut moves = Vec::new();
        loop {
            self.moves(&mut moves);
            let next = moves.iter().find(|way| way.good() && **way != super::moves::Move::Advance);
            let Some(next) = next else { return };
            self.make(*next);
        }
    }

    /// A world in which one node has had the address for a while.
    pub(super) fn owned(setting: Setting, faults: Faults) -> Self {
        // Until it is there nobody has it.
        let unbroken = setting.unbroken;
        let mut world = Self::new(Setting { unbroken: false, ..setting }, Faults::default());
        let ticks = if world.setting.talks() { 30 } else { 8 };
        for _ in 0..ticks {
            world.settle();
            world.make(super::moves::Move::Advance);
        }
        world.settle();
        let source = world.setting.timing.source;
        assert!(world.api.nodes.values().all(|lease| lease.source.mode() == source), "{:?}", world.api.nodes);
        Rc::make_mut(&mut world.setting).unbroken = unbroken;
        world.faults = faults;
        world.judge();
        world
    }

    /// The same world, in which only the owner is struck.
    pub(super) fn striking_the_owner(self) -> Self {
        self.striking_behind_the_owner(0)
    }

    /// The same world, in which only the node is struck that comes so many places after the owner.
    pub(super) fn striking_behind_the_owner(mut self, places: usize) -> Self {
        let owner = self.owners().first().copied();
        Rc::make_mut(&mut self.setting).victim = owner.map(|owner| (owner + places) % self.nodes.len());
        self
    }

    /// Starts the agent of a node.
    pub(super) fn start(&mut self, index: usize) {
        self.incarnations += 1;
        let (incarnation, specs) = (self.incarnations, self.specs.clone());
        let machine = Machine::new(node_name(index), self.setting.timing.clone(), incarnation);
        let node = self.node(index);
        node.process = Some(Process {
            incarnation,
            machine,
            listed: false,
            watch: [].into(),
            calls: [].into(),
            hand: Hand::Free,
            up: false,
            specs,
            want: None,
            bound: false,
            leaving: false,
            done: false,
        });
        node.ticked = true;
        node.vanished = false;
        self.introduce(index);
        self.send(index, Request::List);
    }

    /// Ends the process of a node; what it sent may still arrive.
    pub(super) fn kill(&mut self, index: usize) {
        let node = self.node(index);
        if let Some(Process { hand: Hand::Checked(Op::Set(true) | Op::Extend, lifetime), .. }) = &node.process
            && dropped(Rule::HostLock)
        {
            node.stray = Some(*lifetime);
        }
        node.process = None;
        node.paused = false;
        node.stalled = false;
        node.ticked = true;
        node.vanished = false;
        for sent in &mut node.sent {
            sent.late = true;
        }
        self.letters.retain(|letter| letter.to != index);
        self.bury_requests();
    }

    /// One event, what the machine wants done, and what placement wants after it.
    pub(super) fn give(&mut self, index: usize, event: Event) {
        self.feed(index, event);
        let Some(process) = &self.nodes[index].process else { return };
        if !process.listed {
            return;
        }
        let want = process.specs.want(&key(0), &node_name(index), &process.machine, process.leaving);
        if process.want.as_ref() != Some(&want) {
            self.process(index).want = Some(want.clone());
            self.feed(index, Event::Wanted { key: key(0), want });
        }
        let process = self.process(index);
        let stays = matches!(process.want, Some(Want::Hold { .. }));
        if process.done {
            self.say(|| format!("{} has left and ends", node_name(index)));
            self.kill(index);
        } else if process.leaving && stays && process.machine.owns_only(|_| true) {
            self.say(|| format!("{} ends, and leaves the address to its next agent", node_name(index)));
            self.kill(index);
        }
    }

    pub(super) fn feed(&mut self, index: usize, event: Event) {
        let clock = self.clock(index);
        let process = self.process(index);
        let actions = process.machine.step(event, clock);
        let right = process.machine.right(clock);
        // As long as this life had no right the fence stays as the former one left it.
        if std::mem::replace(&mut process.bound, right.is_some()) || right.is_some() {
            self.node(index).deadline = right.unwrap_or_default();
        }
        for action in actions {
            self.perform(index, action);
        }
    }

    fn perform(&mut self, index: usize, action: Action) {
        self.tell_action(index, &action);
        match action {
            Action::WriteNode(write) => self.send(index, Request::WriteNode(write)),
            Action::WriteTitle(write) => self.send(index, Request::WriteTitle(write)),
            Action::ReadNode(name) => self.send(index, Request::ReadNode(name)),
            Action::ReadTitle(key) => self.send(index, Request::ReadTitle(key)),
            // There is no other VirtualIP: nobody else lists the address.
            Action::Check { key, version, .. } => {
                self.feed(index, Event::Checked { key, version, taken: Some([].into()) });
            }
            Action::Set { addresses, .. } => {
                self.process(index).calls.push_back(Op::Set(!addresses.is_empty()));
            }
            Action::Extend(_) => {
                let process = self.process(index);
                if process.up && process.calls.back() != Some(&Op::Extend) {
                    process.calls.push_back(Op::Extend);
                }
            }
            Action::Send { to, message } => self.post(index, &to, message),
            Action::Began(_) | Action::Ended(_) => {}
            Action::Done => self.process(index).done = true,
        }
    }

    fn send(&mut self, index: usize, request: Request) {
        let away = self.away;
        let node = self.node(index);
        let Some(incarnation) = node.process.as_ref().map(|process| process.incarnation) else { return };
        let late = node.cut;
        let most = if away { 2 } else { MOST_SENT };
        let same =
            |sent: &Sent| sent.incarnation == incarnation && sent.answer.is_none() && sent.request == request;
        if matches!(request, Request::ReadNode(_) | Request::ReadTitle(_)) && node.sent.iter().any(same) {
            return;
        }
        if node.sent.len() >= most {
            let done = node.sent.iter().position(|sent| sent.told || sent.incarnation != incarnation);
            done.map(|done| node.sent.remove(done));
        }
        node.sent.push(Sent { request, incarnation, late, told: false, answer: None });
    }
}
