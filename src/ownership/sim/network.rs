//! The way to the API server and back: requests that are late or lost, and watches.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::super::event::{Answer, Event, NodeWrite, TitleWrite};
use super::super::lease::{Key, NodeName, Version};
use super::agent::About;
use super::api::Change;
use super::world::{Happening, Proc, World};
use super::{Instant, MILLI, SECOND, nanos, node_index};

/// What a process asks of the API server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::ownership) enum Request {
    WriteNode(NodeWrite),
    WriteTitle(TitleWrite),
    ReadNode(NodeName),
    ReadTitle(Key),
    Check(Key, Version, BTreeSet<IpAddr>),
    List,
}

impl Request {
    /// What the agent says when no answer came in time.
    pub(in crate::ownership) fn given_up(&self) -> Option<Event> {
        Some(match self {
            Self::WriteNode(NodeWrite { node, nonce, .. }) => {
                Event::NodeAnswer { node: node.clone(), nonce: *nonce, answer: Answer::Unknown }
            }
            Self::WriteTitle(TitleWrite { key, nonce, .. }) => {
                Event::TitleAnswer { key: key.clone(), nonce: *nonce, answer: Answer::Unknown }
            }
            Self::Check(key, version, _) => {
                Event::Checked { key: key.clone(), version: *version, taken: None }
            }
            Self::List | Self::ReadNode(_) | Self::ReadTitle(_) => return None,
        })
    }
}

/// For how long the log is kept at least.
const KEPT: u64 = 60 * SECOND;

/// How the network and the API server behave; per mille of requests.
#[derive(Clone, Copy, Default)]
pub(super) struct Weather {
    /// Take effect up to some seconds late.
    pub(super) slow: u64,
    /// Take effect, but the answer is lost.
    pub(super) mute: u64,
    /// Never arrive.
    pub(super) lost: u64,
}

impl Weather {
    pub(super) fn bad(self) -> bool {
        self.slow + self.mute + self.lost > 0
    }
}

impl World {
    /// When a request that is sent now is given up.
    pub(super) fn timeout(&self, node: usize) -> Instant {
        self.now + self.nodes[node].span(nanos(self.timing.call_timeout()))
    }

    pub(super) fn send(&mut self, from: Proc, request: Request) {
        if request == Request::List {
            self.process(from.0).lists += 1;
        }
        if self.refused(from, &request) {
            return;
        }
        let timeout = self.timeout(from.0);
        let node = &self.nodes[from.0];
        let cut = self.now < node.cut_until;
        let Weather { slow, mute, lost } = self.weather;
        let mut reach = self.rng.between(MILLI / 2, 4 * MILLI);
        if self.rng.chance(if cut { 200 } else { slow }) {
            reach = self.rng.between(0, 5 * SECOND);
        } else if cut || self.rng.chance(lost) {
            reach = u64::MAX;
        }
        let back = self.rng.between(MILLI / 2, 4 * MILLI);
        let comes = (!cut && !self.rng.chance(mute) && reach != u64::MAX).then(|| self.now + reach + back);
        let in_time = comes.filter(|at| *at < timeout);
        // The agent waits on for an answer that it has given up, and tells it.
        let answered = if self.talk { comes } else { in_time };
        if in_time.is_none() {
            self.at(timeout, self.given_up(from, &request));
        }
        if reach != u64::MAX {
            self.after(reach, Happening::Arrive(from, request, answered));
        }
    }

    pub(super) fn arrive(&mut self, from: Proc, request: Request, answered: Option<Instant>) {
        if self.away() {
            return self.hang(from, request);
        }
        let before = self.api.end();
        self.traffic.request(self.now, &request);
        let mut told = None;
        let event = match request {
            Request::WriteNode(write) => {
                let answer = self.api.write_node(&write);
                told = write
                    .told
                    .as_ref()
                    .map(|told| told.iter().chain([&write.node]).map(node_index).collect());
                if matches!(answer, Answer::Written(..)) {
                    self.audience.insert(node_index(&write.node), told.clone());
                }
                Event::NodeAnswer { node: write.node, nonce: write.nonce, answer }
            }
            Request::WriteTitle(write) => {
                let answer = self.api.write_title(&write);
                self.traffic.title(&write, &answer);
                Event::TitleAnswer { key: write.key, nonce: write.nonce, answer }
            }
            Request::ReadNode(name) => self.api.read_node(&name),
            Request::ReadTitle(key) => self.api.read_title(&key),
            Request::Check(key, version, addresses) => self.api.check(&key, version, &addresses),
            Request::List => {
                let nodes = self.api.nodes.iter();
                let nodes =
                    nodes.map(|(node, lease)| Change::Node(node.clone(), lease.version, Some(lease.clone())));
                let titles = self.api.titles.iter();
                let titles =
                    titles.map(|(k, title)| Change::Title(k.clone(), title.version, Some(title.clone())));
                let all = nodes.chain(titles).collect();
                if let Some(at) = answered {
                    self.at(at, Happening::Listed(from, all, before));
                }
                return;
            }
        };
        if let Some(change) = self.api.entry(before).cloned() {
            self.say(|| format!("   api: {change:?} by n{} incarnation {}", from.0, from.1));
        }
        self.publish(told);
        if let Some(at) = answered {
            self.at(at, Happening::Give(from, event));
        }
    }

