//! One `VirtualIP` as seen from this node: its Lease, its addresses in the kernel, and what to do next (rules 6
//! to 11).

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::event::{Action, Answer, TitleWrite, Want, Why};
use super::lease::{Epoch, Expect, Holder, Key, NodeName, Nonce, Offer, Title, TitleContent, Version};
use super::life::Nonces;
use super::memo::Memo;
use super::message::Message;
use super::need::Need;
use super::peers::Peers;
use super::rule::{Rule, dropped};
use super::time::Time;
use super::timing::Timing;

type Addresses = BTreeSet<IpAddr>;

/// So many nodes after the owner renew briskly although they own nothing: a node that renews slowly must write once
/// more before it may claim.
const NEXT_IN_LINE: u32 = 2;

/// What is known of the Lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Known {
    Unknown,
    Absent(Version),
    Present(Title),
}

/// Whose the Lease is, judged at its latest known version.
enum Standing {
    /// Not known yet.
    Unknown,
    /// Ours, in the current epoch.
    Mine,
    /// Ours, in the current epoch, but the one before may still answer (rule 17).
    Awaiting,
    /// A living other's.
    Theirs,
    /// Nobody's, or a dead epoch's: it may be claimed.
    Free,
}

/// A read of all Leases that looks for others who list our addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
enum Check {
    #[default]
    None,
    Asked(Version),
    Seen(Version, Addresses),
}

/// The machine's facts that a seat decides by.
pub(super) struct Context<'a> {
    pub(super) now: Time,
    pub(super) me: &'a NodeName,
    /// The epoch, if its right runs.
    pub(super) right: Option<&'a Epoch>,
    /// A former life's epoch is being looked at: the kernel is left as it is.
    pub(super) waking: bool,
    /// The epoch was begun by a former life.
    pub(super) continued: bool,
    pub(super) leaving: bool,
    pub(super) peers: &'a Peers,
    pub(super) timing: &'a Timing,
}

/// One `VirtualIP` on this node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Seat {
    known: Known,
    want: Option<Want>,
    /// Addresses that are up in the kernel.
    up: Addresses,
    /// A call to the kernel is under way: one hand for each address (rule 8).
    setting: bool,
    /// Addresses vanished since the last call was asked for. An extension under way may have brought them back,
    /// so only another call makes sure.
    unsure: bool,
    /// The write under way, and the version that it is to follow.
    flight: Option<(Nonce, Version)>,
    /// The last write of this process that succeeded: the version that it followed, and the one that it made.
    wrote: Option<(Version, Version)>,
    /// At this version a gift or release was sent: no answering before a later version is known (rule 9).
    given: Option<Version>,
    /// At this version a write was sent that takes these off the list: the same for them.
    ceded: Option<(Version, Addresses)>,
    /// Who said last that the address is silent there, and as of which version. It may be one that is not known yet.
    heard: Option<(NodeName, Version)>,
    /// As of this version it was said that the address is silent here.
    said: Option<Version>,
    /// A write of this process on the Lease succeeded.
    own: bool,
    check: Check,
    check_rest_until: Time,
    free_since: Option<Time>,
    /// When the pending offer was first seen, and to whom.
    offered: Option<(NodeName, Time)>,
    /// Successors that did not accept in time.
    silent: BTreeSet<NodeName>,
    rest_until: Time,
    /// Addresses that the kernel could not be brought to, and when to try again.
    refused: Option<(Addresses, Time)>,
    /// What the machine has counted for it.
    pub(super) counted: Memo<Need>,
}

impl Seat {
    pub(super) fn new(synced: bool) -> Self {
        Self {
            known: if synced { Known::Absent(0) } else { Known::Unknown },
            want: None,
            up: Addresses::new(),
            setting: false,
            unsure: false,
            flight: None,
            wrote: None,
            given: None,
            ceded: None,
            heard: None,
            said: None,
            own: false,
            check: Check::None,
            check_rest_until: Time::default(),
            free_since: None,
            offered: None,
            silent: BTreeSet::new(),
            rest_until: Time::default(),
            refused: None,
            counted: Memo::default(),
        }
    }

    pub(super) fn title(&self) -> Option<&Title> {
        match &self.known {
            Known::Present(title) => Some(title),
            Known::Unknown | Known::Absent(_) => None,
        }
    }

    /// The latest version that is known.
    fn version(&self) -> Option<Version> {
        match &self.known {
            Known::Unknown => None,
            Known::Absent(version) => Some(*version),
            Known::Present(title) => Some(title.version),
        }
    }

