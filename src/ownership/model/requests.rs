//! The way to the API server and back, and the watches.

use std::rc::Rc;

use super::super::event::{Event, NodeWrite, TitleWrite, Why};
use super::super::lease::Expect;
use super::super::rule::{Rule, dropped};
use super::super::sim::api::{Api, Change};
use super::super::sim::network::Request;
use super::super::sim::{address, key, node_name};
use super::node::Sent;
use super::world::World;

/// A watch that has more than this to deliver is begun again, with the latest version of everything.
const MOST_UNHEARD: usize = 3;

impl World {
    /// A request takes effect; its answer is given, or held where the way back is closed.
    pub(super) fn serve(&mut self, index: usize, at: usize, hold: bool) {
        let node = self.node(index);
        let alive = node.process.as_ref().map(|process| process.incarnation);
        let sent = node.sent[at].clone();
        if alive == Some(sent.incarnation) && sent.request == Request::List {
            node.sent.remove(at);
            return self.list(index);
        }
        let answer = self.effect(index, &sent);
        let node = self.node(index);
        if alive != Some(sent.incarnation) {
            node.sent.remove(at);
        } else if hold || node.paused || node.cut {
            node.sent[at].answer = Some(answer);
        } else {
            node.sent.remove(at);
            self.give(index, answer);
        }
        self.publish();
    }

    fn effect(&mut self, index: usize, sent: &Sent) -> Event {
        self.tell_effect(index, sent);
        let api = Rc::make_mut(&mut self.api);
        match sent.request.clone() {
            Request::WriteNode(write) => {
                let write = overwriting_node(api, write);
                let answer = api.write_node(&write);
                Event::NodeAnswer { node: write.node, nonce: write.nonce, answer }
            }
            Request::WriteTitle(write) => {
                let mut write = overwriting_title(api, write);
                // Nothing depends on it.
                write.content.moves = 0;
                let answer = api.write_title(&write);
                Event::TitleAnswer { key: write.key, nonce: write.nonce, answer }
            }
            Request::ReadNode(name) => api.read_node(&name),
            Request::ReadTitle(key) => api.read_title(&key),
            Request::Check(..) | Request::List => Event::Tick,
        }
    }

    /// What changed goes to every watch, and where nothing holds it up it arrives at once.
    pub(super) fn publish(&mut self) {
        if self.api.log.is_empty() {
            return;
        }
        let changes: Vec<Rc<Change>> = Rc::make_mut(&mut self.api).log.drain(..).map(Rc::new).collect();
        self.bury_requests();
        for index in 0..self.nodes.len() {
            let node = self.node(index);
            let prompt = node.hears();
            let Some(process) = node.process.as_mut().filter(|process| process.listed) else { continue };
            let prompt = prompt && process.watch.is_empty();
            process.watch.extend(changes.iter().cloned());
            if prompt {
                while self.nodes[index].process.as_ref().is_some_and(|process| !process.watch.is_empty()) {
                    self.deliver(index);
                }
            } else {
                self.compress(index);
            }
        }
    }

    pub(super) fn deliver(&mut self, index: usize) {
        if let Some(change) = self.process(index).watch.pop_front() {
            self.give(index, (*change).clone().event());
        }
    }

    fn compress(&mut self, index: usize) {
        let watch = &mut self.process(index).watch;
        if watch.len() > MOST_UNHEARD {
            let object = |change: &Change| match change {
                Change::Node(node, ..) => Some(node.clone()),
                Change::Title(..) => None,
            };
            let all: Vec<Rc<Change>> = watch.drain(..).collect();
            for (at, change) in all.iter().enumerate() {
                if !all[at + 1..].iter().any(|later| object(later) == object(change)) {
                    watch.push_back(change.clone());
                }
            }
        }
    }

    /// A fresh process takes stock of every Lease and of its kernel.
    fn list(&mut self, index: usize) {
        let api = self.api.clone();
        for (node, lease) in &api.nodes {
            let event =
                Event::Node { node: node.clone(), version: lease.version, lease: Some(lease.clone()) };
            self.feed(index, event);
        }
        for (key, title) in &api.titles {
            let event = Event::Title { key: key.clone(), version: title.version, title: Some(title.clone()) };
            self.feed(index, event);
        }
        self.feed(index, Event::Synced);
        if self.nodes[index].up.is_some() {
            let title = self.process(index).machine.title(&key(0)).map(|title| title.content.clone());
            let ours = title.is_some_and(|content| {
                content.holder.is_some_and(|holder| holder.node == node_name(index))
                    && content.granted.contains(&address(1))
            });
            if ours {
                self.process(index).up = true;
                self.feed(index, Event::Found { key: key(0), up: [address(1)].into() });
            } else {
                self.node(index).up = None;
            }
        }
        self.process(index).listed = true;
        self.give(index, Event::Inventoried);
    }

    /// Writes of the dead, and those that nobody waits for, are forgotten where they can have no effect any more.
    pub(super) fn bury_requests(&mut self) {
        let api = self.api.clone();
        for index in 0..self.nodes.len() {
            if self.nodes[index].sent.is_empty() {
                continue;
            }
            let node = self.node(index);
            let alive = node.process.as_ref().map(|process| process.incarnation);
            node.sent.retain(|sent| {
                let waits = alive == Some(sent.incarnation) && !sent.told;
                waits
                    || (sent.answer.is_none() && possible(&api, &sent.request))
                    || (alive == Some(sent.incarnation) && sent.answer.is_some())
            });
        }
    }
}

/// Whether a write may still take effect.
pub(super) fn possible(api: &Api, request: &Request) -> bool {
    let (expect, found) = match request {
        Request::WriteNode(write) => (
            overwriting_node(api, write.clone()).expect,
            api.nodes.get(&write.node).map(|lease| lease.version),
        ),
        Request::WriteTitle(write) => (
            overwriting_title(api, write.clone()).expect,
            api.titles.get(&write.key).map(|title| title.version),
        ),
        _ => return false,
    };
    match expect {
        Expect::Absent => found.is_none(),
        Expect::At(version) => found == Some(version),
    }
}

/// Makes a write one that expects whatever is there, where the compare-and-swap is dropped.
fn overwriting_node(api: &Api, mut write: NodeWrite) -> NodeWrite {
    if !write.open && dropped(Rule::CloseByCas) {
        write.expect = api.nodes.get(&write.node).map_or(Expect::Absent, |lease| Expect::At(lease.version));
    }
    write
}

fn overwriting_title(api: &Api, mut write: TitleWrite) -> TitleWrite {
    let dropped = match write.why {
        Why::Claim => dropped(Rule::ClaimByCas),
        Why::Retire => dropped(Rule::RetireByCas),
        Why::Confirm => dropped(Rule::ConfirmByCas),
        Why::Appoint | Why::Gift | Why::Release => dropped(Rule::GiveByCas),
        _ => false,
    };
    if dropped {
        write.expect = api.titles.get(&write.key).map_or(Expect::Absent, |title| Expect::At(title.version));
    }
    write
}
