//! What can happen next.

use std::rc::Rc;

use super::super::event::Event;
use super::super::sim::network::Request;
use super::super::sim::{key, node_name};
use super::super::time::Time;
use super::node::{Hand, Node, Sent, Up};
use super::world::{Faults, World};

/// One thing that happens. Numbers are a node, and the place of one of its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// Time goes on by a tick.
    Advance,
    Start(usize),
    Resume(usize),
    Unstall(usize),
    Heal(usize),
    /// The API server is back.
    Restore,
    /// All agents hear each other again.
    Join,
    /// A node hears the other agents again.
    Mend(usize),
    Call(usize),
    /// A call that took long is made.
    Land(usize),
    /// A call of a former life is made.
    Stray(usize),
    Tick(usize),
    Deliver(usize),
    /// A message arrives.
    Hear(usize),
    /// A node learns what users wrote.
    Learn(usize),
    Vanish(usize),
    Expire(usize),
    /// A request takes effect and is answered.
    Serve(usize, usize),
    /// The answer arrives.
    Answer(usize, usize),
    /// The agent stops waiting.
    Tell(usize, usize),
    /// A request, or its answer, is lost.
    Lose(usize, usize),
    Pause(usize),
    PauseInCall(usize),
    PauseAfterCall(usize),
    Slow(usize),
    Stall(usize),
    Cut(usize),
    /// The API server does nothing any more.
    Outage,
    /// A node is cut off from the other agents.
    Deafen(usize),
    /// Two agents do not hear each other any more.
    Part(usize, usize),
    /// A message takes long.
    Straggle(usize),
    /// A message is lost.
    Drop(usize),
    Crash(usize),
    PowerOff(usize),
    Late(usize, usize),
    /// A late request takes effect, and so does the answer take long.
    Mute(usize, usize),
    /// A request takes effect, and the answer takes long.
    Hold(usize, usize),
    Prefer(usize),
    Delete,
    Create,
    Leave(usize),
    Abandon(usize),
    Meddle(usize),
    /// A node is put on standby, or taken off it.
    Standby(usize),
}

impl Move {
    /// Whether it happens by itself and heals.
    pub(super) fn good(self) -> bool {
        matches!(
            self,
            Self::Advance
                | Self::Start(_)
                | Self::Resume(_)
                | Self::Unstall(_)
                | Self::Heal(_)
                | Self::Restore
                | Self::Join
                | Self::Mend(_)
                | Self::Hear(_)
                | Self::Call(_)
                | Self::Land(_)
                | Self::Tick(_)
                | Self::Deliver(_)
                | Self::Learn(_)
                | Self::Vanish(_)
                | Self::Serve(..)
                | Self::Answer(..)
        )
    }
}

impl Faults {
    /// How many are left of each kind that a walk may choose.
    pub(super) fn kinds(&mut self) -> [&mut u8; 14] {
        let Self {
            all: _,
            standby: _,
            late,
            pauses,
            stalls,
            cuts,
            crashes,
            power,
            preferred,
            leaves,
            deleted,
            meddled,
            post,
            deaf,
            parted,
            outages,
        } = self;
        [
            late, pauses, stalls, cuts, crashes, power, preferred, leaves, deleted, meddled, post, deaf,
            parted, outages,
        ]
    }

    /// What a move takes one of; not where it is no fault.
    pub(super) fn kind(&mut self, way: Move) -> Option<&mut u8> {
        Some(match way {
            Move::Late(..) | Move::Hold(..) => &mut self.late,
            Move::Pause(_) | Move::PauseInCall(_) | Move::PauseAfterCall(_) | Move::Slow(_) => {
                &mut self.pauses
            }
            Move::Stall(_) => &mut self.stalls,
            Move::Cut(_) => &mut self.cuts,
            Move::Crash(_) => &mut self.crashes,
            Move::PowerOff(_) => &mut self.power,
            Move::Prefer(_) => &mut self.preferred,
            Move::Leave(_) | Move::Abandon(_) => &mut self.leaves,
            Move::Delete | Move::Create => &mut self.deleted,
            Move::Meddle(_) => &mut self.meddled,
            Move::Straggle(_) | Move::Drop(_) => &mut self.post,
            Move::Deafen(_) => &mut self.deaf,
            Move::Part(..) => &mut self.parted,
            Move::Outage => &mut self.outages,
            Move::Standby(_) => &mut self.standby,
            _ => return None,
        })
    }
}

