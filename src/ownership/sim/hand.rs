//! Calls to the kernel: one at a time, with the clock read before and after; and the judge of who answers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use super::super::event::Event;
use super::super::lease::Key;
use super::super::time::Time;
use super::super::timing::{KERNEL_SLACK, whole_lifetime};
use super::api::Change;
use super::node::{Made, Node, Op};
use super::world::{Happening, Proc, World};
use super::{MILLI, nanos};

impl World {
    pub(super) fn queue_call(&mut self, to: Proc, op: Op) {
        let process = self.process(to.0);
        process.calls.push_back(op);
        self.next_call(to);
    }

    fn next_call(&mut self, to: Proc) {
        let process = self.process(to.0);
        if process.calling || process.calls.is_empty() {
            return;
        }
        process.calling = true;
        let busy = if self.faulty && self.rng.chance(10) { 400 * MILLI } else { 2 * MILLI };
        let delay = self.rng.between(MILLI / 20, busy);
        self.after(delay, Happening::Call(to));
    }

    /// Looks at the clock and makes the call: no pause fits in between.
    pub(super) fn call(&mut self, to: Proc) {
        let node = to.0;
        let clock = self.nodes[node].clock(self.now);
        let rest = self.process(node).right(clock).map_or(Duration::ZERO, |until| until.since(clock));
        let lifetime = self.nodes[node].lifetime(rest);
        let process = self.process(node);
        let Some(op) = process.calls.pop_front() else { return };
        let mut put = BTreeMap::new();
        match &op {
            Op::Extend => put.clone_from(&process.up),
            Op::Set { key, addresses } => {
                let current = self.nodes[node].kernel.of(key);
                for address in &current - addresses {
                    self.remove(node, address);
                }
                put.extend((addresses - &current).into_iter().map(|address| (address, key.clone())));
            }
        }
        if lifetime.is_zero() {
            put.clear();
        }
        for (address, key) in &put {
            self.put(node, *address, key.clone(), lifetime);
        }
        let delay = self.rng.between(MILLI / 100, MILLI / 2);
        self.after(delay, Happening::Look(to, Made { op, put, lifetime }));
    }

    /// Looks at the clock once more: what was given more than the right is taken back (rule 10).
    pub(super) fn look(&mut self, to: Proc, made: Made) {
        let node = to.0;
        let clock = self.nodes[node].clock(self.now);
        let right = self.process(node).right(clock);
        match self.nodes[node].kept(right, made.lifetime, clock) {
            Kept::All => {}
            Kept::Less(lifetime) => {
                for (address, key) in &made.put {
                    if self.nodes[node].kernel.up.contains_key(address) {
                        self.put(node, *address, key.clone(), lifetime);
                    }
                }
            }
            Kept::Nothing => {
                for address in made.put.keys() {
                    self.remove(node, *address);
                }
            }
        }
        let event = match made.op {
            Op::Set { key, .. } => {
                let up = self.nodes[node].kernel.of(&key);
                // What the process believes is what the kernel showed last.
                self.process(node).up.retain(|address, whose| *whose != key || up.contains(address));
                Some(Event::Kernel { key, up })
            }
            Op::Extend => None,
        };
        self.process(node).calling = false;
        self.next_call(to);
        if let Some(event) = event {
            self.give(node, event);
        }
    }

    fn put(&mut self, node: usize, address: IpAddr, key: Key, lifetime: Duration) {
        if self.nodes[node].kernel.open(self.nodes[node].clock(self.now)) {
            self.judge(node, address);
        }
        if self.nodes[node].kernel.up.get(&address).is_some_and(|entry| entry.key != key) {
            self.fail(format!("n{node} answers for {address} on behalf of two VirtualIPs"));
        }
        let fresh = !self.nodes[node].kernel.up.contains_key(&address);
        self.say(|| format!("n{node} kernel {} {address} for {lifetime:?}", if fresh { "+" } else { "=" }));
        self.process(node).up.insert(address, key.clone());
        let generation = self.nodes[node].kernel.put(address, key);
        let late = self.rng.between(10 * MILLI, 500 * MILLI);
        // The slack is what was measured on clocks of rate one.
        let span = self.nodes[node].span(nanos(lifetime) + late);
        self.after(span, Happening::Expire(node, address, generation));
    }

