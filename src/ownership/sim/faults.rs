//! Random faults, and what must be true once they are over.

use std::collections::BTreeSet;

use super::census::Cause;
use super::network::Weather;
use super::world::{Happening, World};
use super::{MILLI, SECOND, address, key, node_name};

/// Faults come this far apart, at most.
const APART: u64 = 3 * SECOND;
/// Once all faults are lifted everything must be in its place after this. A node that owned nothing may have
/// left a Lease with the idle duration; nobody waits for it.
const SETTLE: u64 = 20 * SECOND;

impl World {
    /// Lets random faults happen until `end`, then lifts them and checks that everything comes to order.
    pub(super) fn suffer(&mut self, end: u64) {
        self.faulty = true;
        self.at(self.now, Happening::Fault);
        self.run(end);
        self.recover();
    }

    pub(super) fn fault(&mut self) {
        if !self.faulty {
            return;
        }
        let pause = self.rng.between(50 * MILLI, APART);
        self.after(pause, Happening::Fault);
        self.reap();
        let node = self.rng.below(self.nodes.len());
        // In a world without messages the draws stay what they were.
        let fault = self.rng.below(if self.talk { 30 } else { 20 });
        self.faults += 1;
        match fault {
            // Those that write to few objects by name belong to small worlds.
            17..=19 if self.census.is_some() => self.kill_and_restart(node),
            0..=1 => self.kill_and_restart(node),
            2 => self.cut_power(node),
            3..=4 => self.pause(node),
            5..=6 => self.cut(node),
            7..=8 => self.stall(node),
            9..=10 => self.change_weather(),
            11 => self.outage(),
            12..=13 => self.stop_gracefully(node),
            14 => self.toggle_standby(node),
            15..=16 => self.prefer(node),
            17 => self.edit_addresses(),
            18 => self.delete_or_create(),
            19 => self.meddle(node),
            _ => self.part(node),
        }
    }

    /// What said `Done` ends, and comes back later.
    pub(super) fn reap(&mut self) {
        for (node, incarnation) in std::mem::take(&mut self.done) {
            if self.alive(node) == Some((node, incarnation)) {
                self.crash(node);
                let away = self.rng.between(10 * MILLI, 5 * SECOND);
                self.after(away, Happening::Start(node));
            }
        }
    }

    fn kill_and_restart(&mut self, node: usize) {
        self.crash(node);
        let away = if self.rng.chance(700) { 500 * MILLI } else { 8 * SECOND };
        let away = self.rng.between(MILLI, away);
        self.after(away, Happening::Start(node));
    }

    fn cut_power(&mut self, node: usize) {
        self.power_off(node);
        let away = self.rng.between(SECOND, 10 * SECOND);
        self.after(away, Happening::Start(node));
    }

    fn pause(&mut self, node: usize) {
        let span = self.rng.between(MILLI, 5 * SECOND);
        self.nodes[node].paused_until = self.now + span;
        self.blame(node, Cause::AgentPaused);
        self.say(|| format!("n{node} paused for {} ms", span / MILLI));
    }

    fn cut(&mut self, node: usize) {
        let span = self.rng.between(MILLI, 8 * SECOND);
        self.nodes[node].cut_until = self.now + span;
        self.blame(node, Cause::CutFromApi);
        self.say(|| format!("n{node} cut from the API for {} ms", span / MILLI));
    }

    fn stall(&mut self, node: usize) {
        let span = self.rng.between(MILLI, 10 * SECOND);
        self.nodes[node].stalled_until = self.now + span;
        self.blame(node, Cause::WatchStalled);
        self.say(|| format!("n{node} watch stalled for {} ms", span / MILLI));
    }

    fn change_weather(&mut self) {
        let bad = self.rng.below(3) > 0;
        let mut some = |most| if bad { self.rng.between(0, most) } else { 0 };
        let weather = Weather { slow: some(300), mute: some(300), lost: some(200) };
        self.weather = weather;
        self.say(|| format!("per mille slow {} mute {} lost {}", weather.slow, weather.mute, weather.lost));
    }

    fn outage(&mut self) {
        let span = self.rng.between(100 * MILLI, 8 * SECOND);
        self.say(|| format!("API away for {} ms", span / MILLI));
        for node in &mut self.nodes {
            node.cut_until = self.now + span;
        }
    }

    fn stop_gracefully(&mut self, node: usize) {
        let Some(to) = self.alive(node) else { return };
        if !self.process(node).listed || self.now < self.nodes[node].paused_until {
            return;
        }
        self.leave(node);
        let grace = self.rng.between(100 * MILLI, 10 * SECOND);
        self.after(grace, Happening::Abandon(to));
    }

