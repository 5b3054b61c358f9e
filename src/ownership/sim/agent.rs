//! The agent around the machine: it starts, dies, feeds events and performs actions.

use std::net::IpAddr;
use std::rc::Rc;

use super::super::event::{Action, Event, Want};
use super::super::lease::Key;
use super::super::machine::Machine;
use super::super::message::Message;
use super::census::Cause;
use super::network::Request;
use super::node::Op;
use super::placement::{Spec, Specs};
use super::world::{Happening, World};
use super::{MILLI, node_name};

/// An agent plans for so long for each `VirtualIP`; what else happens meanwhile waits for its next plan.
const PLANNING: u64 = MILLI / 100;

impl World {
    /// Starts the agent of a node, and the node itself if it is off.
    pub(super) fn start(&mut self, node: usize) {
        if self.nodes[node].process.is_some() {
            return;
        }
        self.incarnations += 1;
        let incarnation = self.incarnations;
        let (now, plan) = (self.now, self.plan.clone());
        let machine = Machine::new(self.nodes[node].name.clone(), self.timing.clone(), incarnation);
        if self.nodes[node].off {
            self.nodes[node].boot(now);
        }
        self.nodes[node].start(machine, incarnation, plan);
        self.say(|| format!("n{node} starts as incarnation {incarnation}"));
        self.send((node, incarnation), Request::List);
    }

    pub(super) fn crash(&mut self, node: usize) {
        self.say(|| format!("n{node} agent killed"));
        self.blame(node, Cause::AgentKilled);
        self.nodes[node].process = None;
    }

    pub(super) fn power_off(&mut self, node: usize) {
        self.say(|| format!("n{node} powered off"));
        self.blame(node, Cause::PoweredOff);
        self.nodes[node].process = None;
        self.nodes[node].off = true;
        self.nodes[node].kernel.up.clear();
    }

    pub(super) fn leave(&mut self, node: usize) {
        self.blame(node, Cause::HandedOver);
        self.process(node).leaving = true;
        self.process(node).stale = true;
        self.give(node, Event::Leave);
    }

    /// A user writes; each agent learns it in its own time.
    pub(super) fn edit(&mut self, change: impl FnOnce(&mut Specs)) {
        let mut specs = self.plan.specs.clone();
        change(&mut specs);
        self.plan = Rc::new(self.plan.edited(specs, self.nodes.len()));
        for node in 0..self.nodes.len() {
            if let Some(to) = self.alive(node) {
                let delay = self.rng.between(MILLI, 50 * MILLI);
                self.after(delay, Happening::Specs(to));
            }
        }
    }

    pub(super) fn create(&mut self, key: Key, addresses: impl IntoIterator<Item = IpAddr>) {
        let addresses = addresses.into_iter().collect();
        self.sequence += 1;
        let created = self.sequence;
        self.say(|| format!("user creates {key} with {addresses:?}"));
        self.edit(|specs| {
            specs.vips.insert(key, Spec { addresses, created, deleted: false, prefer: None });
        });
    }

    pub(super) fn give(&mut self, node: usize, event: Event) {
        let about = about(&event);
        self.feed(node, event);
        self.place(node, about);
        self.arm(node);
    }

    /// One step of a machine.
    pub(super) fn feed(&mut self, node: usize, event: Event) {
        if !matches!(event, Event::Tick) {
            self.say(|| format!("n{node} <- {event:?}"));
        }
        let clock = self.nodes[node].clock(self.now);
        if let Event::Vanished { address, .. } = &event
            && !self.nodes[node].kernel.up.contains_key(address)
        {
            self.process(node).up.remove(address);
        }
        let process = self.process(node);
        let actions = process.machine.step(event, clock);
        let many = process.plan.specs.vips.len() >= 10;
        assert!(many || process.machine.keeps_right(clock), "what is kept is not what would be worked out");
        self.set_deadline(node);
        for action in actions {
            self.perform(node, action);
        }
    }

    fn perform(&mut self, node: usize, action: Action) {
        self.say(|| format!("n{node} -> {action:?}"));
        let Some(to) = self.alive(node) else { return };
        match action {
            Action::WriteNode(write) => self.send(to, Request::WriteNode(write)),
            Action::WriteTitle(write) => self.send(to, Request::WriteTitle(write)),
            Action::ReadNode(name) => self.send(to, Request::ReadNode(name)),
            Action::ReadTitle(key) => self.send(to, Request::ReadTitle(key)),
            Action::Check { key, version, addresses } => {
                self.send(to, Request::Check(key, version, addresses));
            }
            Action::Set { key, addresses } => self.queue_call(to, Op::Set { key, addresses }),
            Action::Extend(_) => self.queue_call(to, Op::Extend),
            Action::Send { to, message } => self.tell(node, &to, &message),
            Action::Began(_) | Action::Ended(_) => {}
            Action::Done => self.done.push(to),
        }
    }

