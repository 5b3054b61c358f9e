//! The one hand that touches the kernel: every call about an address, and every frame that announces one, goes
//! through here one after the other (rule 8), under the deadline of the moment (rules 7 and 10).

mod ahead;
mod keep;
mod loopback;
mod order;
mod prepare;
mod settle;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::debug;

use super::deadline::{Deadline, now};
use super::fencing::{Fencing, Grant};
use super::input::Inputs;
use super::schedule::Schedule;
use super::target::Target;
use crate::api::VipKey;
use crate::network::fence::{Doubt, Gates};
use crate::network::{Announcer, Kernel, Link, Links, Look, Spot};
use crate::observe::metrics::{Announcement, Metrics, Outcome};
use crate::ownership::{Fence, Time};

pub use order::Order;

/// Room for the call itself, so that the look at the clock after it does not find every second lifetime too long.
const CALL: Duration = Duration::from_millis(50);

/// An address that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Up {
    spot: Spot,
    history: History,
    /// The kernel still asks whether another host has it: until then nothing is said about it.
    waiting: bool,
    /// Until when the kernel keeps it at least, if that is known.
    lasts: Option<Time>,
    /// The kernel may keep it beyond the right: without the exact fence that must not be.
    outlasts: bool,
    /// The exact fence stands before it, as far as known.
    fenced: bool,
}

/// How much is known of how an address is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum History {
    /// All: it was configured here.
    Here,
    /// Only where it is, from a former life.
    Adopted,
    /// It is from a former life, and configured otherwise than is wanted now.
    Otherwise,
}

/// The hand's own task.
pub struct Hand {
    kernel: Kernel,
    gates: Option<Gates>,
    fencing: Fencing,
    announcer: Announcer,
    deadline: Deadline,
    inputs: Inputs,
    metrics: Metrics,
    links: Links,
    up: BTreeMap<VipKey, BTreeMap<IpAddr, Up>>,
    /// How the addresses of each `VirtualIP` are to be handled, as it was last said.
    targets: BTreeMap<VipKey, BTreeMap<IpAddr, Target>>,
    /// The addresses that are up, for whoever listens for claims of others.
    answering: watch::Sender<BTreeSet<IpAddr>>,
    schedule: Schedule,
    loopback: loopback::Loopback,
    /// All that a former life left up was said.
    adopted: bool,
    /// What was there when addresses were last expected or added, until something but an addition may have changed it, and of
    /// when it is.
    look: Option<(Look, Instant)>,
    /// Addresses that are there already behind their shut gates, and until when they are.
    ready: BTreeMap<IpAddr, (Spot, Instant)>,
    /// Interfaces that may get an address, once that was said.
    awaiting: Option<BTreeSet<u32>>,
    /// The last doubt about the fence after which it was looked at.
    doubt: Doubt,
}

impl Hand {
    /// A hand that has nothing up yet.
    #[must_use]
    pub fn new(
        (kernel, fencing): (Kernel, Fencing),
        announcer: Announcer,
        deadline: Deadline,
        inputs: Inputs,
        metrics: Metrics,
        links: Links,
        answering: watch::Sender<BTreeSet<IpAddr>>,
    ) -> Self {
        Self {
            kernel,
            gates: fencing.gates(),
            fencing,
            announcer,
            deadline,
            inputs,
            metrics,
            links,
            up: BTreeMap::new(),
            targets: BTreeMap::new(),
            answering,
            schedule: Schedule::default(),
            loopback: loopback::Loopback::default(),
            adopted: false,
            look: None,
            ready: BTreeMap::new(),
            awaiting: None,
            doubt: Doubt::default(),
        }
    }