impl World {
    /// What can happen next: everything, or what the plot leaves of it.
    pub(super) fn moves(&self, out: &mut Vec<Move>) {
        out.clear();
        self.all_moves(out);
        self.narrow(out);
    }

    fn all_moves(&self, out: &mut Vec<Move>) {
        // A call to the kernel is made at once, unless a fault comes between.
        for (index, node) in self.nodes.iter().enumerate() {
            if let Some(process) = node.running() {
                let waits = process.hand == Hand::Free && !process.calls.is_empty();
                if waits || matches!(process.hand, Hand::Made(..)) {
                    out.push(if waits { Move::Call(index) } else { Move::Land(index) });
                    return self.faults_of(index, node, out);
                }
            }
        }
        // So is a message, and what a node asked of the API server comes in the order of the nodes: what else could be
        // is a matter of faults. Without messages the worlds are small enough for every order.
        if let Some(at) = self.letters.iter().position(|letter| !letter.late) {
            out.push(Move::Hear(at));
            if self.may_strike(self.letters[at].to) && self.faults.post > 0 {
                out.extend([Move::Straggle(at), Move::Drop(at)]);
            }
            if !self.setting.coarse {
                for (index, node) in self.nodes.iter().enumerate() {
                    self.faults_of(index, node, out);
                }
            }
            return;
        }
        if let Some(way) = self.unserved() {
            return out.push(way);
        }
        out.extend((0..self.letters.len()).filter(|at| self.may_hear(*at)).map(Move::Hear));
        for (index, node) in self.nodes.iter().enumerate() {
            self.moves_of(index, node, out);
        }
        if self.setting.talks() || self.setting.coarse {
            self.keep_first(out);
        }
        let rests = self.rests();
        if rests {
            out.push(Move::Advance);
        }
        for (index, node) in self.nodes.iter().enumerate() {
            if rests || !self.setting.coarse {
                self.faults_of(index, node, out);
            }
            self.late_requests(index, node, out);
        }
        if self.away {
            out.push(Move::Restore);
        }
        if self.parted.is_some() {
            out.push(Move::Join);
        }
        self.users(out);
    }

    /// Whether nothing is left to be done at this tick.
    pub(super) fn rests(&self) -> bool {
        self.nodes.iter().all(|node| self.lets_time_pass(node))
    }

    /// Of the requests that are not late only the first takes effect next.
    fn keep_first(&self, out: &mut Vec<Move>) {
        let mut found = false;
        out.retain(|way| match *way {
            Move::Serve(node, at) if !self.nodes[node].sent[at].late => !std::mem::replace(&mut found, true),
            _ => true,
        });
    }

    /// While the API server does nothing an agent waits for no answer: a write may still take effect, a read may not.
    fn unserved(&self) -> Option<Move> {
        let nodes = self.nodes.iter().enumerate().filter(|(_, node)| self.away && node.running().is_some());
        let mut sent = nodes.flat_map(|(index, node)| (0..node.sent.len()).map(move |at| (index, node, at)));
        sent.find_map(|(index, node, at)| {
            let sent = &node.sent[at];
            match &sent.request {
                Request::ReadNode(_) | Request::ReadTitle(_) => Some(Move::Lose(index, at)),
                Request::WriteNode(_) | Request::WriteTitle(_) if !sent.told => Some(Move::Tell(index, at)),
                _ => None,
            }
        })
    }

    /// A message that is late arrives where somebody listens.
    fn may_hear(&self, at: usize) -> bool {
        let node = &self.nodes[self.letters[at].to];
        !node.paused && !node.deaf
    }

