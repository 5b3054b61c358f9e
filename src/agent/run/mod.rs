//! The agent's loop: one input after the other through the ownership machine, its actions out to the API server
//! and the kernel.

mod planning;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::deadline::{Deadline, now};
use super::facts;
use super::guards::Guards;
use super::hand::Order;
use super::input::{Input, Inputs};
use super::inventory;
use super::peers::Peers;
use super::perform::Performer;
use super::planner::{Attended, Planner};
use super::report::{Here, Report};
use super::scene::Scene;
use super::target::Target;
use super::wait::Wait;
use crate::api::{ConflictDetection, NodeInterface, VipKey};
use crate::network::fence::Gates;
use crate::network::{Kernel, Links, Mac, Setup, Spot};
use crate::ownership::{Action, Event, Machine, NodeName, Time, TitleWrite, Why};
use planning::Plans;
pub use planning::planning;

/// After SIGTERM: how long handovers may take before everything left is silenced.
const HANDOVER: Duration = Duration::from_millis(1200);

/// After that: how long closing the epoch may take.
const CLOSING: Duration = Duration::from_millis(200);

/// The hand hears at least this often that the right goes on: it then also looks whether the fence is where it was put.
const EXTENSIONS: Duration = Duration::from_secs(5);

/// `DEFEND_INTERVAL` of RFC 5227: a claim is answered once in this time, so that two hosts do not shout at each other.
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// Everything the loop reaches out to.
pub struct Outside {
    /// The API server.
    pub performer: Performer,
    /// The kernel and the wire.
    pub hand: mpsc::UnboundedSender<Order>,
    /// For the inventory at start.
    pub kernel: Kernel,
    /// The end of the right, for the hand.
    pub deadline: Deadline,
    /// The gates of single addresses, where the fence is exact.
    pub gates: Option<Gates>,
    /// The thread that makes plans.
    pub scenes: std::sync::mpsc::Sender<Scene>,
    /// Finalizers of `VirtualIP`s.
    pub guards: Guards,
    /// The agents of other nodes.
    pub peers: Peers,
    /// Starts all watches again.
    pub restart: Arc<Notify>,
    /// Status, Events, metrics and logs.
    pub report: Report,
    /// Where work runs that the loop does not wait for.
    pub aside: Handle,
    /// The loop's own door.
    pub inputs: Inputs,
}

/// The loop.
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
pub struct Agent {
    me: NodeName,
    machine: Machine,
    planner: Planner,
    outside: Outside,
    links: Links,
    interfaces: Vec<NodeInterface>,
    /// The objects were listed once: before that nothing is concluded from what is missing.
    listed: bool,
    live: BTreeSet<NodeName>,
    plans: Plans,
    uninstalling: bool,
    leaving: Option<Instant>,
    abandoned: bool,
    /// The end of the right when it was known that all that is left is for the next agent of this node.
    stranded: Option<Time>,
    /// When the hand was told last that the right goes on.
    extended: Instant,
    /// An epoch ended in this process's life.
    lapsed: bool,
    done: bool,
    /// When a claim of each address was last looked at.
    defended: BTreeMap<IpAddr, Instant>,
    /// What the hand was told last of each `VirtualIP`.
    handled: BTreeMap<VipKey, Vec<Target>>,
    /// And of those that it does not hold.
    attended: Option<Attended>,
    /// What the machine is to hear next of addresses that were silenced by their gates.
    silenced: VecDeque<Event>,
}

impl Agent {
    /// An agent that knows nothing yet.
    #[must_use]
    pub fn new(machine: Machine, me: NodeName, planner: Planner, outside: Outside, links: Links) -> Self {
        Self {
            interfaces: facts::publish(&links),
            me,
            machine,
            planner,
            outside,
            links,
            listed: false,
            live: BTreeSet::new(),
            plans: Plans::default(),
            uninstalling: false,
            leaving: None,
            abandoned: false,
            stranded: None,
            extended: Instant::now(),
            lapsed: false,
            done: false,
            defended: BTreeMap::new(),
            handled: BTreeMap::new(),
            attended: None,
            silenced: VecDeque::new(),
        }
    }

