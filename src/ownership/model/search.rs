//! Goes through every state that can be reached, the nearest first.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::fingerprint::Fingerprint;
use super::moves::Move;
use super::world::World;

/// Fingerprints are spread already.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only fingerprints are keys")
    }

    fn write_u64(&mut self, print: u64) {
        self.0 = print;
    }
}

type Seen = HashMap<u64, u32, BuildHasherDefault<Spread>>;

/// A search ends when so many states wait for their turn: they take some 10 kB each.
const MOST_WAITING: usize = 500_000;

/// A state that waits for its turn, as the one before it and what is done there: most wait in vain, and several share that one.
struct Waiting {
    id: u32,
    before: Rc<World>,
    /// None for the first state.
    way: Option<Move>,
}

impl Waiting {
    fn world(self) -> World {
        let mut world = Rc::unwrap_or_clone(self.before);
        if let Some(way) = self.way {
            world.make(way);
        }
        world
    }
}

/// How a state was first reached.
#[derive(Clone, Copy)]
struct Step {
    from: u32,
    /// The place among the moves of `from`.
    way: u16,
    depth: u16,
}

/// What a search found.
pub(super) struct Found {
    pub(super) states: usize,
    pub(super) depth: u16,
    pub(super) took: Duration,
    /// Whether every state was looked at.
    pub(super) complete: bool,
    /// The shortest story that ends badly.
    pub(super) story: Option<String>,
    /// States from which no owner can be reached without another fault.
    pub(super) stuck: Option<String>,
}

/// Where a search may end.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    pub(super) states: usize,
    /// Whether the way back from every state to order is looked for.
    pub(super) liveness: bool,
}

/// Searches from `first`.
pub(super) fn search(first: &World, limit: Limit) -> Found {
    let began = Instant::now();
    let mut search = Search {
        first,
        seen: Seen::default(),
        steps: vec![Step { from: 0, way: 0, depth: 0 }],
        queue: VecDeque::from([Waiting { id: 0, before: Rc::new(first.clone()), way: None }]),
        print: Fingerprint::default(),
        back: Vec::new(),
        order: Vec::new(),
    };
    let print = first.fingerprint(&mut search.print);
    search.seen.insert(print, 0);
    let bad = search.run(limit);
    let complete = bad.is_none() && search.queue.is_empty();
    let stuck = (limit.liveness && complete).then(|| search.stuck()).flatten();
    Found {
        states: search.steps.len(),
        depth: search.steps.last().map_or(0, |step| step.depth),
        took: began.elapsed(),
        complete,
        story: bad.map(|state| search.story(state)),
        stuck: stuck.map(|state| search.story(state)),
    }
}

struct Search<'a> {
    first: &'a World,
    seen: Seen,
    steps: Vec<Step>,
    queue: VecDeque<Waiting>,
    print: Fingerprint,
    /// For the way back: (to, from) of every move without a fault.
    back: Vec<(u32, u32)>,
    /// States in which everything is as users want it.
    order: Vec<u32>,
}

impl Search<'_> {
    /// The first state in which a promise is broken.
    fn run(&mut self, limit: Limit) -> Option<u32> {
        let mut moves = Vec::new();
        while self.steps.len() < limit.states && self.queue.len() < MOST_WAITING {
            let waiting = self.queue.pop_front()?;
            let id = waiting.id;
            let world = Rc::new(waiting.world());
            if limit.liveness && world.in_order() {
                self.order.push(id);
            }
            world.moves(&mut moves);
            for (way, next) in moves.iter().enumerate() {
                let (to, bad) = self.reach(id, way, &world, *next);
                if bad {
                    return Some(to);
                }
                if limit.liveness && next.good() && to != id {
                    self.back.push((to, id));
                }
            }
        }
        None
    }

    fn reach(&mut self, from: u32, way: usize, before: &Rc<World>, next: Move) -> (u32, bool) {
        let mut world = World::clone(before);
        world.make(next);
        let print = world.fingerprint(&mut self.print);
        let id = u32::try_from(self.steps.len()).unwrap();
        match self.seen.entry(print) {
            Entry::Occupied(known) => (*known.get(), false),
            Entry::Vacant(place) => {
                place.insert(id);
                let depth = self.steps[from as usize].depth + 1;
                self.steps.push(Step { from, way: u16::try_from(way).unwrap(), depth });
                self.queue.push_back(Waiting { id, before: before.clone(), way: Some(next) });
                (id, world.failure.is_some())
            }
        }
    }

    /// A state from which order cannot be reached without another fault: the nearest one.
    fn stuck(&mut self) -> Option<u32> {
        let mut reaches = vec![false; self.steps.len()];
        self.back.sort_unstable();
        let mut stack = std::mem::take(&mut self.order);
        while let Some(state) = stack.pop() {
            if std::mem::replace(&mut reaches[state as usize], true) {
                continue;
            }
            let first = self.back.partition_point(|(to, _)| *to < state);
            let before = self.back[first..].iter().take_while(|(to, _)| *to == state);
            stack.extend(before.map(|(_, from)| *from).filter(|from| !reaches[*from as usize]));
        }
        reaches.iter().position(|reached| !reached).map(|state| u32::try_from(state).unwrap())
    }

    /// How a state was reached, in words.
    fn story(&self, state: u32) -> String {
        let mut ways = Vec::new();
        let mut at = state;
        while at != 0 {
            let step = self.steps[at as usize];
            ways.push(step.way);
            at = step.from;
        }
        let mut world = self.first.clone();
        world.story = Some(Vec::new());
        let mut moves: Vec<Move> = Vec::new();
        for way in ways.into_iter().rev() {
            world.moves(&mut moves);
            world.make(moves[usize::from(way)]);
        }
        world.told()
    }
}