    fn moves_of(&self, index: usize, node: &Node, out: &mut Vec<Move>) {
        if let Some(up) = node.up
            && up.earliest == 0
        {
            out.push(Move::Expire(index));
        }
        if node.stray.is_some() {
            out.push(Move::Stray(index));
        }
        match &node.process {
            None => out.push(Move::Start(index)),
            Some(_) if node.paused => out.push(Move::Resume(index)),
            Some(process) => {
                let ways = [
                    (matches!(process.hand, Hand::Checked(..)), Move::Land(index)),
                    (!node.ticked, Move::Tick(index)),
                    (node.vanished, Move::Vanish(index)),
                    (!process.watch.is_empty() && !node.cut, Move::Deliver(index)),
                    (!self.learned(node) && !node.cut, Move::Learn(index)),
                ];
                out.extend(ways.into_iter().filter(|(can, _)| *can).map(|(_, way)| way));
            }
        }
        if node.stalled {
            out.push(Move::Unstall(index));
        }
        if node.cut && !self.away {
            out.push(Move::Heal(index));
        }
        if node.deaf {
            out.push(Move::Mend(index));
        }
        if !self.away {
            for (at, sent) in node.sent.iter().enumerate() {
                requests(index, node, at, sent, out);
            }
        }
    }

    fn learned(&self, node: &Node) -> bool {
        node.process
            .as_ref()
            .is_none_or(|process| Rc::ptr_eq(&process.specs, &self.specs) || process.specs == self.specs)
    }

    /// Whether nothing is left to be done at once.
    fn lets_time_pass(&self, node: &Node) -> bool {
        let Some(process) = &node.process else { return true };
        let alive = |sent: &&Sent| sent.incarnation == process.incarnation;
        let mut sent = node.sent.iter().filter(alive).filter(|sent| !sent.late);
        if node.paused {
            return sent.all(|sent| sent.answer.is_some());
        }
        let heard = process.watch.is_empty() && self.learned(node) || node.stalled || node.cut;
        sent.next().is_none()
            && node.ticked
            && !node.vanished
            && heard
            && process.calls.is_empty()
            && !matches!(process.hand, Hand::Made(..))
    }

    /// Whether a fault is left, and may be this node's.
    fn may_strike(&self, index: usize) -> bool {
        self.faults.all > 0 && self.setting.victim.is_none_or(|victim| victim == index)
    }

    fn faults_of(&self, index: usize, node: &Node, out: &mut Vec<Move>) {
        let left = &self.faults;
        let Some(process) = node.process.as_ref().filter(|_| self.may_strike(index)) else { return };
        if left.pauses > 0 && !node.paused {
            out.push(Move::Pause(index));
            if process.hand == Hand::Free && !process.calls.is_empty() {
                out.extend([Move::PauseInCall(index), Move::PauseAfterCall(index), Move::Slow(index)]);
            }
            if matches!(process.hand, Hand::Checked(..)) {
                out.push(Move::PauseAfterCall(index));
            }
        }
        if left.stalls > 0 && !node.stalled && !node.cut {
            out.push(Move::Stall(index));
        }
        if left.cuts > 0 && !node.cut {
            out.push(Move::Cut(index));
        }
        if left.deaf > 0 && !node.deaf {
            out.push(Move::Deafen(index));
        }
        if left.crashes > 0 {
            out.push(Move::Crash(index));
        }
        if left.power > 0 {
            out.push(Move::PowerOff(index));
        }
    }

    fn late_requests(&self, index: usize, node: &Node, out: &mut Vec<Move>) {
        let left = &self.faults;
        let Some(process) = node.process.as_ref().filter(|_| self.may_strike(index)) else { return };
        if left.late > 0 {
            for (at, sent) in node.sent.iter().enumerate() {
                if sent.incarnation == process.incarnation && !sent.late && sent.answer.is_none() {
                    out.push(Move::Late(index, at));
                    if sent.request != Request::List {
                        out.push(Move::Hold(index, at));
                    }
                }
            }
        }
    }

