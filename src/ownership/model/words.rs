//! What happens, in words.

use super::super::event::{Action, NodeWrite, TitleWrite, Why};
use super::super::message::Message;
use super::super::sim::network::Request;
use super::super::sim::node_name;
use super::moves::Move;
use super::node::Sent;
use super::post::Letter;
use super::world::World;

impl World {
    pub(super) fn tell_move(&mut self, way: Move) {
        if self.story.is_none() {
            return;
        }
        let at = |node: usize, at: usize| request(&self.nodes[node].sent[at].request);
        let text = match way {
            Move::Advance => return self.say_time(),
            Move::Start(node) => format!("{} starts its agent", node_name(node)),
            Move::Resume(node) => format!("{} wakes up", node_name(node)),
            Move::Unstall(node) => format!("the watch of {} goes on", node_name(node)),
            Move::Heal(node) => format!("{} reaches the API server again", node_name(node)),
            Move::Mend(node) => format!("{} hears the other agents again", node_name(node)),
            Move::Hear(i) | Move::Straggle(i) | Move::Drop(i) => letter(way, &self.letters[i]),
            Move::Outage => "the API server does nothing any more".into(),
            Move::Part(one, other) => {
                format!("{} and {} do not hear each other any more", node_name(one), node_name(other))
            }
            Move::Join => "all agents hear each other again".into(),
            Move::Restore => "the API server is back".into(),
            Move::Deafen(node) => format!("{} is cut off from the other agents", node_name(node)),
            Move::Land(node) => format!("the call to the kernel of {} is made at last", node_name(node)),
            Move::Stray(node) => format!("a call of the former agent of {} is made", node_name(node)),
            Move::Deliver(node) => format!("the watch of {} delivers one change", node_name(node)),
            Move::Learn(node) => format!("{} learns what users wrote", node_name(node)),
            Move::Call(_) | Move::Tick(_) | Move::Vanish(_) | Move::Expire(_) | Move::Serve(..) => return,
            Move::Answer(node, i) => format!("{} gets the answer to its {}", node_name(node), at(node, i)),
            Move::Tell(node, i) => format!("{} waits no longer for its {}", node_name(node), at(node, i)),
            Move::Lose(node, i) => format!("the {} of {} is lost", at(node, i), node_name(node)),
            Move::Pause(node) => format!("{} falls asleep", node_name(node)),
            Move::PauseInCall(node) => {
                format!(
                    "{} looks at its clock and falls asleep before its call to the kernel",
                    node_name(node)
                )
            }
            Move::PauseAfterCall(node) => {
                format!("{} falls asleep right after a call to its kernel", node_name(node))
            }
            Move::Slow(node) => {
                format!("{} looks at its clock; the call to the kernel takes long", node_name(node))
            }
            Move::Stall(node) => format!("the watch of {} stalls", node_name(node)),
            Move::Cut(node) => format!("{} is cut off from the API server", node_name(node)),
            Move::Crash(node) => format!("the agent of {} is killed", node_name(node)),
            Move::PowerOff(node) => format!("{} loses its power", node_name(node)),
            Move::Late(node, i) => format!("the {} of {} is late", at(node, i), node_name(node)),
            Move::Hold(node, i) | Move::Mute(node, i) => {
                format!("the answer to the {} of {} is late", at(node, i), node_name(node))
            }
            Move::Prefer(node) => format!("a user wants the address on {}", node_name(node)),
            Move::Delete => "a user deletes the VirtualIP".into(),
            Move::Create => "a user creates the VirtualIP again".into(),
            Move::Leave(node) => format!("{} is asked to stop", node_name(node)),
            Move::Abandon(node) => format!("{} has no more time to stop", node_name(node)),
            Move::Standby(node) => format!("a user puts {} on standby, or takes it off", node_name(node)),
            Move::Meddle(node) => format!("somebody deletes the node Lease of {}", node_name(node)),
        };
        self.say(|| text);
    }

    fn say_time(&mut self) {
        let next = self.now + 1;
        if let Some(story) = &mut self.story {
            story.push(format!("{next:>4}  ----"));
        }
    }

    pub(super) fn tell_action(&mut self, node: usize, action: &Action) {
        let text = match action {
            Action::WriteNode(write) => format!("sends a {}", node_write(write)),
            Action::WriteTitle(write) => format!("sends a {}", title_write(write)),
            Action::Began(epoch) => format!("has begun epoch {}", epoch.number),
            Action::Ended(epoch) => format!("knows that its epoch {} is over", epoch.number),
            Action::Set { addresses, .. } if addresses.is_empty() => "takes the address down".into(),
            Action::Set { .. } => "brings the address up".into(),
            _ => return,
        };
        self.say(|| format!("{} {text}", node_name(node)));
    }

    pub(super) fn tell_effect(&mut self, node: usize, sent: &Sent) {
        if self.story.is_none() {
            return;
        }
        let possible = super::requests::possible(&self.api, &sent.request);
        let text = match &sent.request {
            Request::WriteNode(_) | Request::WriteTitle(_) if possible => "takes effect",
            Request::WriteNode(_) | Request::WriteTitle(_) => "meets another version",
            _ => return,
        };
        self.say(|| format!("   the {} of {} {text}", request(&sent.request), node_name(node)));
    }
}

fn letter(way: Move, letter: &Letter) -> String {
    let Letter { from, to, message, .. } = letter;
    let fate = match way {
        Move::Hear(_) => "arrives",
        Move::Straggle(_) => "is late",
        _ => "is lost",
    };
    let text = match message {
        Message::Ask { .. } => "question for a promise",
        Message::Promise { .. } => "promise",
        Message::Refuse { .. } => "refusal",
        Message::Canvass { binding: false, .. } => "question who would vote",
        Message::Canvass { .. } => "call to vote",
        Message::Vote { binding: false, .. } => "word that it would vote",
        Message::Vote { .. } => "vote",
        Message::Silent { .. } => "word that it is silent",
    };
    format!("the {text} of {} to {} {fate}", node_name(*from), node_name(*to))
}

fn request(request: &Request) -> String {
    match request {
        Request::WriteNode(write) => node_write(write),
        Request::WriteTitle(write) => title_write(write),
        Request::ReadNode(node) => format!("read of {node}'s Lease"),
        Request::ReadTitle(_) => "read of the address's Lease".into(),
        Request::Check(..) => "look for others with the address".into(),
        Request::List => "list of all Leases".into(),
    }
}

fn node_write(write: &NodeWrite) -> String {
    let NodeWrite { node, number, nonce, .. } = write;
    if write.open {
        format!("renewal #{} of {node} in epoch {number}", nonce.sequence)
    } else {
        format!("closing of {node}'s epoch {number}")
    }
}

fn title_write(write: &TitleWrite) -> String {
    let to = write
        .content
        .holder
        .as_ref()
        .map(|holder| format!(" ({} in epoch {})", holder.node, holder.epoch.number));
    let to = to.unwrap_or_default();
    match write.why {
        Why::Claim => format!("claim{to}"),
        Why::Offer => "offer to a successor".into(),
        Why::Accept => "acceptance of the offer".into(),
        Why::Appoint => format!("appointment{to}"),
        Why::Clear => "note that nobody is awaited".into(),
        Why::Gift => format!("gift{to}"),
        Why::Release => "release".into(),
        Why::Settle => "list of addresses".into(),
        Why::Confirm => "confirmation of its own".into(),
        Why::Retire => "removal of the Lease".into(),
    }
}
