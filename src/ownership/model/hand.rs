//! Calls to the kernel, one at a time, with the clock read before and after, as the agent's hand makes them.

use std::time::Duration;

use super::super::event::Event;
use super::super::rule::{Rule, dropped};
use super::super::sim::{address, key, node_name};
use super::super::timing::{Fence, KERNEL_SLACK, whole_lifetime};
use super::node::{Hand, Op, Up};
use super::world::{TICK, World};

impl World {
    /// The next call, from the first look at the clock to the last.
    pub(super) fn call(&mut self, index: usize) {
        self.check(index);
        self.land(index);
        self.look(index);
    }

    /// Looks at the clock: how long may the address live?
    pub(super) fn check(&mut self, index: usize) {
        let clock = self.clock(index);
        let process = self.process(index);
        let Some(op) = process.calls.pop_front() else { return };
        let rest = process.machine.right(clock).map_or(Duration::ZERO, |until| until.since(clock));
        let lifetime = match self.setting.fence {
            Fence::Lifetimes => whole_lifetime(rest),
            // The lifetime is only the cleaner.
            Fence::Exact => rest.min(Duration::from_secs(1)),
        };
        self.process(index).hand = Hand::Checked(op, lifetime);
    }

    /// The call itself.
    pub(super) fn land(&mut self, index: usize) {
        let Hand::Checked(op, lifetime) = self.process(index).hand else { return };
        let up = self.nodes[index].up.is_some();
        let put = !lifetime.is_zero()
            && match op {
                Op::Set(add) => add && !up,
                Op::Extend => self.process(index).up,
            };
        if op == Op::Set(false) {
            self.remove(index);
        }
        if put {
            self.put(index, lifetime);
            self.process(index).up = true;
        }
        self.process(index).hand = Hand::Made(op, put, lifetime);
    }

    /// Looks at the clock once more: what was given more than the right is taken back (rule 10).
    pub(super) fn look(&mut self, index: usize) {
        let Hand::Made(op, put, lifetime) = self.process(index).hand else { return };
        let clock = self.clock(index);
        let right = self.process(index).machine.right(clock);
        let too_long = if dropped(Rule::LifetimeWithinRight) {
            right.is_none()
        } else {
            right.is_none_or(|until| clock + lifetime + KERNEL_SLACK > until)
        };
        let looks = self.setting.fence == Fence::Lifetimes && !dropped(Rule::LookAgain);
        if put && too_long && looks {
            self.remove(index);
        }
        self.process(index).hand = Hand::Free;
        if put && op == Op::Extend && self.nodes[index].up.is_none() {
            return self.hear_of_vanishing(index);
        }
        if let Op::Set(_) = op {
            let up = self.nodes[index].up.map(|_| address(1));
            self.process(index).up = up.is_some();
            self.give(index, Event::Kernel { key: key(0), up: up.into_iter().collect() });
        }
    }

    /// Gives the address to the kernel for a number of seconds.
    pub(super) fn put(&mut self, index: usize, lifetime: Duration) {
        let half_seconds = u32::try_from(lifetime.as_secs() * 2).unwrap();
        let fresh = self.nodes[index].up.is_none();
        // The slack is half a second of its own clock.
        let latest = u64::from(half_seconds + 1) * TICK / self.setting.rates[index];
        let up = if self.setting.fence == Fence::Exact || dropped(Rule::Lifetimes) {
            Up::FOR_EVER
        } else {
            Up { earliest: half_seconds, latest: u32::try_from(latest).unwrap() }
        };
        self.node(index).up = Some(up);
        let verb = if fresh { "answers" } else { "goes on answering" };
        self.say(|| format!("{} {verb}, for {} s", node_name(index), lifetime.as_secs()));
    }

    pub(super) fn remove(&mut self, index: usize) {
        self.process(index).up = false;
        if self.node(index).up.take().is_some() {
            self.say(|| format!("{} is silent", node_name(index)));
        }
    }

    /// The kernel takes the address away.
    pub(super) fn expire(&mut self, index: usize) {
        self.say(|| format!("the kernel of {} ends the address", node_name(index)));
        let node = self.node(index);
        node.up = None;
        node.vanished = node.process.as_ref().is_some_and(|process| process.listed);
        if node.vanished && !node.paused {
            self.hear_of_vanishing(index);
        }
    }

    pub(super) fn hear_of_vanishing(&mut self, index: usize) {
        self.node(index).vanished = false;
        if self.nodes[index].up.is_none() {
            self.process(index).up = false;
            self.give(index, Event::Vanished { key: key(0), address: address(1) });
        }
    }
}