    /// A node answers for an address: nobody else may.
    fn judge(&mut self, node: usize, address: IpAddr) {
        let others = (0..self.nodes.len()).filter(|other| *other != node);
        let owner = others.into_iter().find(|other| self.nodes[*other].answers(address, self.now));
        if let Some(owner) = owner {
            self.fail(format!("two owners of {address}: n{node} answers for it while n{owner} does"));
        }
    }

    /// Tells the hand, and the exact fence if there is one, the end of the right, before anything is done under it.
    pub(super) fn set_deadline(&mut self, node: usize) {
        let clock = self.nodes[node].clock(self.now);
        let process = self.process(node);
        let right = process.machine.right(clock);
        let before = std::mem::replace(&mut process.deadline, right);
        let kernel = &mut self.nodes[node].kernel;
        // As long as this life had no right the kernel goes on under the deadline of the former one.
        if kernel.fence.is_none() || before == right {
            return;
        }
        let opens = !kernel.open(clock);
        kernel.fence = Some(right.unwrap_or_default());
        if opens && kernel.open(clock) {
            let up: Vec<IpAddr> = kernel.up.keys().copied().collect();
            for address in up {
                self.judge(node, address);
            }
        }
    }

    pub(super) fn remove(&mut self, node: usize, address: IpAddr) {
        self.process(node).up.remove(&address);
        if self.nodes[node].kernel.up.remove(&address).is_some() {
            self.say(|| format!("n{node} kernel - {address}"));
        }
    }

    pub(super) fn expire(&mut self, node: usize, address: IpAddr, generation: u64) {
        let Some(key) = self.nodes[node].kernel.expire(address, generation) else { return };
        self.say(|| format!("n{node} kernel expires {address}"));
        if let Some(to) = self.alive(node) {
            let delay = self.rng.between(MILLI / 10, 20 * MILLI);
            self.after(delay, Happening::Give(to, Event::Vanished { key, address }));
        }
    }

    pub(super) fn inventory(&mut self, node: usize, changes: &[Change]) {
        let mut found: BTreeMap<Key, BTreeSet<IpAddr>> = BTreeMap::new();
        let up: Vec<IpAddr> = self.nodes[node].kernel.up.keys().copied().collect();
        for address in up {
            let whose = changes.iter().find_map(|change| match change {
                Change::Title(key, _, Some(title)) if title.content.granted.contains(&address) => Some(key),
                _ => None,
            });
            match whose {
                None => self.remove(node, address),
                Some(key) => {
                    found.entry(key.clone()).or_default().insert(address);
                    self.nodes[node].kernel.up.get_mut(&address).unwrap().key = key.clone();
                    self.process(node).up.insert(address, key.clone());
                }
            }
        }
        for (key, up) in found {
            self.feed(node, Event::Found { key, up });
        }
    }
}

/// What may stay of what was given, at the second look at the clock.
enum Kept {
    All,
    /// For so long.
    Less(Duration),
    Nothing,
}

impl Node {
    /// The lifetime that an address may be given. Behind an exact fence it only tidies up, and one second always fits.
    fn lifetime(&self, rest: Duration) -> Duration {
        let fits = whole_lifetime(rest);
        if self.kernel.fence.is_some() && !rest.is_zero() { fits.max(Duration::from_secs(1)) } else { fits }
    }

    fn kept(&self, right: Option<Time>, given: Duration, clock: Time) -> Kept {
        let Some(until) = right else { return Kept::Nothing };
        if self.kernel.fence.is_none() {
            let too_long = clock + given + KERNEL_SLACK > until;
            return if too_long { Kept::Nothing } else { Kept::All };
        }
        let fits = self.lifetime(until.since(clock));
        if fits < given { Kept::Less(fits) } else { Kept::All }
    }
}
