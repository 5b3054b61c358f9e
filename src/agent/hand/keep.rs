//! Keeping up what is up, and hearing what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use tracing::{debug, warn};

use super::super::deadline::now;
use super::super::fencing::{Grant, before_turn};
use super::super::input::Input;
use super::{Hand, Up, outcome};
use crate::api::VipKey;
use crate::network::{Links, Spot};
use crate::observe::metrics::Operation;
use crate::ownership::Event;

impl Hand {
    /// Lets the kernel keep the addresses for as long as the right allows. An extension that took so long that it might outlast
    /// the right is made again, for less; when nothing is left to give, the addresses go. So do those that were given more
    /// than the right behind a fence that is not there any more, and cannot be given less.
    pub(super) async fn extend(&mut self) {
        self.fencing.review();
        if self.is_settled() {
            return;
        }
        self.deadline.cover(None);
        let spots: Vec<Spot> = self.all().map(|(.., up)| up.spot.clone()).collect();
        let fenced = self.fenced(&spots);
        self.all_are_fenced(fenced);
        let asleep = self.extend_all(fenced).await;
        let exposed = |up: &Up| asleep || (up.outlasts && !fenced);
        let going: Vec<_> = self
            .all()
            .filter(|(.., up)| exposed(up))
            .map(|(key, address, _)| (key.clone(), address))
            .collect();
        if going.is_empty() {
            self.settle_until(fenced && !asleep);
            return;
        }
        warn!(asleep, fenced, addresses = going.len(), "addresses might outlast the right, and are removed");
        for (key, address) in self.lower(going).await {
            self.inputs.own(Event::Vanished { key, address });
        }
    }

    /// Whether nothing has changed since everything was well, and the kernel keeps it beyond the right of now.
    fn is_settled(&self) -> bool {
        self.fencing.is_whole() && self.deadline.get().is_some_and(|until| self.deadline.covers(until))
    }

    /// Notes until when the kernel keeps everything that long that none has its turn before; nothing may be about to come, or
    /// to lose its fence.
    fn settle_until(&mut self, well: bool) {
        let (count, whole) = (self.count(), self.fencing.count() == self.count());
        let turns =
            self.all().map(|(_, address, up)| Some(before_turn(up.lasts?, last_digits(address), count)));
        self.deadline.cover(turns.min().flatten().filter(|_| well && whole));
    }

    /// Says whether the agent slept until nothing was left to give.
    async fn extend_all(&mut self, fenced: bool) -> bool {
        let mut asleep = false;
        while let Some(grant) = self.grant(fenced) {
            let due = self.due(&grant);
            if due.is_empty() {
                return false;
            }
            let renewed = self.renew(&due, grant).await;
            if !renewed && asleep {
                break;
            }
            if !grant.is_too_long() {
                return false;
            }
            debug!("the agent was asleep while it extended addresses, which get less time");
            asleep = true;
        }
        asleep
    }

    /// Addresses that need it. Behind the fence the kernel may keep them beyond the right, so that it need not be told of
    /// each renewal.
    fn due(&self, grant: &Grant) -> Vec<(VipKey, IpAddr)> {
        let numbered = self.all().map(|(key, address, up)| ((key, address), last_digits(address), up.lasts));
        grant.due(numbered).into_iter().map(|(key, address)| (key.clone(), address)).collect()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&VipKey, IpAddr, &Up)> + Clone {
        self.up.iter().flat_map(|(key, up)| up.iter().map(move |(address, up)| (key, *address, up)))
    }