    pub(super) fn up(&self) -> &Addresses {
        &self.up
    }

    /// Nothing is up and nothing under way in the kernel.
    pub(super) fn silent(&self) -> bool {
        self.up.is_empty() && !self.setting && !self.unsure
    }

    /// Nothing is left to do with it.
    pub(super) fn forgettable(&self) -> bool {
        self.silent()
            && self.flight.is_none()
            && matches!(self.known, Known::Absent(_))
            && matches!(self.want, None | Some(Want::Abstain | Want::Retire { .. }))
    }

    pub(super) fn synced(&mut self) {
        if self.known == Known::Unknown {
            self.known = Known::Absent(0);
        }
    }

    pub(super) fn found(&mut self, up: Addresses) {
        self.up.extend(up);
    }

    pub(super) fn want(&mut self, want: Want) {
        if self.want.as_ref() != Some(&want) {
            self.silent.clear();
            self.want = Some(want);
        }
    }

    /// Takes in a version of the Lease; versions only go forward (rule 7).
    pub(super) fn observe(&mut self, version: Version, title: Option<Title>, now: Time) {
        if self.version().is_some_and(|known| version <= known) {
            return;
        }
        if self.given.is_some_and(|given| version > given) {
            self.given = None;
        }
        if self.ceded.as_ref().is_some_and(|(ceded, _)| version > *ceded) {
            self.ceded = None;
        }
        let offer = title.as_ref().and_then(|title| title.content.offer.as_ref());
        let to = offer.map(|offer| offer.to.node.clone());
        if self.offered.as_ref().map(|(node, _)| node) != to.as_ref() {
            self.offered = to.map(|node| (node, now));
        }
        self.check = Check::None;
        self.said = None;
        self.heard = self.heard.take().filter(|(_, heard)| *heard >= version || dropped(Rule::SilentAsOf));
        self.known = title.map_or(Known::Absent(version), Known::Present);
    }

    pub(super) fn answered(
        &mut self,
        key: &Key,
        nonce: Nonce,
        answer: Answer<Title>,
        now: Time,
        timing: &Timing,
        out: &mut Vec<Action>,
    ) {
        let flight = self.flight.take_if(|(flight, _)| *flight == nonce);
        match answer {
            Answer::Written(version, title) => {
                self.own = true;
                self.wrote = flight.map(|(_, onto)| (onto, version)).or(self.wrote);
                self.observe(version, title, now);
            }
            Answer::Conflict | Answer::Unknown => {
                self.rest_until = now + timing.retry;
                // What was said may have been lost like this.
                self.said = None;
                out.push(Action::ReadTitle(key.clone()));
            }
        }
    }

    pub(super) fn checked(&mut self, version: Version, taken: Option<Addresses>, now: Time, timing: &Timing) {
        if self.check != Check::Asked(version) {
            return;
        }
        self.check = match taken {
            Some(taken) => Check::Seen(version, taken),
            None => Check::None,
        };
        self.check_rest_until = match &self.check {
            Check::Seen(_, taken) if taken.is_empty() => now,
            Check::Seen(..) => now + timing.renew,
            Check::None | Check::Asked(_) => now + timing.retry,
        };
    }

    pub(super) fn kernel(&mut self, up: Addresses, asked: &Addresses, now: Time, timing: &Timing) {
        self.setting = false;
        self.refused = (up != *asked).then(|| (asked.clone(), now + timing.retry));
        self.up = up;
    }

    pub(super) fn vanished(&mut self, address: IpAddr) {
        self.unsure |= self.up.remove(&address) || self.setting;
    }

    /// Another node says that the address is silent there, as the Lease wanted it at this version. If it made that version
    /// out of one that is known here, this node need not wait until a watch tells it what it says.
    pub(super) fn hear(&mut self, from: NodeName, version: Version, onto: Option<Version>, now: Time) {
        if let Some(title) = self.title().filter(|title| Some(title.version) == onto)
            && let Some(content) = appointment(&title.content)
        {
            let deleting = title.deleting;
            self.observe(version, Some(Title { version, content, deleting }), now);
        }
        let old = self.version().is_some_and(|known| version < known);
        if !old && self.heard.as_ref().is_none_or(|(_, heard)| *heard <= version) {
            self.heard = Some((from, version));
        }
    }