    /// Puts everything new in the log on its way to every watch, or to those `told`.
    pub(super) fn publish(&mut self, told: Option<BTreeSet<usize>>) {
        let new = self.api.end();
        let Some(last) = new.checked_sub(1).filter(|_| new > self.published) else { return };
        self.published = new;
        let all = 0..self.nodes.len();
        let tell: Vec<usize> = match &told {
            None => all.collect(),
            Some(told) => told.iter().copied().filter(|node| all.contains(node)).collect(),
        };
        if let Some(told) = told {
            self.told.insert(last, told);
        }
        for node in tell {
            if let Some(to) = self.alive(node)
                && self.process(node).listed
            {
                self.publish_to(to);
            }
        }
    }

    /// Forgets what every watch has delivered.
    pub(super) fn forget(&mut self) {
        self.ends.push_back((self.now, self.api.end()));
        // A list on its way back goes on from where the log ended when it was made.
        let Some((_, mut needed)) = self.ends.pop_front_if(|(at, _)| *at + KEPT < self.now) else { return };
        for node in 0..self.nodes.len() {
            let Some(mut cursor) = self.nodes[node].process.as_ref().filter(|p| p.listed).map(|p| p.cursor)
            else {
                continue;
            };
            while cursor < self.api.end() && !self.concerns(node, cursor) {
                cursor += 1;
            }
            self.process(node).cursor = cursor;
            needed = needed.min(cursor);
        }
        self.api.forget(needed);
        self.told = self.told.split_off(&needed);
    }

    /// Whether the watch of a node delivers this entry of the log.
    fn concerns(&self, node: usize, entry: usize) -> bool {
        self.told.get(&entry).is_none_or(|told| told.contains(&node))
    }

    fn publish_to(&mut self, to: Proc) {
        let log = self.api.end();
        let rare = self.faulty && self.rng.chance(10);
        let delay = self.rng.between(MILLI / 2, if rare { 2 * SECOND } else { 10 * MILLI });
        let at = (self.now + delay).max(self.process(to.0).watched);
        let process = self.process(to.0);
        process.watched = at;
        // One more than needed at worst: it finds nothing to deliver.
        if process.cursor < log {
            self.at(at, Happening::Watch(to));
        }
    }

    pub(super) fn watch(&mut self, to: Proc) {
        let open_at = self.nodes[to.0].reachable_at();
        if self.now < open_at {
            return self.at(open_at, Happening::Watch(to));
        }
        if self.away() {
            return self.at(self.back(), Happening::Watch(to));
        }
        let mut cursor = self.process(to.0).cursor;
        while cursor < self.api.end() && !self.concerns(to.0, cursor) {
            cursor += 1;
        }
        self.process(to.0).cursor = cursor;
        if let Some(change) = self.api.entry(cursor).cloned() {
            self.process(to.0).cursor += 1;
            self.traffic.delivered += 1;
            self.give(to.0, change.event());
        }
    }

    /// A fresh process takes stock of its kernel and of every Lease.
    pub(super) fn listed(&mut self, to: Proc, changes: Vec<Change>, cursor: usize) {
        if self.process(to.0).listed {
            return;
        }
        self.inventory(to.0, &changes);
        self.feed(to.0, Event::Inventoried);
        for change in changes {
            self.feed(to.0, change.event());
        }
        self.process(to.0).cursor = cursor;
        self.process(to.0).listed = true;
        self.feed(to.0, Event::Synced);
        self.introduce(to.0);
        for entry in cursor..self.api.end() {
            if self.concerns(to.0, entry) {
                self.publish_to(to);
            }
        }
        self.place(to.0, About::All);
        self.arm(to.0);
    }
}