    /// Plans. What is wanted can have changed for other keys than those of the event only if the epoch, the live nodes or what
    /// users wrote did.
    pub(super) fn place(&mut self, node: usize, about: About) {
        let now = self.now;
        let process = self.process(node);
        if !process.listed {
            return;
        }
        if process.machine.epoch() != process.epoch.as_ref() {
            process.epoch = process.machine.epoch().cloned();
            process.stale = true;
        }
        process.stale |= match about {
            About::All => true,
            About::Nodes => !process.machine.live().eq(&process.live.nodes),
            About::Key(_) | About::Nothing => false,
        };
        let next = process.planned + PLANNING * process.plan.specs.vips.len() as u64;
        if process.stale && now >= next {
            process.stale = false;
            process.planned = now;
            process.live = process.plan.among(process.machine.live().cloned().collect());
            return self.want(node, None);
        }
        if process.stale && !process.plans {
            process.plans = true;
            let to = (node, process.incarnation);
            self.after(next - now, Happening::Plan(to));
        }
        if let About::Key(key) = about {
            self.want(node, Some(&key));
        }
    }

    /// Feeds what is wanted of one, or of all, where it has changed.
    fn want(&mut self, node: usize, one: Option<&Key>) {
        let process = self.process(node);
        let machine = &process.machine;
        let mut listed = process.plan.specs.vips.keys().peekable();
        let keys: Vec<&Key> = if let Some(key) = one {
            vec![key]
        } else {
            let unlisted = machine.titles().map(|(key, _)| key).filter(|key| {
                while listed.next_if(|listed| listed < key).is_some() {}
                listed.peek() != Some(key)
            });
            unlisted.chain(process.plan.specs.vips.keys()).collect()
        };
        let me = node_name(node);
        let wanted = |key: &Key| process.plan.want(key, &me, &process.live, machine, process.leaving);
        let changed: Vec<_> = keys
            .into_iter()
            .map(|key| (key.clone(), wanted(key)))
            .filter(|(key, want)| process.wants.get(key) != Some(want))
            .collect();
        for (key, want) in changed {
            self.process(node).wants.insert(key.clone(), want.clone());
            self.feed(node, Event::Wanted { key, want });
        }
        self.end_stranded(node);
    }

    /// An agent that stops, and has only what nobody else can have, ends as one that is killed.
    fn end_stranded(&mut self, node: usize) {
        let process = self.process(node);
        if !process.leaving || process.stale {
            return;
        }
        if process.machine.owns_only(|key| matches!(process.wants.get(key), Some(Want::Hold { .. }))) {
            let to = (node, process.incarnation);
            self.say(|| format!("n{node} leaves what it has to its next agent"));
            self.done.push(to);
        }
    }

    pub(super) fn arm(&mut self, node: usize) {
        let Some(wake) = self.process(node).machine.wake_at() else { return };
        let at = self.nodes[node].moment(wake);
        let now = self.now;
        let process = self.process(node);
        process.tick += 1;
        process.spins = if at <= now { process.spins + 1 } else { 0 };
        let (tick, spins, incarnation) = (process.tick, process.spins, process.incarnation);
        if spins > 100 {
            return self.fail(format!("n{node} spins: it always wants a tick at once"));
        }
        self.at(at, Happening::Tick((node, incarnation), tick));
    }
}

/// What an event can have changed the plans for.
pub(super) enum About {
    Key(Key),
    Nodes,
    Nothing,
    All,
}

fn about(event: &Event) -> About {
    match event {
        Event::Title { key, .. }
        | Event::TitleAnswer { key, .. }
        | Event::Checked { key, .. }
        | Event::Kernel { key, .. }
        | Event::Vanished { key, .. }
        | Event::Message { message: Message::Silent { key, .. }, .. } => About::Key(key.clone()),
        Event::Message { .. } => About::Nothing,
        Event::Node { .. } | Event::NodeAnswer { .. } | Event::Tick => About::Nodes,
        _ => About::All,
    }
}