    fn standing(&self, cx: &Context<'_>) -> Standing {
        let title = match &self.known {
            Known::Unknown => return Standing::Unknown,
            Known::Absent(_) => return Standing::Free,
            Known::Present(title) => title,
        };
        match &title.content.holder {
            None => Standing::Free,
            Some(holder) if holder.node == *cx.me && cx.right.is_some_and(|right| names(holder, right)) => {
                if self.lingering(title, cx).is_some() {
                    Standing::Awaiting
                } else {
                    Standing::Mine
                }
            }
            Some(holder) if cx.peers.dead(holder, title.version, cx.now, cx.timing) => Standing::Free,
            Some(_) => Standing::Theirs,
        }
    }

    /// The former holder, if it may answer at this version (rule 17). What it says counts for exactly the version that it
    /// names: once silent it does not answer before a later one names it.
    fn lingering<'a>(&self, title: &'a Title, cx: &Context<'_>) -> Option<&'a Holder> {
        let awaited = title.content.awaiting.as_deref().filter(|awaited| awaited.node != *cx.me)?;
        let heard = |(from, version): &(NodeName, Version)| {
            *from == awaited.node && (*version == title.version || dropped(Rule::SilentAsOf))
        };
        let gone = self.heard.as_ref().is_some_and(heard)
            || cx.peers.dead(awaited, title.version, cx.now, cx.timing);
        (!gone).then_some(awaited)
    }

    /// Whether nobody who lives holds it, as far as known.
    fn free(&self, cx: &Context<'_>) -> bool {
        match &self.known {
            Known::Unknown => false,
            Known::Absent(_) => true,
            Known::Present(title) => {
                let holder = title.content.holder.as_ref();
                holder.is_none_or(|holder| cx.peers.dead(holder, title.version, cx.now, cx.timing))
            }
        }
    }

    /// Whether the Lease names this (node, epoch).
    pub(super) fn held_by(&self, me: &NodeName, epoch: Option<&Epoch>) -> bool {
        let holder = self.title().and_then(|title| title.content.holder.as_ref());
        holder.is_some_and(|holder| holder.node == *me && Some(&holder.epoch) == epoch)
    }

    /// Whether it matters for it how one of these nodes is: its Lease names it, or this node would hand it over.
    pub(super) fn depends_on(&self, nodes: &BTreeSet<NodeName>) -> bool {
        let named = self.title().is_some_and(|title| {
            let TitleContent { holder, awaiting, offer, .. } = &title.content;
            let offered = offer.iter().map(|offer| &offer.to);
            holder.iter().chain(awaiting.as_deref()).chain(offered).any(|holder| nodes.contains(&holder.node))
        });
        named || matches!(self.want, Some(Want::Yield { .. }))
    }

    pub(super) fn need(&self, cx: &Context<'_>, epoch: Option<&Epoch>) -> Need {
        let (speaking, held) = (!self.silent(), self.held_by(cx.me, epoch));
        Need { speaking, held, brisk: speaking || held || self.brisk(cx) }
    }

    /// Whether this node, which does not hold it, has a reason to renew briskly for it.
    fn brisk(&self, cx: &Context<'_>) -> bool {
        let wanted = match self.want {
            Some(Want::Hold { .. }) => true,
            Some(Want::Retire { steward }) => steward && self.title().is_some(),
            _ => false,
        };
        let next_in_line = matches!(self.want, Some(Want::Hold { rank, .. }) if rank <= NEXT_IN_LINE);
        let offered = self.title().and_then(|title| title.content.offer.as_ref());
        next_in_line || (wanted && self.free(cx)) || offered.is_some_and(|offer| offer.to.node == *cx.me)
    }

    /// Decides on the next call to the kernel and the next write; at most one of each.
    pub(super) fn decide(&mut self, key: &Key, cx: &Context<'_>, nonces: &mut Nonces, out: &mut Vec<Action>) {
        self.give_up_on_silent_successor(cx);
        self.set_kernel(key, cx, out);
        self.say_silent(key, cx, out);
        let standing = self.standing(cx);
        if !matches!(standing, Standing::Free) {
            self.free_since = None;
        }
        if self.flight.is_some() || cx.right.is_none() || cx.now < self.rest_until {
            return;
        }
        let next = match standing {
            Standing::Unknown | Standing::Awaiting => None,
            Standing::Mine => self.as_holder(key, cx, out),
            Standing::Theirs => self.as_awaited(cx).or_else(|| self.as_successor(cx)),
            Standing::Free => self.as_claimer(cx).or_else(|| self.as_awaited(cx)),
        };
        if let Some((why, content)) = next {
            self.write(key, why, content, nonces, out);
        }
    }