    /// Runs until everything is handed over after [`Input::Terminate`], or time is up.
    pub fn run(mut self, mut wait: Wait) {
        while !self.done {
            let timer = self.next_timer();
            // What is left of a plan is not waited for.
            let until = if self.plans.goes_on() { Instant::now() } else { timer };
            let input = wait.next(self.outside.peers.ear(), until);
            let busy = input.is_ready();
            match input {
                Poll::Ready(Some(input)) => self.take(input),
                Poll::Ready(None) => return,
                Poll::Pending => {}
            }
            // After each input, too: however many there are, no promise waits behind them.
            if let Some((from, message)) = self.outside.peers.next() {
                self.step(Event::Message { from, message });
            }
            if Instant::now() >= timer {
                self.step(Event::Tick);
            }
            self.outside.report.turned(Instant::now().saturating_duration_since(timer));
            self.follow_plan(busy);
            self.plan_if_due();
            let here = Here { interfaces: &self.interfaces, links: &self.links, peers: &self.outside.peers };
            self.outside.report.node_in_time(&self.machine, &here);
            if self.outside.peers.reopen() {
                self.meet();
            }
            self.leave_if_due();
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Own(Event::Synced) => {
                self.step(Event::Synced);
                self.take_inventory();
                self.outside.report.synced();
            }
            Input::Own(event) => self.step(event),
            Input::Reread(node) => drop(self.outside.performer.start(Action::ReadNode(node))),
            Input::Objects => {
                self.meet();
                self.plan_soon();
            }
            Input::Keys(keys) => {
                self.outside.peers.use_keys(keys);
                self.meet();
            }
            Input::Listed => {
                self.listed = true;
                self.meet();
                self.plan_now();
            }
            Input::Uninstall => self.uninstall(),
            Input::Planned(prospect) => self.planned(prospect),
            Input::Links(links) => self.links(links),
            Input::Gone { link, address } => self.order(Order::Gone { link, net: address }),
            Input::Usable { link, address } => self.order(Order::Usable { link, net: address }),
            Input::FilterGone => self.doubt_fence(),
            Input::Compare => {
                // What was not heard may have been that.
                self.doubt_fence();
                self.order(Order::Compare);
            }
            Input::Trouble { key, reason } => self.trouble(key, reason),
            Input::Probed { key, foreign } => {
                self.planner.probes.ended(&key, foreign);
                self.plan_soon();
            }
            Input::Claimed { address, mac } => self.claimed(address, mac),
            Input::Terminate => self.terminate(),
        }
    }

    /// One event through the machine, and what it wants done; and what it is to hear of that at once.
    fn step(&mut self, event: Event) {
        self.step_once(event);
        // Not one within the other: there may be one for each `VirtualIP` of the node.
        while let Some(event) = self.silenced.pop_front() {
            self.step_once(event);
        }
    }

    fn step_once(&mut self, event: Event) {
        let now = match now() {
            Ok(now) => now,
            // Without a clock there is no right; the kernel's lifetimes end what is up.
            Err(error) => return error!(%error, "the clock cannot be read"),
        };
        let touched = key_of(&event).cloned();
        self.outside.report.hears(&event, now);
        let actions = self.machine.step(event, now);
        // Set before anything is ordered under it.
        self.outside.deadline.set(self.machine.right(now));
        for action in actions {
            self.act(action);
        }
        if let Some(key) = &touched {
            self.outside.report.stepped(key, &self.machine);
        }
        self.notice(touched.is_some());
    }

    fn act(&mut self, action: Action) {
        self.outside.report.acts(&action, self.leaving.is_some());
        if let Action::WriteTitle(TitleWrite { key, content, why, .. }) = &action {
            self.expect(key, &content.granted, *why);
        }
        match self.outside.performer.start(action) {
            Some(Action::Set { key, addresses }) => self.set(key, addresses),
            Some(Action::Send { to, message }) => self.outside.peers.send(&to, &message),
            Some(Action::Extend(until)) => self.extend(until),
            // The connections of the watches may be dead ones from before a lapse.
            Some(Action::Began(_)) if self.lapsed => self.outside.restart.notify_waiters(),
            Some(Action::Ended(_)) => self.lapsed = true,
            Some(Action::Done) => self.done = true,
            _ => {}
        }
    }

    /// Lets the hand make ready what may come. What comes as soon as its owner is silent is there before, behind its gate.
    fn expect(&self, key: &VipKey, granted: &BTreeSet<IpAddr>, why: Why) {
        if !matches!(why, Why::Accept | Why::Claim) {
            return;
        }
        let soon = why == Why::Accept;
        if let Some(gates) = self.outside.gates.as_ref().filter(|_| soon) {
            gates.shut(granted);
        }
        self.order(Order::Expect { targets: self.targets(key, granted), soon });
    }

    /// Lets exactly these addresses answer. Where all others are silent behind their gates at once, the machine need not wait
    /// for the kernel to be rid of them.
    fn set(&mut self, key: VipKey, addresses: BTreeSet<IpAddr>) {
        let targets = self.targets(&key, &addresses);
        let told = self.silence(&key, &addresses);
        // Whether they are up already or still on their way: what they are to be may change meanwhile.
        if targets.is_empty() {
            self.handled.remove(&key);
        } else {
            self.handled.insert(key.clone(), targets.clone());
        }
        self.order(Order::Set { key: key.clone(), targets, told });
        if told {
            self.silenced.push_back(Event::Kernel { key, up: addresses });
        }
    }

