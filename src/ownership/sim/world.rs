//! The world: virtual time, what happens in it, and the judge.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;

use super::super::event::Event;
use super::super::message::Message;
use super::super::time::Time;
use super::super::timing::Timing;
use super::api::{Api, Change};
use super::census::Census;
use super::network::{Request, Weather};
use super::node::{Made, Node, Process};
use super::outage::Outage;
use super::placement::Plan;
use super::post::{Currents, Silence};
use super::rng::Rng;
use super::traffic::Traffic;
use super::{Instant, MILLI, SECOND, address, key, seconds};

/// A process: its node and its incarnation.
pub(super) type Proc = (usize, u64);

/// What happens next.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    /// A request reaches the API server; its answer arrives after this time, if at all.
    Arrive(Proc, Request, Option<Instant>),
    /// A request waits for an API server that hangs.
    Hang(Proc, Request),
    Give(Proc, Event),
    /// A message reaches a node.
    Deliver {
        from: usize,
        to: usize,
        message: Message,
    },
    Listed(Proc, Vec<Change>, usize),
    /// The last of so many lists was not answered.
    ListAgain(Proc, u64),
    Tick(Proc, u64),
    Watch(Proc),
    Call(Proc),
    Look(Proc, Made),
    Expire(usize, IpAddr, u64),
    /// A node learns what users wrote.
    Specs(Proc),
    /// A node plans with what has happened meanwhile.
    Plan(Proc),
    Abandon(Proc),
    Start(usize),
    Fault,
    Census,
    /// A watch that broke lists again; so many times in a row that failed.
    Relist(Proc, u32),
}

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) sequence: u64,
    queue: BTreeMap<(Instant, u64), Happening>,
    pub(super) rng: Rng,
    pub(super) timing: Timing,
    pub(super) api: Api,
    /// Whom watches tell of an entry of the log, where that is not everybody.
    pub(super) told: BTreeMap<usize, BTreeSet<usize>>,
    /// So many entries of the log are on their way.
    pub(super) published: usize,
    /// Whom watches told of the last version of each node's Lease, where that is not everybody.
    pub(super) audience: BTreeMap<usize, Option<BTreeSet<usize>>>,
    pub(super) traffic: Traffic,
    /// Where the log ended at some moments.
    pub(super) ends: VecDeque<(Instant, usize)>,
    /// Kept where there are many `VirtualIP`s.
    pub(super) census: Option<Census>,
    pub(super) nodes: Vec<Node>,
    pub(super) plan: Rc<Plan>,
    pub(super) weather: Weather,
    pub(super) outage: Outage,
    /// Whether agents can send messages to each other.
    pub(super) talk: bool,
    pub(super) currents: Currents,
    pub(super) silence: Silence,
    /// Sent so far.
    pub(super) messages: u64,
    pub(super) incarnations: u64,
    /// Processes that said `Done`.
    pub(super) done: Vec<Proc>,
    pub(super) faulty: bool,
    /// So many happened.
    pub(super) faults: u64,
    /// Readable, when asked for.
    pub(super) trace: Option<Vec<String>>,
    pub(super) failure: Option<String>,
}

impl World {
    pub(super) fn new(seed: u64, nodes: usize, timing: Timing) -> Self {
        let mut rng = Rng(seed);
        // Rates up to 4 % apart.
        let nodes = (0..nodes).map(|index| Node::new(index, rng.between(980_000, 1_020_000))).collect();
        Self {
            now: 0,
            sequence: 0,
            queue: BTreeMap::new(),
            rng,
            timing,
            api: Api::default(),
            told: BTreeMap::new(),
            published: 0,
            audience: BTreeMap::new(),
            traffic: Traffic::default(),
            ends: VecDeque::new(),
            census: None,
            nodes,
            plan: Rc::default(),
            weather: Weather::default(),
            outage: Outage::default(),
            talk: false,
            currents: Currents::default(),
            silence: Silence::default(),
            messages: 0,
            incarnations: 0,
            done: Vec::new(),
            faulty: false,
            faults: 0,
            trace: None,
            failure: None,
        }
    }

    /// The same world with `vip0`, which has one address, and every agent started; what happens is written down.
    pub(super) fn begun(mut self) -> Self {
        self.trace = Some(Vec::new());
        self.create(key(0), [address(1)]);
        (0..self.nodes.len()).for_each(|node| self.start(node));
        self
    }

    /// A world in which agents talk, and every kernel has an exact fence.
    pub(super) fn talking(seed: u64, nodes: usize, timing: Timing) -> Self {
        let mut world = Self { talk: true, ..Self::new(seed, nodes, timing) };
        world.nodes.iter_mut().for_each(|node| node.kernel.fence = Some(Time::default()));
        world
    }