    fn users(&self, out: &mut Vec<Move>) {
        let left = &self.faults;
        if left.all == 0 {
            return;
        }
        if left.parted > 0 && self.parted.is_none() {
            let pairs = (0..self.nodes.len()).flat_map(|one| (0..one).map(move |other| (other, one)));
            out.extend(pairs.map(|(one, other)| Move::Part(one, other)));
        }
        if left.outages > 0 && !self.away {
            out.push(Move::Outage);
        }
        let spec = &self.specs.vips[&key(0)];
        for (index, node) in self.nodes.iter().enumerate() {
            if left.preferred > 0 && spec.prefer != Some(node_name(index)) {
                out.push(Move::Prefer(index));
            }
            if let Some(process) = node.running().filter(|process| process.listed && left.leaves > 0) {
                out.push(if process.leaving { Move::Abandon(index) } else { Move::Leave(index) });
            }
            if left.meddled > 0 && self.api.nodes.contains_key(&node_name(index)) {
                out.push(Move::Meddle(index));
            }
            if left.standby > 0 {
                out.push(Move::Standby(index));
            }
        }
        if left.deleted > 0 && !spec.deleted {
            out.push(Move::Delete);
        } else if left.deleted > 0 && self.api.titles.is_empty() {
            out.push(Move::Create);
        }
    }

    /// Lets one thing happen.
    pub(super) fn make(&mut self, way: Move) {
        self.tell_move(way);
        self.unfold(way);
        self.pay(way);
        match way {
            Move::Advance => self.advance(),
            Move::Start(node) => self.start(node),
            Move::Resume(node) => self.node(node).paused = false,
            Move::Unstall(node) => self.node(node).stalled = false,
            Move::Heal(node) => self.node(node).cut = false,
            Move::Mend(node) => self.node(node).deaf = false,
            Move::Hear(at) => self.hear(at),
            Move::Straggle(at) => self.straggle(at),
            Move::Drop(at) => drop(self.letters.remove(at)),
            Move::Deafen(node) => {
                self.node(node).deaf = true;
                self.letters.retain(|letter| letter.late || (letter.from != node && letter.to != node));
            }
            Move::Part(one, other) => self.parted = Some((one, other)),
            Move::Join => self.parted = None,
            Move::Outage => self.outage(),
            Move::Restore => self.restore(),
            Move::Call(node) => self.call(node),
            Move::Land(node) => {
                self.land(node);
                self.look(node);
            }
            Move::Stray(node) => {
                if let Some(lifetime) = self.node(node).stray.take() {
                    self.put(node, lifetime);
                }
            }
            Move::Tick(node) => self.tick(node),
            Move::Deliver(node) => self.deliver(node),
            Move::Learn(node) => {
                self.process(node).specs = self.specs.clone();
                self.give(node, Event::Tick);
            }
            Move::Vanish(node) => self.hear_of_vanishing(node),
            Move::Expire(node) => self.expire(node),
            Move::Serve(node, at) => self.serve(node, at, false),
            Move::Hold(node, at) | Move::Mute(node, at) => {
                self.node(node).sent[at].late = true;
                self.serve(node, at, true);
            }
            Move::Answer(node, at) => {
                let sent = self.node(node).sent.remove(at);
                if let Some(answer) = sent.answer {
                    self.give(node, answer);
                }
            }
            Move::Tell(node, at) => {
                self.node(node).sent[at].told = true;
                let given_up = self.nodes[node].sent[at].request.given_up();
                self.bury_requests();
                if let Some(event) = given_up {
                    self.give(node, event);
                }
            }
            Move::Lose(node, at) => {
                self.node(node).sent.remove(at);
            }
            Move::Late(node, at) => self.node(node).sent[at].late = true,
            Move::Pause(node) => self.node(node).paused = true,
            Move::PauseInCall(node) => {
                self.check(node);
                self.node(node).paused = true;
            }
            Move::PauseAfterCall(node) => {
                if self.process(node).hand == Hand::Free {
                    self.check(node);
                }
                self.land(node);
                self.node(node).paused = true;
            }
            Move::Slow(node) => self.check(node),
            Move::Stall(node) => self.node(node).stalled = true,
            Move::Cut(node) => self.cut(node),
            Move::Crash(node) => self.kill(node),
            Move::PowerOff(node) => self.power_off(node),
            Move::Leave(node) => {
                self.process(node).leaving = true;
                self.give(node, Event::Leave);
            }
            Move::Abandon(node) => self.give(node, Event::Abandon),
            Move::Prefer(node) => self.edit(|spec| spec.prefer = Some(node_name(node))),
            Move::Delete => self.edit(|spec| spec.deleted = true),
            Move::Create => self.edit(|spec| spec.deleted = false),
            Move::Standby(node) => {
                let standby = &mut Rc::make_mut(&mut self.specs).standby;
                if !standby.remove(&node_name(node)) {
                    standby.insert(node_name(node));
                }
            }
            Move::Meddle(node) => {
                Rc::make_mut(&mut self.api).delete_node(&node_name(node));
                self.publish();
            }
        }
        self.judge();
    }