    fn write(
        &mut self,
        key: &Key,
        why: Why,
        content: TitleContent,
        nonces: &mut Nonces,
        out: &mut Vec<Action>,
    ) {
        let (expect, version) = match &self.known {
            Known::Present(title) => (Expect::At(title.version), title.version),
            Known::Absent(version) => (Expect::Absent, *version),
            Known::Unknown => return,
        };
        if matches!(why, Why::Gift | Why::Release | Why::Retire) && !dropped(Rule::GivenIsGiven) {
            self.given = Some(version);
        }
        let ceded = self.title().map(|title| &title.content.granted - &content.granted).unwrap_or_default();
        if why == Why::Settle && !ceded.is_empty() {
            self.ceded = Some((version, ceded));
        }
        let nonce = nonces.draw();
        self.flight = Some((nonce, version));
        out.push(Action::WriteTitle(TitleWrite { key: key.clone(), expect, content, why, nonce }));
    }

    fn set_kernel(&mut self, key: &Key, cx: &Context<'_>, out: &mut Vec<Action>) {
        if cx.waking || self.setting {
            return;
        }
        let target = self.target(cx);
        let refused = self.refused.as_ref().is_some_and(|(same, until)| *same == target && cx.now < *until);
        if !refused && (target != self.up || self.unsure) {
            self.setting = true;
            self.unsure = false;
            out.push(Action::Set { key: key.clone(), addresses: target });
        }
    }

    /// Whoever holds now waits for this.
    fn say_silent(&mut self, key: &Key, cx: &Context<'_>, out: &mut Vec<Action>) {
        let Some(title) = self.title() else { return };
        let awaited = title.content.awaiting.as_ref().is_some_and(|awaited| awaited.node == *cx.me);
        let holder = title.content.holder.as_ref().filter(|holder| awaited && holder.node != *cx.me);
        let version = title.version;
        if let Some(holder) = holder
            && (self.silent() || dropped(Rule::SilentBeforeSaying))
            && self.said != Some(version)
        {
            let onto = self.wrote.and_then(|(onto, made)| (made == version).then_some(onto));
            let message = Message::Silent { key: key.clone(), version, onto };
            out.push(Action::Send { to: holder.node.clone(), message });
            self.said = Some(version);
        }
    }

    /// The addresses that may be up (rule 7).
    fn target(&self, cx: &Context<'_>) -> Addresses {
        let Standing::Mine = self.standing(cx) else { return Addresses::new() };
        let Some(title) = self.title() else { return Addresses::new() };
        if self.given.is_some() || self.steps_aside(title, cx) {
            return Addresses::new();
        }
        let mut entitled = title.content.granted.clone();
        if let Some(wanted) = self.entitled() {
            entitled = &entitled & wanted;
        }
        if let Some((_, ceded)) = &self.ceded {
            entitled = &entitled - ceded;
        }
        // In a continued epoch a write of the former life may still be under way: what is up may stay, since that
        // life gave nothing away while it was up; nothing absent is added before a write of our own.
        let unsure = cx.continued && !self.own && !dropped(Rule::ConfirmBeforeAdding);
        if unsure { &entitled & &self.up } else { entitled }
    }

    fn entitled(&self) -> Option<&Addresses> {
        match self.want.as_ref()? {
            Want::Hold { addresses, .. } | Want::Yield { addresses, .. } => Some(addresses),
            Want::Abstain | Want::Retire { .. } => None,
        }
    }

    /// Whether the holder must fall silent because the address leaves this node.
    fn steps_aside(&self, title: &Title, cx: &Context<'_>) -> bool {
        match &self.want {
            _ if title.deleting => true,
            Some(Want::Retire { .. } | Want::Abstain) => true,
            Some(Want::Yield { to, must, .. }) => match Self::accepted(title, to, cx) {
                // It answers until the successor is written in, if that one can wait.
                Some(offer) => !offer.waits,
                None => *must && self.successor(to, cx).is_none(),
            },
            Some(Want::Hold { .. }) | None => false,
        }
    }

    /// The offer that was accepted, if its successor's epoch is still open.
    fn accepted<'a>(title: &'a Title, to: &[NodeName], cx: &Context<'_>) -> Option<&'a Offer> {
        let offer = title.content.offer.as_ref()?;
        let valid = offer.accepted && to.contains(&offer.to.node) && alive(&offer.to, cx);
        valid.then_some(offer)
    }