    pub(super) fn at(&mut self, at: Instant, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at.max(self.now), self.sequence), happening);
    }

    pub(super) fn after(&mut self, span: u64, happening: Happening) {
        self.at(self.now + span, happening);
    }

    pub(super) fn say(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:9.4} {}", seconds(self.now), brief(&text())));
        }
    }

    pub(super) fn fail(&mut self, text: String) {
        self.say(|| format!("FAILED: {text}"));
        self.failure.get_or_insert(text);
    }

    /// Lets time pass until `end` or a failure.
    pub(super) fn run(&mut self, end: Instant) {
        while self.failure.is_none() {
            let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= end) else { break };
            let ((at, _), happening) = entry.remove_entry();
            self.now = at;
            self.happen(happening);
        }
        self.now = self.now.max(end);
    }

    /// Lets time pass until `done` holds, and fails if it does not within `span`.
    pub(super) fn until(&mut self, span: u64, what: &str, done: impl Fn(&Self) -> bool) {
        let end = self.now + span;
        while self.failure.is_none() && !done(self) {
            if self.now >= end {
                return self.fail(format!("not within {} s: {what}", span / SECOND));
            }
            self.run(self.now + MILLI);
        }
    }

    fn happen(&mut self, happening: Happening) {
        let to = match &happening {
            Happening::Give(to, _)
            | Happening::Listed(to, ..)
            | Happening::ListAgain(to, _)
            | Happening::Tick(to, _)
            | Happening::Watch(to)
            | Happening::Call(to)
            | Happening::Look(to, _)
            | Happening::Specs(to)
            | Happening::Plan(to)
            | Happening::Relist(to, _)
            | Happening::Abandon(to) => *to,
            Happening::Arrive(from, request, answer) => return self.arrive(*from, request.clone(), *answer),
            Happening::Hang(from, request) => return self.awake(*from, request.clone()),
            Happening::Deliver { from, to, message } => return self.deliver(*from, *to, message.clone()),
            Happening::Expire(node, address, generation) => return self.expire(*node, *address, *generation),
            Happening::Start(node) => return self.start(*node),
            Happening::Fault => return self.fault(),
            Happening::Census => return self.take_census(),
        };
        let node = &self.nodes[to.0];
        if node.process.as_ref().is_none_or(|process| process.incarnation != to.1) {
            return;
        }
        if self.now < node.paused_until {
            return self.at(node.paused_until, happening);
        }
        match happening {
            Happening::Give(_, event) => self.give(to.0, event),
            Happening::Listed(_, changes, cursor) => self.listed(to, changes, cursor),
            Happening::ListAgain(_, lists) if self.process(to.0).lists_in_vain(lists) => {
                self.send(to, Request::List);
            }
            Happening::Tick(_, serial) if self.process(to.0).tick == serial => self.give(to.0, Event::Tick),
            Happening::Watch(_) => self.watch(to),
            Happening::Call(_) => self.call(to),
            Happening::Look(_, made) => self.look(to, made),
            Happening::Specs(_) => {
                self.process(to.0).plan = self.plan.clone();
                self.process(to.0).stale = true;
                self.give(to.0, Event::Tick);
            }
            Happening::Plan(_) => {
                self.process(to.0).plans = false;
                self.give(to.0, Event::Tick);
            }
            Happening::Relist(_, failed) => self.relist(to, failed),
            Happening::Abandon(_) => self.give(to.0, Event::Abandon),
            _ => {}
        }
    }

    pub(super) fn process(&mut self, node: usize) -> &mut Process {
        self.nodes[node].process.as_mut().unwrap()
    }

    pub(super) fn alive(&self, node: usize) -> Option<Proc> {
        self.nodes[node].process.as_ref().map(|process| (node, process.incarnation))
    }

    /// Which nodes answer for an address.
    pub(super) fn owners(&self, address: IpAddr) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| self.nodes[*node].answers(address, self.now)).collect()
    }
}

/// Shortens what `Debug` prints.
fn brief(text: &str) -> String {
    let mut text = text.to_owned();
    for (long, short) in [
        ("NodeName(\"", ""),
        ("\")", ""),
        ("Key { namespace: \"test\", name: \"", ""),
        ("\" }", ""),
        ("Nonce { incarnation: ", "#"),
        ("192.168.200", ""),
        ("sequence: ", ""),
        ("Epoch { lease: ", "{"),
        ("number: ", ""),
    ] {
        text = text.replace(long, short);
    }
    text
}
