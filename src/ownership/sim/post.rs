//! Messages between agents: lost, doubled, late and so out of order, as datagrams are.

use std::collections::BTreeMap;

use super::super::event::{Event, Neighbour};
use super::super::lease::NodeName;
use super::super::message::Message;
use super::world::{Happening, World};
use super::{Instant, MILLI, SECOND, node_index, node_name};

/// How the way between agents behaves; per mille of messages.
#[derive(Clone, Copy, Default)]
pub(super) struct Currents {
    pub(super) lost: u64,
    pub(super) doubled: u64,
    /// Arrive up to some seconds late.
    pub(super) late: u64,
}

/// Which agents do not hear which.
#[derive(Clone, Default)]
pub(super) struct Silence {
    /// From the first to the second nothing passes until then.
    ways: BTreeMap<(usize, usize), Instant>,
    /// Nothing from this node passes until then.
    mute: BTreeMap<usize, Instant>,
    /// Nothing to this node passes until then.
    deaf: BTreeMap<usize, Instant>,
}

impl Currents {
    pub(super) fn bad(self) -> bool {
        self.lost + self.doubled + self.late > 0
    }
}

impl Silence {
    pub(super) fn way(&mut self, from: usize, to: usize, until: Instant) {
        self.ways.insert((from, to), until);
    }

    pub(super) fn mute(&mut self, node: usize, until: Instant) {
        self.mute.insert(node, until);
    }

    pub(super) fn deafen(&mut self, node: usize, until: Instant) {
        self.deaf.insert(node, until);
    }

    pub(super) fn cut(&mut self, node: usize, until: Instant) {
        self.mute(node, until);
        self.deafen(node, until);
    }

    fn passes(&self, from: usize, to: usize, now: Instant) -> bool {
        let over = |until: Option<&Instant>| until.is_none_or(|until| *until <= now);
        over(self.mute.get(&from)) && over(self.deaf.get(&to)) && over(self.ways.get(&(from, to)))
    }
}

impl World {
    /// An agent learns which nodes there are.
    pub(super) fn introduce(&mut self, node: usize) {
        if !self.talk {
            return;
        }
        let zoned = |index| Neighbour { zone: Some(format!("z{}", index % 3)) };
        let all = (0..self.nodes.len()).map(|index| (node_name(index), zoned(index))).collect();
        self.feed(node, Event::Neighbours(all));
    }

    pub(super) fn tell(&mut self, from: usize, to: &NodeName, message: &Message) {
        let to = node_index(to);
        if !self.talk || to >= self.nodes.len() {
            return;
        }
        self.messages += 1;
        let Currents { lost, doubled, late } = self.currents;
        let copies = if self.rng.chance(doubled) { 2 } else { 1 };
        for _ in 0..copies {
            if self.rng.chance(lost) || !self.silence.passes(from, to, self.now) {
                continue;
            }
            let late = self.rng.chance(late);
            let delay =
                if late { self.rng.between(0, 4 * SECOND) } else { self.rng.between(MILLI / 20, 2 * MILLI) };
            self.after(delay, Happening::Deliver { from, to, message: message.clone() });
        }
    }

    /// Whoever runs there now gets it, whoever it was meant for.
    pub(super) fn deliver(&mut self, from: usize, to: usize, message: Message) {
        let node = &self.nodes[to];
        if node.process.is_none() || !self.silence.passes(from, to, self.now) {
            return;
        }
        if self.now < node.paused_until {
            return self.at(node.paused_until, Happening::Deliver { from, to, message });
        }
        self.give(to, Event::Message { from: node_name(from), message });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ownership::lease::Version;
    use crate::ownership::sim::outage::{Manner, Outage};
    use crate::ownership::sim::{address, key};
    use crate::ownership::timing::Timing;
    use std::time::Duration;

    fn world() -> World {
        let timing = Timing::new(Duration::from_secs(3), Duration::from_secs(1)).unwrap();
        let mut world = World::talking(1, 3, timing);
        (0..3).for_each(|node| world.start(node));
        world.run(SECOND);
        world.trace = Some(Vec::new());
        world
    }

    fn say(world: &mut World, from: usize, to: usize, version: Version) {
        world.tell(from, &node_name(to), &Message::Silent { key: key(0), version, onto: None });
    }

    /// How often each node heard something.
    fn heard(world: &World) -> [usize; 3] {
        let lines = |node| {
            world.trace.iter().flatten().filter(move |line| line.contains(&format!(" n{node} <- Message")))
        };
        [0, 1, 2].map(|node| lines(node).count())
    }

    #[test]
    fn a_message_reaches_the_one_it_is_for() {
        let mut world = world();
        say(&mut world, 0, 1, 7);
        world.run(world.now + 2 * MILLI);
        assert_eq!(heard(&world), [0, 1, 0]);
    }

    #[test]
    fn nothing_passes_a_cut_or_reaches_a_dead_agent_and_one_that_sleeps_hears_it_later() {
        let mut world = world();
        let later = world.now + SECOND;
        world.silence.way(0, 1, later);
        world.crash(2);
        say(&mut world, 0, 1, 1);
        say(&mut world, 0, 2, 2);
        say(&mut world, 1, 0, 3);
        world.nodes[0].paused_until = later;
        world.run(later - 1);
        assert_eq!(heard(&world), [0, 0, 0]);
        world.run(later);
        assert_eq!(heard(&world), [1, 0, 0]);
    }

    #[test]
    fn the_fence_silences_at_the_deadline_whatever_the_agent_does() {
        let mut world = world();
        world.create(key(0), [address(1)]);
        let address = address(1);
        world.until(2 * SECOND, "an owner", |world| !world.owners(address).is_empty());
        let owner = world.owners(address)[0];
        let end = world.now + 500 * MILLI;
        world.nodes[owner].kernel.fence = Some(world.nodes[owner].clock(end));
        world.nodes[owner].paused_until = end + SECOND;
        world.run(end - MILLI);
        assert_eq!(world.owners(address), [owner]);
        world.run(end + MILLI);
        assert!(world.owners(address).is_empty());
        assert!(world.nodes[owner].kernel.up.contains_key(&address), "the lifetime comes after the fence");
    }

    #[test]
    fn an_api_server_that_hangs_does_late_what_it_was_asked() {
        let mut world = world();
        let until = world.now + 30 * SECOND;
        world.outage = Outage { until, manner: Manner::Hung };
        let before = world.api.writes;
        world.run(until - 1);
        assert_eq!(world.api.writes, before);
        world.run(until + 2 * SECOND);
        assert!(world.api.writes > before);
    }
}