    /// Carries out orders until the loop has gone.
    pub async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut waiting = VecDeque::new();
        loop {
            let next = self.schedule.next();
            let review = self.loopback.review();
            let unready = self.unready();
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(order) => waiting.push_back(order),
                    None => return self.leave().await,
                },
                () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                    self.announce_due();
                }
                () = tokio::time::sleep_until(review.unwrap_or_else(Instant::now)), if review.is_some() => {
                    self.review_loopback().await;
                }
                () = tokio::time::sleep_until(unready.unwrap_or_else(Instant::now)), if unready.is_some() => {
                    self.put_away().await;
                }
            }
            while let Ok(order) = orders.try_recv() {
                waiting.push_back(order);
            }
            // Once for all that waited: both go through everything that is up.
            let mut changed = false;
            while let Some(order) = waiting.pop_front() {
                self.carry_out(order, &mut waiting).await;
                changed |= !self.deadline.is_covered();
            }
            if changed {
                self.unguard().await;
                self.publish();
            }
        }
    }

    fn publish(&self) {
        let up: BTreeSet<IpAddr> = self.up.values().flat_map(BTreeMap::keys).copied().collect();
        self.vouch();
        self.answering.send_if_modified(|known| {
            let changed = *known != up;
            if changed {
                *known = up;
            }
            changed
        });
    }

    /// The fence goes from where nothing is up any more.
    async fn unguard(&mut self) {
        // It comes before the address and goes after it: so many addresses, so many guarded.
        if self.fencing.count() != self.count() {
            let up = self.up.values().flatten().map(|(address, up)| (up.spot.link, *address));
            let ready = self.ready.iter().map(|(address, (spot, _))| (spot.link, *address));
            self.fencing.retain(&up.chain(ready).collect()).await;
        }
    }

    async fn carry_out(&mut self, order: Order, waiting: &mut VecDeque<Order>) {
        if !matches!(order, Order::Extend) {
            self.deadline.cover(None);
        }
        if !matches!(order, Order::Extend | Order::Set { .. } | Order::Expect { .. }) {
            self.look = None;
        }
        match order {
            Order::Set { key, targets, told } => {
                // Many at the price of one look at the kernel; never two for the same, whose order counts.
                let mut batch = BTreeMap::from([(key, (targets, told))]);
                while let Some(Order::Set { key, .. }) = waiting.front()
                    && !batch.contains_key(key)
                    && let Some(Order::Set { key, targets, told }) = waiting.pop_front()
                {
                    batch.insert(key, (targets, told));
                }
                self.set(batch).await;
            }
            Order::Expect { targets, soon } => self.expect(&targets, soon).await,
            Order::Handle { key, targets } => {
                self.targets.insert(key.clone(), by_address(targets));
                self.resettle(&key).await;
            }
            Order::Extend => self.extend().await,
            Order::Adopt { key, spot } => {
                self.fencing.keep(&spot);
                let outlasts = self.fencing.kind() == Fence::Exact;
                let up = Up {
                    spot,
                    history: History::Adopted,
                    waiting: false,
                    lasts: None,
                    outlasts,
                    fenced: false,
                };
                self.up.entry(key).or_default().insert(up.spot.net.addr(), up);
            }
            Order::Adopted => {
                let spots: Vec<Spot> = self.all().map(|(.., up)| up.spot.clone()).collect();
                self.fenced_beside(&spots);
                self.adopted = true;
                self.stand().await;
            }
            Order::Links(links) => self.links_changed(links).await,
            Order::Gone { link, net } => self.gone(link, net).await,
            Order::Usable { link, net } => self.usable(link, net),
            Order::Review => {
                let doubt = self.gates.as_ref().map(Gates::doubt);
                self.fencing.look();
                self.doubt = doubt.unwrap_or_default();
                self.extend().await;
            }
            Order::Compare => self.compare().await,
            Order::Defend { key, address } => self.announce(&key, address),
            Order::Loopback(addresses) => self.loopback(addresses).await,
            Order::Prepare(wanted) => self.prepare(&wanted).await,
            Order::Fence(links) => {
                self.awaiting = Some(links);
                self.stand().await;
            }
        }
    }

    /// The fence stands where an address may come, and nowhere without need; what is needed is known when both that and all
    /// that a former life left up was said.
    async fn stand(&mut self) {
        if let (true, Some(links)) = (self.adopted, &self.awaiting) {
            self.fencing.stand_on(links).await;
        }
    }

    /// What addresses may be given under the right of now (rule 10). `fenced`: they are behind the exact fence.
    fn grant(&self, fenced: bool) -> Option<Grant> {
        self.grant_to(self.count(), fenced)
    }

    /// The same where so many are up, or about to be.
    fn grant_to(&self, addresses: usize, fenced: bool) -> Option<Grant> {
        Grant::of(self.deadline.get()?, now().ok()? + CALL, fenced, addresses)
    }

    /// So many addresses are up.
    fn count(&self) -> usize {
        self.up.values().map(BTreeMap::len).sum()
    }

    /// Puts the exact fence before all of these, and says whether it stops whatever might be said of them.
    fn fenced(&mut self, spots: &[Spot]) -> bool {
        let fenced = self.fencing.guard(spots) && self.fenced_beside(spots);
        if !fenced {
            // What hinders it may hinder it elsewhere.
            self.all_are_fenced(false);
            self.vouch();
        }
        fenced
    }

    fn all_are_fenced(&mut self, fenced: bool) {
        for up in self.up.values_mut().flat_map(BTreeMap::values_mut) {
            up.fenced = fenced;
        }
    }

    /// Tells of which addresses gates make sure.
    fn vouch(&self) {
        let Some(gates) = &self.gates else { return };
        let sure = self.all().filter(|(.., up)| up.fenced && self.fencing.is_whole());
        gates.vouch(sure.map(|(_, address, _)| address).collect(), self.doubt);
    }

    /// Puts it where else they would be answered for, and says whether it stands there.
    fn fenced_beside(&mut self, spots: &[Spot]) -> bool {
        let asked = spots.iter().any(|spot| spot.net.addr().is_ipv4());
        !asked || self.fencing.guard_beside(self.links.careless().map(|link| link.index))
    }

    /// Begins to announce an address from the first time on.
    fn begin_to_announce(&mut self, key: &VipKey, address: IpAddr) {
        if let Some(target) = self.target(key, address) {
            self.schedule.start(key.clone(), address, target.manner.rhythm());
        }
    }

    fn announce_due(&mut self) {
        while let Some((key, address)) = self.schedule.pop_due() {
            self.announce(&key, address);
        }
    }

    /// Says on the wire that the address is here: never without the right, never when it is not up.
    fn announce(&self, key: &VipKey, address: IpAddr) {
        let (Some((link, up)), Some(_)) = (self.link_of(key, address), self.deadline.get()) else { return };
        if up.waiting {
            return;
        }
        let (form, hosts) = self
            .target(key, address)
            .map(|target| (target.manner.form(), target.manner.hosts()))
            .unwrap_or_default();
        let announced = self.announcer.announce_as(link, address, form);
        let told = hosts.iter().try_for_each(|host| self.announcer.tell(link, address, *host));
        match announced.and(told) {
            Ok(()) => self.metrics.announced(protocol(address)),
            Err(error) => debug!(%key, %address, error = &error as &dyn std::error::Error, "not announced"),
        }
    }

    fn link_of(&self, key: &VipKey, address: IpAddr) -> Option<(&Link, &Up)> {
        let up = self.up.get(key)?.get(&address)?;
        Some((self.links.by_index(up.spot.link)?, up))
    }

    fn target(&self, key: &VipKey, address: IpAddr) -> Option<&Target> {
        self.targets.get(key)?.get(&address)
    }
}

fn by_address(targets: Vec<Target>) -> BTreeMap<IpAddr, Target> {
    targets.into_iter().map(|target| (target.ip(), target)).collect()
}

fn protocol(address: IpAddr) -> Announcement {
    if address.is_ipv4() { Announcement::Arp } else { Announcement::Na }
}

fn outcome<T, E>(result: &Result<T, E>) -> Outcome {
    if result.is_ok() { Outcome::Ok } else { Outcome::Error }
}