    /// The best successor with an open epoch that has not let an offer pass.
    fn successor(&self, to: &[NodeName], cx: &Context<'_>) -> Option<Holder> {
        to.iter().filter(|node| !self.silent.contains(*node) && *node != cx.me).find_map(|node| {
            let epoch = cx.peers.open_epoch(node)?.clone();
            Some(Holder { node: node.clone(), epoch })
        })
    }

    fn give_up_on_silent_successor(&mut self, cx: &Context<'_>) {
        let accepted =
            self.title().and_then(|title| title.content.offer.as_ref()).is_some_and(|o| o.accepted);
        if let Some((node, since)) = &self.offered
            && !accepted
            && cx.now.since(*since) >= cx.timing.offer
        {
            self.silent.insert(node.clone());
        }
    }

    fn as_holder(
        &mut self,
        key: &Key,
        cx: &Context<'_>,
        out: &mut Vec<Action>,
    ) -> Option<(Why, TitleContent)> {
        let mut title = self.title()?.clone();
        // Whoever was awaited is silent, else this node would not be the holder yet.
        let awaited = title.content.awaiting.take();
        let content = title.content.clone();
        if self.steps_aside(&title, cx) {
            let silent = self.silent() || dropped(Rule::SilentBeforeGift);
            return silent.then(|| self.part(&title, cx));
        }
        if self.given.is_some() || (cx.continued && !self.own) {
            return Some((Why::Confirm, content));
        }
        match &self.want {
            Some(Want::Yield { to, .. }) => {
                if Self::accepted(&title, to, cx).is_some() {
                    return appointment(&content).map(|content| (Why::Appoint, content));
                }
                let successor = self.successor(to, cx);
                let asked = content.offer.as_ref().map(|offer| &offer.to);
                if successor.as_ref() != asked {
                    let offer = successor.map(|to| Offer { to, accepted: false, waits: false });
                    return Some((Why::Offer, TitleContent { offer, ..content }));
                }
            }
            Some(Want::Hold { .. }) if content.offer.is_some() => {
                return Some((Why::Offer, TitleContent { offer: None, ..content }));
            }
            _ => {}
        }
        // A living one clears it itself.
        if awaited.is_some_and(|awaited| cx.peers.dead(&awaited, title.version, cx.now, cx.timing)) {
            return Some((Why::Clear, content));
        }
        self.settle(key, content, title.version, cx.now, out)
    }

    /// The address is silent here: give it to the successor that accepted, or to nobody.
    fn part(&self, title: &Title, cx: &Context<'_>) -> (Why, TitleContent) {
        let content = title.content.clone();
        if let Some(Want::Yield { to, .. }) = &self.want
            && let Some(offer) = Self::accepted(title, to, cx)
        {
            return (Why::Gift, handed_to(&content, &offer.to));
        }
        if matches!(self.want, Some(Want::Retire { .. })) || title.deleting {
            return (Why::Retire, TitleContent::default());
        }
        (Why::Release, TitleContent { holder: None, offer: None, ..content })
    }

    /// Brings the listed addresses in line with those entitled to: what is new is first asked for, then looked for
    /// in every other Lease, then granted; what is gone leaves the list when it is silent.
    fn settle(
        &mut self,
        key: &Key,
        content: TitleContent,
        version: Version,
        now: Time,
        out: &mut Vec<Action>,
    ) -> Option<(Why, TitleContent)> {
        let entitled = self.entitled()?.clone();
        if self.ceded.as_ref().is_some_and(|(_, ceded)| !ceded.is_disjoint(&entitled)) {
            return Some((Why::Confirm, content));
        }
        let missing = &entitled - &content.granted;
        let surplus = &content.granted - &entitled;
        let silenced = !surplus.is_empty() && !self.setting && self.up.is_disjoint(&surplus);
        if silenced || missing != content.wanted {
            let granted = if silenced { &content.granted & &entitled } else { content.granted.clone() };
            return Some((Why::Settle, TitleContent { granted, wanted: missing, ..content }));
        }
        if missing.is_empty() {
            return None;
        }
        let taken = match &self.check {
            Check::Asked(_) => return None,
            Check::Seen(seen, taken) if *seen == version => taken.clone(),
            Check::Seen(..) | Check::None => missing.clone(),
        };
        let free = &missing - &taken;
        if free.is_empty() && now < self.check_rest_until {
            return None;
        }
        if free.is_empty() {
            self.check = Check::Asked(version);
            out.push(Action::Check { key: key.clone(), version, addresses: missing });
            return None;
        }
        Some((
            Why::Settle,
            TitleContent { granted: &content.granted | &free, wanted: &missing & &taken, ..content },
        ))
    }

