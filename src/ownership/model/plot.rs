//! An outline of what happens: which faults, and in which order. When each of them happens is left to the search, and between
//! them all that is due happens at once.
//!
//! So a story can be searched in every way that has more faults than a whole world has room for.

use std::rc::Rc;

use super::super::event::Why;
use super::super::message::Message;
use super::super::sim::network::Request;
use super::super::sim::node_name;
use super::super::source::Mode;
use super::moves::Move;
use super::world::World;

/// A step follows within so many ticks, where nothing else is said.
const SOON: u64 = 10;

/// Whether a move is the one that is looked for.
type Is = dyn Fn(&World, Move) -> bool;

/// One step of an outline.
pub(super) struct Step {
    is: Box<Is>,
    /// Within how many ticks it follows.
    within: u64,
}

impl Step {
    fn new(is: impl Fn(&World, Move) -> bool + 'static) -> Self {
        Self { is: Box::new(is), within: SOON }
    }

    /// At the same tick as the one before.
    pub(super) fn at_once(self) -> Self {
        Self { within: 0, ..self }
    }

    /// When nothing else is left to be done at that tick.
    pub(super) fn calmly(self) -> Self {
        Self { is: Box::new(move |world, way| world.rests() && (self.is)(world, way)), ..self }
    }
}

/// An outline, how many steps of it have been made, and when the last one was.
#[derive(Clone)]
pub(super) struct Plot {
    steps: Rc<[Step]>,
    made: usize,
    since: u64,
}

impl Plot {
    /// What tells one state of it from another.
    pub(super) fn place(&self, now: u64) -> (usize, u64) {
        (self.made, self.next().map_or(0, |_| now - self.since))
    }

    fn next(&self) -> Option<&Step> {
        self.steps.get(self.made)
    }
}

impl World {
    /// The same world, in which happens what the outline says.
    pub(super) fn along(mut self, steps: impl Into<Rc<[Step]>>) -> Self {
        self.plot = Some(Plot { steps: steps.into(), made: 0, since: self.now });
        self
    }

    /// Leaves of all moves what is due first, and the next step of the plot.
    pub(super) fn narrow(&self, out: &mut Vec<Move>) {
        let Some(plot) = &self.plot else { return };
        let due = out.iter().copied().find(|way| self.is_due(*way));
        match plot.next() {
            None => out.clear(),
            // It has not come to this step.
            Some(step) if self.now - plot.since > step.within => return out.clear(),
            Some(step) => out.retain(|way| Some(*way) != due && (step.is)(self, *way)),
        }
        out.extend(due);
    }

    /// Counts a move that is the next step.
    pub(super) fn unfold(&mut self, way: Move) {
        let Some(mut plot) = self.plot.take() else { return };
        if plot.next().is_some_and(|step| (step.is)(self, way)) {
            (plot.made, plot.since) = (plot.made + 1, self.now);
        }
        self.plot = Some(plot);
    }

    /// Whether it happens by itself: no fault, nothing that heals one, and nothing that takes long.
    fn is_due(&self, way: Move) -> bool {
        match way {
            Move::Serve(node, at) | Move::Answer(node, at) => !self.nodes[node].sent[at].late,
            Move::Hear(at) => !self.letters[at].late,
            Move::Deliver(node) => !self.nodes[node].stalled,
            Move::Land(node) => !self.nodes[node].slow(),
            Move::Advance | Move::Call(_) | Move::Tick(_) | Move::Learn(_) | Move::Vanish(_) => true,
            _ => false,
        }
    }

    /// Whether this is what happens to one of the requests of a node.
    fn befalls(
        &self,
        node: usize,
        what: fn(usize, usize) -> Move,
        way: Move,
        of: &dyn Fn(&Request) -> bool,
    ) -> bool {
        let mut sent = self.nodes[node].sent.iter().enumerate();
        sent.any(|(at, sent)| way == what(node, at) && of(&sent.request))
    }

    fn is_promise(&self, at: usize, to: usize) -> bool {
        self.letters[at].to == to && matches!(self.letters[at].message, Message::Promise { .. })
    }
}

pub(super) fn just(way: Move) -> Step {
    Step::new(move |_, other| other == way)
}

/// What happens to the write of a vip Lease that a node sends for that reason.
pub(super) fn title(node: usize, why: Why, what: fn(usize, usize) -> Move) -> Step {
    let is = move |request: &Request| matches!(request, Request::WriteTitle(write) if write.why == why);
    Step::new(move |world, way| world.befalls(node, what, way, &is))
}

/// What happens to the write with which another node closes an epoch of this one.
pub(super) fn closing(of: usize, what: fn(usize, usize) -> Move) -> Step {
    let is = move |request: &Request| matches!(request, Request::WriteNode(write) if !write.open && write.node == node_name(of));
    Step::new(move |world, way| (0..world.nodes.len()).any(|node| world.befalls(node, what, way, &is)))
}

/// What happens to a renewal.
pub(super) fn renewal(node: usize, what: fn(usize, usize) -> Move) -> Step {
    let is = move |request: &Request| matches!(request, Request::WriteNode(write) if write.open);
    Step::new(move |world, way| world.befalls(node, what, way, &is))
}

/// A node is cut off from the API server while its Lease is about to name promises as its only source.
pub(super) fn cut_in_the_step(node: usize) -> Step {
    let steps = |request: &Request| matches!(request, Request::WriteNode(write) if write.source.mode() == Mode::Witness);
    Step::new(move |world, way| {
        way == Move::Cut(node) && world.nodes[node].sent.iter().any(|sent| steps(&sent.request))
    })
}

/// An agent falls asleep while promises are on their way to it.
pub(super) fn asleep_with_promises_under_way(node: usize) -> Step {
    Step::new(move |world, way| {
        way == Move::Pause(node) && (0..world.letters.len()).any(|at| world.is_promise(at, node))
    })
}

/// A promise arrives that was late.
pub(super) fn late_promise(node: usize) -> Step {
    Step::new(move |world, way| match way {
        Move::Hear(at) => world.letters[at].late && world.is_promise(at, node),
        _ => false,
    })
}