    /// Gives addresses this lifetime, and says whether all that are there have got it.
    pub(super) async fn renew(&mut self, due: &[(VipKey, IpAddr)], grant: Grant) -> bool {
        let (spots, began) = (self.spots(due), now().unwrap_or_default());
        let outcomes = match self.kernel.renew_all(&spots, grant.lifetime).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "addresses were not extended");
                return false;
            }
        };
        let mut all = true;
        for ((key, address), extended) in due.iter().zip(outcomes) {
            self.metrics.kernel(Operation::Extend, outcome(&extended));
            let Some(up) = self.up.get_mut(key).and_then(|up| up.get_mut(address)) else { continue };
            match extended {
                Ok(()) => up.granted(grant, began),
                Err(error) => {
                    debug!(%address, error = &error as &dyn std::error::Error, "not extended");
                    let (link, net) = (up.spot.link, up.spot.net);
                    self.gone(link, net).await;
                    all = false;
                }
            }
        }
        all
    }

    /// The kernel may have said things that were not heard.
    pub(super) async fn compare(&mut self) {
        let marked = match self.kernel.marked().await {
            Ok(marked) => marked,
            Err(error) => {
                return warn!(error = &error as &dyn std::error::Error, "cannot tell which addresses are up");
            }
        };
        let there: BTreeSet<(u32, IpNet)> = marked.iter().map(|there| (there.link, there.address)).collect();
        let known: BTreeSet<(u32, IpNet)> = self.all().map(|(.., up)| (up.spot.link, up.spot.net)).collect();
        for (link, net) in known.difference(&there) {
            self.lose(*link, *net);
        }
        for there in marked.iter().filter(|there| !there.tentative) {
            self.usable(there.link, there.address);
        }
    }

    /// Somebody said that an address is gone. The word may be older than our last call, and an address that is
    /// wrongly believed silent could be given away: so the kernel is asked.
    pub(super) async fn gone(&mut self, link: u32, net: IpNet) {
        if self.known(link, net).is_none() {
            return;
        }
        match self.kernel.marked().await {
            Ok(marked) if !marked.iter().any(|there| there.link == link && there.address == net) => {
                self.lose(link, net);
            }
            Ok(_) => {}
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "cannot tell whether {net} is still up");
            }
        }
    }

    /// The kernel has an address no more.
    fn lose(&mut self, link: u32, net: IpNet) {
        let Some((key, up)) = self.known(link, net) else { return };
        let (key, waiting) = (key.clone(), up.waiting);
        self.look = None;
        self.schedule.stop(&key, net.addr());
        if let Some(up) = self.up.get_mut(&key) {
            up.remove(&net.addr());
        }
        if waiting {
            let reason = format!("duplicate address detection found another host that has {}", net.addr());
            self.inputs.send(Input::Trouble { key: key.clone(), reason: Some(reason) });
        }
        self.inputs.own(Event::Vanished { key, address: net.addr() });
    }

    /// The kernel answers for an address about which it had to ask first.
    pub(super) fn usable(&mut self, link: u32, net: IpNet) {
        let Some(key) = self.known(link, net).filter(|(_, up)| up.waiting).map(|(key, _)| key.clone()) else {
            return;
        };
        if let Some(up) = self.up.get_mut(&key).and_then(|up| up.get_mut(&net.addr())) {
            up.waiting = false;
        }
        self.begin_to_announce(&key, net.addr());
        self.announce_due();
    }

    fn known(&self, link: u32, net: IpNet) -> Option<(&VipKey, &Up)> {
        let there = |up: &BTreeMap<IpAddr, Up>| {
            up.get(&net.addr()).is_some_and(|up| up.spot.link == link && up.spot.net == net)
        };
        let (key, up) = self.up.iter().find(|(_, up)| there(up))?;
        Some((key, up.get(&net.addr())?))
    }

    /// Addresses follow to where they belong among the interfaces as they are now; and what the wire knows of those that
    /// stay may be wrong: it is told again.
    pub(super) async fn links_changed(&mut self, links: Links) {
        let before = std::mem::replace(&mut self.links, links);
        let restless = |up: &Up| match (before.by_index(up.spot.link), self.links.by_index(up.spot.link)) {
            (Some(before), Some(after)) => after.must_be_told(before),
            _ => false,
        };
        let restless: Vec<(VipKey, IpAddr)> = self
            .all()
            .filter(|(.., up)| !up.waiting && restless(up))
            .map(|(key, address, _)| (key.clone(), address))
            .collect();
        for (key, address) in restless {
            self.begin_to_announce(&key, address);
        }
        self.announce_due();
        let keys: Vec<VipKey> = self.up.keys().cloned().collect();
        for key in keys {
            self.resettle(&key).await;
        }
    }
}

/// A number that neighbours do not share.
fn last_digits(address: IpAddr) -> usize {
    let [.., before, last] = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    usize::from(u16::from_be_bytes([before, last]))
}