    /// Opens the gates of these addresses of `key`, and shuts those of all others of its that are up. Says whether nothing is to
    /// be done but to be rid of those, and they are silent already.
    fn silence(&self, key: &VipKey, addresses: &BTreeSet<IpAddr>) -> bool {
        let Some(gates) = &self.outside.gates else { return false };
        if let Err(error) = gates.open(addresses) {
            // The hand tries again when it puts the fence before them.
            error!(vip = %key, error = &error as &dyn std::error::Error, "addresses stay silent");
        }
        let up = self.machine.up(key).cloned().unwrap_or_default();
        let going = &up - addresses;
        // Through a gate that is shut nobody would hear that his connection is closed.
        let closes = self.handled.get(key).is_some_and(|targets| targets.iter().any(Target::closes));
        if going.is_empty() || closes {
            return false;
        }
        gates.shut(&going) && addresses.is_subset(&up)
    }

    /// Somebody may have taken the fence off: no gate counts until it was looked at.
    fn doubt_fence(&self) {
        if let Some(gates) = &self.outside.gates {
            gates.distrust();
            self.order(Order::Review);
        }
    }

    /// Tells the hand of a right that goes on: not each time, where nothing is to be done about it.
    fn extend(&mut self, until: Time) {
        if !self.outside.deadline.covers(until) || self.extended.elapsed() >= EXTENSIONS {
            self.extended = Instant::now();
            self.order(Order::Extend);
        }
    }

    fn targets(&self, key: &VipKey, addresses: &BTreeSet<IpAddr>) -> Vec<Target> {
        let object = self.planner.planned.get(key).and_then(|planned| planned.object.as_ref());
        let spec = object.map(|object| object.spec.clone()).unwrap_or_default();
        Target::these(&spec, &self.planner.labels(), addresses)
    }

    /// What a former life left in the kernel: adopted where a Lease says that it was ours, else removed.
    fn take_inventory(&mut self) {
        let marked = match self.outside.aside.block_on(self.outside.kernel.marked()) {
            Ok(marked) => marked,
            // Nothing may begin before the kernel is silent: the process ends, and is started again.
            Err(error) => {
                error!(error = &error as &dyn std::error::Error, "cannot list addresses");
                self.done = true;
                return;
            }
        };
        // On the loopback interface nobody is answered; the hand sees to what is there.
        let loopback = self.links.iter().find(|link| link.loopback).map(|link| link.index);
        for found in inventory::agents(marked).filter(|found| Some(found.link) != loopback) {
            let ip = found.address.addr();
            let shut = self.outside.gates.as_ref().is_some_and(|gates| gates.is_shut(ip));
            let owner = self.machine.titles().find(|(_, title)| {
                let ours = title.content.holder.as_ref().is_some_and(|holder| holder.node == self.me);
                // One behind a shut gate does not answer: that life had given it away, or not got it yet.
                ours && title.content.granted.contains(&ip) && !shut
            });
            if let Some((key, _)) = owner {
                let key = key.clone();
                let spot = Spot { link: found.link, net: found.address, setup: Setup::permanent() };
                info!(vip = %key, address = %ip, "an address of a former life is still up");
                self.order(Order::Adopt { key: key.clone(), spot });
                self.step(Event::Found { key, up: [ip].into() });
            } else if let Err(error) =
                self.outside.aside.block_on(self.outside.kernel.remove(found.link, found.address))
            {
                error!(address = %ip, error = &error as &dyn std::error::Error, "a stale address cannot be removed");
                self.done = true;
                return;
            } else {
                warn!(address = %ip, "a stale address was removed");
            }
        }
        self.order(Order::Adopted);
        self.step(Event::Inventoried);
    }

    /// A node that came or went, or a Lease that changed hands, changes the plan.
    fn notice(&mut self, one: bool) {
        if !self.machine.live().eq(&self.live) {
            self.live = self.machine.live().cloned().collect();
            self.plan_now();
        } else if one {
            self.plan_soon();
        }
    }

    fn links(&mut self, links: Links) {
        self.order(Order::Links(links.clone()));
        self.links = links;
        let interfaces = facts::publish(&self.links);
        if interfaces != self.interfaces {
            self.interfaces = interfaces;
            // What did not go before may go now.
            self.planner.forgive();
            self.plan_now();
        }
        if self.listed {
            self.attend();
        }
    }