    fn as_successor(&self, cx: &Context<'_>) -> Option<(Why, TitleContent)> {
        let content = &self.title()?.content;
        let offer = content.offer.as_ref()?;
        let mine = offer.to.node == *cx.me && Some(&offer.to.epoch) == cx.right && !offer.accepted;
        let willing = mine && !cx.leaving && matches!(self.want, Some(Want::Hold { .. }));
        willing.then(|| {
            let offer = Some(Offer { to: offer.to.clone(), accepted: true, waits: true });
            (Why::Accept, TitleContent { offer, ..content.clone() })
        })
    }

    /// The address is silent here, and nobody needs to wait for this node any more.
    fn as_awaited(&self, cx: &Context<'_>) -> Option<(Why, TitleContent)> {
        let content = &self.title()?.content;
        let awaited = content.awaiting.as_ref()?;
        let mine = awaited.node == *cx.me && Some(&awaited.epoch) == cx.right;
        (mine && self.silent()).then(|| (Why::Clear, TitleContent { awaiting: None, ..content.clone() }))
    }

    fn as_claimer(&mut self, cx: &Context<'_>) -> Option<(Why, TitleContent)> {
        let since = *self.free_since.get_or_insert(cx.now);
        let old = self.title().map(|title| title.content.clone()).unwrap_or_default();
        let lingering = self.title().and_then(|title| self.lingering(title, cx));
        let awaiting = lingering.filter(|_| !dropped(Rule::ClaimWaits)).cloned().map(Box::new);
        match self.want.as_ref()? {
            // Nobody else would know that the one before still answers.
            Want::Retire { .. } if awaiting.is_some() => None,
            Want::Retire { steward: true } if self.title().is_some() && self.silent() => {
                Some((Why::Retire, TitleContent::default()))
            }
            Want::Hold { rank, addresses } if !cx.leaving && self.silent() => {
                let deleting = self.title().is_some_and(|title| title.deleting);
                if deleting || cx.now < since + cx.timing.turn * *rank {
                    let retires = deleting && awaiting.is_none();
                    return retires.then_some((Why::Retire, TitleContent::default()));
                }
                let epoch = cx.right?.clone();
                let again = old.holder.as_ref().is_some_and(|holder| holder.node == *cx.me);
                let moves =
                    if again || self.title().is_none() { old.moves } else { old.moves.wrapping_add(1) };
                // The last holder is gone and silent, so addresses that are no longer wished for may be dropped.
                let granted = &old.granted & addresses;
                let wanted = addresses - &granted;
                let holder = Some(Holder { node: cx.me.clone(), epoch });
                Some((Why::Claim, TitleContent { holder, offer: None, awaiting, granted, wanted, moves }))
            }
            _ => None,
        }
    }

    /// When [`Seat::decide`] may have something to do without any event.
    pub(super) fn wakes(&self, timing: &Timing) -> impl Iterator<Item = Time> {
        let claim = match (&self.want, self.free_since) {
            // The best placed one had nothing to wait for.
            (Some(Want::Hold { rank, .. }), Some(since)) if *rank > 0 => Some(since + timing.turn * *rank),
            _ => None,
        };
        let offer = self.offered.as_ref().map(|(_, since)| *since + timing.offer);
        let refused = self.refused.as_ref().map(|(_, until)| *until);
        [claim, offer, refused, Some(self.rest_until), Some(self.check_rest_until)].into_iter().flatten()
    }
}

/// Whether the holder is this node in its present epoch (rule 7).
fn names(holder: &Holder, right: &Epoch) -> bool {
    holder.epoch == *right || dropped(Rule::ThisEpoch)
}

/// What the Lease says next where a successor has accepted that can wait: it holds, and the holder is awaited.
fn appointment(content: &TitleContent) -> Option<TitleContent> {
    let offer = content.offer.as_ref().filter(|offer| offer.accepted && offer.waits)?;
    let awaiting = content.holder.clone().map(Box::new);
    Some(TitleContent { awaiting, ..handed_to(content, &offer.to) })
}

fn handed_to(content: &TitleContent, successor: &Holder) -> TitleContent {
    let moves = content.moves.wrapping_add(1);
    TitleContent { holder: Some(successor.clone()), offer: None, moves, ..content.clone() }
}

fn alive(holder: &Holder, cx: &Context<'_>) -> bool {
    cx.peers.open_epoch(&holder.node) == Some(&holder.epoch)
}