    fn outage(&mut self) {
        self.away = true;
        (0..self.nodes.len()).for_each(|node| self.cut(node));
    }

    fn restore(&mut self) {
        self.away = false;
        (0..self.nodes.len()).for_each(|node| self.node(node).cut = false);
    }

    fn power_off(&mut self, index: usize) {
        self.kill(index);
        let node = self.node(index);
        (node.up, node.stray, node.deadline) = (None, None, Time::default());
    }

    fn cut(&mut self, index: usize) {
        let node = self.node(index);
        node.cut = true;
        node.stalled = false;
        node.sent.iter_mut().for_each(|sent| sent.late = true);
    }

    fn edit(&mut self, change: impl FnMut(&mut super::super::sim::placement::Spec)) {
        Rc::make_mut(&mut self.specs).vips.get_mut(&key(0)).into_iter().for_each(change);
    }

    fn pay(&mut self, way: Move) {
        if let Some(kind) = self.faults.kind(way) {
            *kind -= 1;
            self.faults.all -= 1;
        }
    }

    fn advance(&mut self) {
        for index in 0..self.nodes.len() {
            if self.nodes[index].up.is_some_and(|up| up.latest == 0) {
                self.expire(index);
            }
        }
        self.now += 1;
        for index in 0..self.nodes.len() {
            let node = self.node(index);
            node.ticked = node.process.is_none();
            if let Some(up) = node.up.as_mut().filter(|up| **up != Up::FOR_EVER) {
                up.earliest = up.earliest.saturating_sub(1);
                up.latest -= 1;
            }
            if !node.paused && node.process.is_some() {
                self.tick(index);
            }
        }
    }

    fn tick(&mut self, index: usize) {
        self.node(index).ticked = true;
        self.give(index, Event::Tick);
    }
}

/// What can happen to one request.
fn requests(index: usize, node: &Node, at: usize, sent: &Sent, out: &mut Vec<Move>) {
    let alive = node.process.as_ref().is_some_and(|process| process.incarnation == sent.incarnation);
    if sent.answer.is_none() && !(node.cut && alive && read(&sent.request)) {
        out.push(Move::Serve(index, at));
    }
    if !alive {
        return out.push(Move::Lose(index, at));
    }
    let hears = !node.paused && !node.cut;
    if sent.answer.is_some() && hears {
        out.push(Move::Answer(index, at));
    }
    if !sent.late {
        return;
    }
    if sent.answer.is_none() && hears && !read(&sent.request) {
        out.push(Move::Mute(index, at));
    }
    let write = sent.request.given_up().is_some();
    if write && !sent.told && !node.paused {
        out.push(Move::Tell(index, at));
    }
    if sent.told || (!write && sent.request != Request::List) {
        out.push(Move::Lose(index, at));
    }
}

fn read(request: &Request) -> bool {
    matches!(request, Request::ReadNode(_) | Request::ReadTitle(_) | Request::List)
}