    /// Which nodes can be talked to, if that has changed.
    fn meet(&mut self) {
        self.outside.peers.look(self.planner.nodes());
        if let Some(neighbours) = self.outside.peers.news() {
            self.step(Event::Neighbours(neighbours));
        }
    }

    /// Another host says that it has an address. If it is up here, that host is wrong: the Lease says whose it is.
    fn claimed(&mut self, address: IpAddr, mac: Mac) {
        // After waking it may be this node that is wrong: the right has ended, and another one took over.
        if self.outside.deadline.get().is_none() {
            return;
        }
        // An interface that was added since the ear was opened may be on the same segment.
        if self.links.iter().any(|link| link.mac == Some(mac)) {
            return;
        }
        let up = |key: &VipKey| self.machine.up(key).is_some_and(|up| up.contains(&address));
        let Some(key) = self.machine.titles().map(|(key, _)| key).find(|key| up(key)).cloned() else {
            return;
        };
        let detection = self.planner.conflict_detection(&key);
        if detection == ConflictDetection::None {
            return;
        }
        self.outside.report.conflict();
        let now = Instant::now();
        if self.defended.get(&address).is_some_and(|last| now - *last < DEFEND_INTERVAL) {
            return;
        }
        self.defended.insert(address, now);
        let defends = detection == ConflictDetection::Defend;
        self.outside.report.claimed(&key, address, mac, defends);
        // Its status tells of it.
        self.plan_soon();
        if defends {
            self.order(Order::Defend { key, address });
        }
    }

    fn trouble(&mut self, key: VipKey, reason: Option<String>) {
        if let Some(reason) = &reason {
            warn!(vip = %key, reason, "the address cannot be configured here");
            self.outside.report.failed(&key, reason);
        }
        let before = self.planner.troubled(&key).is_some();
        let after = reason.is_some();
        self.planner.trouble(key, reason);
        if before != after {
            self.plan_now();
        }
    }

    fn uninstall(&mut self) {
        if !self.uninstalling {
            info!("everything is being uninstalled: all addresses are released");
            self.uninstalling = true;
            self.plan_now();
        }
    }

    fn terminate(&mut self) {
        if self.leaving.is_none() {
            info!("stopping: handing over");
            self.leaving = Some(Instant::now() + HANDOVER);
            self.plan_now();
            if !self.listed {
                // There is no plan, and nothing to hand over.
                self.step(Event::Leave);
            }
        }
    }

    fn leave_if_due(&mut self) {
        let Some(due) = self.leaving else { return };
        let now = Instant::now();
        self.note_stranded();
        // After a renewal most of the right is left for the next agent to come.
        let renewed = |first: Time| self.outside.deadline.get().is_some_and(|right| right > first);
        if self.stranded.is_some_and(|first| renewed(first) || now >= due) {
            info!(
                "no other node can have what is up here: it stays until the right ends, for the next agent of this node"
            );
            self.done = true;
            return;
        }
        if now >= due && !self.abandoned {
            warn!("not everything was handed over in time: what is left is silenced");
            self.abandoned = true;
            self.step(Event::Abandon);
        }
        if now >= due + CLOSING {
            self.done = true;
        }
    }

    /// Notes the end of the right when all that this node has is found to be for its next agent.
    fn note_stranded(&mut self) {
        let stranded = !self.uninstalling && self.planner.is_stranded(&self.machine);
        let right = self.outside.deadline.get().filter(|_| stranded);
        self.stranded = right.map(|right| self.stranded.unwrap_or(right));
    }

    fn next_timer(&self) -> Instant {
        let idle = Instant::now() + Duration::from_secs(1);
        let machine = now().ok().and_then(|now| {
            let at = self.machine.wake_at()?;
            Some(Instant::now() + at.since(now))
        });
        let leave = self.leaving.map(|due| if self.abandoned { due + CLOSING } else { due });
        let plan = self.plans.next(self.overdue()).filter(|_| self.listed);
        [machine, leave, plan].into_iter().flatten().fold(idle, Instant::min)
    }

    /// When a plan must be made, or told, although nothing happened.
    fn overdue(&self) -> Option<Instant> {
        [self.planner.next(), self.outside.report.next()].into_iter().flatten().min()
    }

    fn order(&self, order: Order) {
        // The hand has ended only if the process is about to.
        let _ = self.outside.hand.send(order);
    }
}

fn key_of(event: &Event) -> Option<&VipKey> {
    match event {
        Event::Title { key, .. }
        | Event::TitleAnswer { key, .. }
        | Event::Kernel { key, .. }
        | Event::Vanished { key, .. }
        | Event::Wanted { key, .. } => Some(key),
        _ => None,
    }
}