    fn toggle_standby(&mut self, node: usize) {
        let name = node_name(node);
        self.say(|| format!("user toggles standby of {name}"));
        self.blame(node, Cause::HandedOver);
        self.edit(|specs| {
            if !specs.standby.remove(&name) {
                specs.standby.insert(name);
            }
        });
    }

    fn prefer(&mut self, node: usize) {
        let vip = key(self.rng.below(self.plan.specs.vips.len() + 1));
        self.say(|| format!("user prefers n{node} for {vip}"));
        self.edit(|specs| {
            if let Some(spec) = specs.vips.get_mut(&vip) {
                spec.prefer = Some(node_name(node));
            }
        });
    }

    fn some_addresses(&mut self) -> BTreeSet<std::net::IpAddr> {
        let mut addresses = BTreeSet::new();
        for index in 1..=4 {
            if self.rng.chance(400) {
                addresses.insert(address(index));
            }
        }
        addresses
    }

    fn edit_addresses(&mut self) {
        let vip = key(self.rng.below(3));
        let addresses = self.some_addresses();
        self.say(|| format!("user edits {vip} to {addresses:?}"));
        self.edit(|specs| {
            if let Some(spec) = specs.vips.get_mut(&vip) {
                spec.addresses = addresses;
            }
        });
    }

    fn delete_or_create(&mut self) {
        let vip = key(self.rng.below(3));
        let gone = !self.api.titles.contains_key(&vip);
        match self.plan.specs.vips.get(&vip).map(|spec| spec.deleted) {
            Some(false) => {
                self.say(|| format!("user deletes {vip}"));
                self.edit(|specs| specs.vips.get_mut(&vip).unwrap().deleted = true);
            }
            // The finalizer goes when the Lease is gone.
            Some(true) if !gone => {}
            _ => {
                let addresses = self.some_addresses();
                self.create(vip, addresses);
            }
        }
    }

    /// Somebody deletes Leases by hand.
    fn meddle(&mut self, node: usize) {
        if self.rng.chance(500) {
            self.say(|| format!("somebody deletes the Lease of n{node}"));
            self.api.delete_node(&node_name(node));
            let told = self.audience.get(&node).cloned().flatten();
            return self.publish(told);
        }
        let vip = key(self.rng.below(3));
        self.say(|| format!("somebody deletes the Lease of {vip}"));
        self.api.delete_title(&vip);
        self.publish(None);
    }

    /// Lifts every fault and waits for order.
    pub(super) fn recover(&mut self) {
        self.faulty = false;
        self.weather = Weather::default();
        self.reunite();
        self.say(|| "faults are over".into());
        self.edit(|specs| specs.standby.clear());
        for node in 0..self.nodes.len() {
            let (now, node) = (self.now, &mut self.nodes[node]);
            node.paused_until = now.min(node.paused_until);
            node.cut_until = now.min(node.cut_until);
            node.stalled_until = now.min(node.stalled_until);
        }
        let end = self.now + SETTLE;
        while self.failure.is_none() && self.now < end {
            self.reap();
            for node in 0..self.nodes.len() {
                let leaving = self.nodes[node].process.as_ref().is_some_and(|process| process.leaving);
                if self.alive(node).is_none() && !leaving {
                    self.after(MILLI, Happening::Start(node));
                }
            }
            self.run(self.now + SECOND);
        }
        let disorder = self.disorder();
        if let (None, Some(text)) = (&self.failure, disorder) {
            self.fail(format!("{} s after the last fault: {text}", SETTLE / SECOND));
        }
    }

    /// What is not as users want it.
    pub(super) fn disorder(&self) -> Option<String> {
        for (vip, spec) in &self.plan.specs.vips {
            if spec.deleted && self.api.titles.contains_key(vip) {
                return Some(format!("{vip} is deleted but its Lease is still there"));
            }
            let entitled = self.plan.entitled(vip);
            let mut nodes = BTreeSet::new();
            for address in entitled {
                match self.owners(address)[..] {
                    [node] => nodes.insert(node),
                    _ => return Some(format!("{address} of {vip} is on no node")),
                };
            }
            if nodes.len() > 1 {
                return Some(format!("the addresses of {vip} are on {} nodes", nodes.len()));
            }
        }
        let wished: BTreeSet<_> =
            self.plan.specs.vips.keys().flat_map(|vip| self.plan.entitled(vip)).collect();
        let up = self.nodes.iter().flat_map(|node| node.kernel.up.keys());
        up.into_iter().find(|address| !wished.contains(*address)).map(|a| format!("{a} is up but nobody's"))
    }
}
