//! The one hand that touches the kernel: every call about an address, and every frame that announces one, goes
//! through here one after the other (rule 8), under the deadline of the moment (rules 7 and 10).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::deadline::{Deadline, now};
use super::input::{Input, Inputs};
use super::schedule::Schedule;
use crate::api::VipKey;
use crate::network::{AddressError, Announcer, Kernel, Links};
use crate::observe::metrics::{Announcement, Metrics, Operation, Outcome};
use crate::ownership::{Event, Time, whole_lifetime};

/// An address and how it is to be configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The address with its prefix.
    pub net: IpNet,
    /// The interface named by the user.
    pub interface: Option<String>,
}

/// Room for the call itself, so that the look at the clock after it does not find every second lifetime too long.
const CALL: Duration = Duration::from_millis(50);

/// What the hand shall do.
#[derive(Debug)]
pub enum Order {
    /// Bring the addresses of `key` to exactly these.
    Set {
        /// For which `VirtualIP`.
        key: VipKey,
        /// The addresses.
        targets: Vec<Target>,
    },
    /// Extend the lifetimes of everything that is up.
    Extend,
    /// These were left up by a former life.
    Adopt {
        /// For which `VirtualIP`.
        key: VipKey,
        /// Index of the interface.
        link: u32,
        /// The address.
        net: IpNet,
    },
    /// The interfaces changed.
    Links(Links),
    /// The kernel lost an address.
    Gone {
        /// Index of the interface.
        link: u32,
        /// The address.
        net: IpNet,
    },
    /// Look whether everything that should be up is: addresses may have gone unheard.
    Compare,
    /// Announce this at once: another host claimed it.
    Defend {
        /// For which `VirtualIP`.
        key: VipKey,
        /// The address.
        address: IpAddr,
    },
}

/// Where an address is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    link: u32,
    net: IpNet,
}

/// The hand's own task.
pub struct Hand {
    kernel: Kernel,
    announcer: Announcer,
    deadline: Deadline,
    inputs: Inputs,
    metrics: Metrics,
    links: Links,
    up: BTreeMap<VipKey, BTreeMap<IpAddr, Place>>,
    /// The addresses that are up, for whoever listens for claims of others.
    answering: watch::Sender<BTreeSet<IpAddr>>,
    schedule: Schedule,
}

impl Hand {
    /// A hand that has nothing up yet.
    #[must_use]
    pub fn new(
        kernel: Kernel,
        announcer: Announcer,
        deadline: Deadline,
        inputs: Inputs,
        metrics: Metrics,
        links: Links,
        answering: watch::Sender<BTreeSet<IpAddr>>,
    ) -> Self {
        Self {
            kernel,
            announcer,
            deadline,
            inputs,
            metrics,
            links,
            up: BTreeMap::new(),
            answering,
            schedule: Schedule::default(),
        }
    }

    /// Carries out orders until the loop has gone.
    pub async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            let next = self.schedule.next();
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(order) => {
                        self.carry_out(order).await;
                        self.publish();
                    }
                    None => return,
                },
                () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                    self.announce_due();
                }
            }
        }
    }

    fn publish(&self) {
        let up: BTreeSet<IpAddr> = self.up.values().flat_map(BTreeMap::keys).copied().collect();
        self.answering.send_if_modified(|known| {
            let changed = *known != up;
            if changed {
                *known = up;
            }
            changed
        });
    }

    async fn carry_out(&mut self, order: Order) {
        match order {
            Order::Set { key, targets } => self.set(key, &targets).await,
            Order::Extend => self.extend().await,
            Order::Adopt { key, link, net } => {
                self.up.entry(key).or_default().insert(net.addr(), Place { link, net });
            }
            Order::Links(links) => self.links = links,
            Order::Gone { link, net } => self.gone(link, net).await,
            Order::Compare => self.compare().await,
            Order::Defend { key, address } => self.announce(&key, address),
        }
    }

    async fn set(&mut self, key: VipKey, targets: &[Target]) {
        let mut trouble = None;
        let mut wanted = BTreeMap::new();
        for target in targets {
            match self.links.find(target.net.addr(), target.interface.as_deref()) {
                Ok(link) => {
                    wanted.insert(target.net.addr(), Place { link: link.index, net: target.net });
                }
                Err(unfit) => trouble = Some(unfit.to_string()),
            }
        }
        let present = self.up.get(&key).cloned().unwrap_or_default();
        for (address, place) in &present {
            if wanted.get(address) != Some(place) {
                self.lower(&key, *address, *place).await;
            }
        }
        for (address, place) in wanted {
            if let Err(error) = self.raise(&key, address, place).await {
                trouble = Some(error);
            }
        }
        let up: BTreeSet<IpAddr> =
            self.up.get(&key).map(|up| up.keys().copied().collect()).unwrap_or_default();
        if up.is_empty() {
            self.up.remove(&key);
        }
        self.inputs.send(Input::Trouble { key: key.clone(), reason: trouble });
        self.inputs.own(Event::Kernel { key, up });
    }

    /// Adds an address for as long as the right allows, announces it, and looks at the clock once more: a process
    /// that slept between its check and its call has given the kernel too much time, and takes that back.
    async fn raise(&mut self, key: &VipKey, address: IpAddr, place: Place) -> Result<(), String> {
        if self.up.get(key).and_then(|up| up.get(&address)) == Some(&place) {
            return Ok(());
        }
        let Some((mut until, mut lifetime)) = self.lifetime() else { return Ok(()) };
        let added = self.kernel.add(place.link, place.net, lifetime).await;
        self.metrics.kernel(Operation::Add, outcome(&added));
        added.map_err(|error| describe(&error))?;
        self.up.entry(key.clone()).or_default().insert(address, place);
        while overslept(until, lifetime) {
            debug!(%key, %address, "the agent was asleep while it added an address, which gets less time");
            let less = self.lifetime();
            let shortened = match less {
                Some((_, less)) => self.renew(&[(place.link, place.net)], less).await,
                None => false,
            };
            let (Some(less), true) = (less, shortened) else {
                self.lower(key, address, place).await;
                return Ok(());
            };
            (until, lifetime) = less;
        }
        self.announce(key, address);
        self.schedule.start(key.clone(), address);
        Ok(())
    }

    /// Removes an address, and says whether it is gone.
    async fn lower(&mut self, key: &VipKey, address: IpAddr, place: Place) -> bool {
        self.schedule.stop(key, address);
        let removed = self.kernel.remove(place.link, place.net).await;
        self.metrics.kernel(Operation::Remove, outcome(&removed));
        match removed {
            // An interface that is gone took its addresses along; one without our mark is not ours any more.
            Ok(_)
            | Err(
                AddressError::NoLink { .. } | AddressError::Missing { .. } | AddressError::Foreign { .. },
            ) => {
                if let Some(up) = self.up.get_mut(key) {
                    up.remove(&address);
                }
                true
            }
            Err(error) => {
                warn!(%key, %address, error = &error as &dyn std::error::Error, "an address stays up");
                false
            }
        }
    }

    /// Lets the kernel keep the addresses for as long as the right allows. An extension that took so long that it might outlast
    /// the right is made again, for less; when nothing is left to give, the addresses go.
    async fn extend(&mut self) {
        let mut too_long = false;
        while let Some((until, lifetime)) = self.lifetime() {
            let places: Vec<(u32, IpNet)> =
                self.up.values().flat_map(BTreeMap::values).map(|place| (place.link, place.net)).collect();
            let renewed = places.is_empty() || self.renew(&places, lifetime).await;
            if !renewed && too_long {
                break;
            }
            if places.is_empty() || !overslept(until, lifetime) {
                return;
            }
            debug!("the agent was asleep while it extended addresses, which get less time");
            too_long = true;
        }
        if too_long {
            warn!("the agent was asleep while it extended addresses, and removes them");
            self.lower_all().await;
        }
    }

    /// Gives addresses this lifetime, and says whether all that are there have got it.
    async fn renew(&mut self, places: &[(u32, IpNet)], lifetime: u32) -> bool {
        let outcomes = match self.kernel.renew_all(places, lifetime).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "addresses were not extended");
                return false;
            }
        };
        let mut all = true;
        for ((link, net), extended) in places.iter().zip(outcomes) {
            self.metrics.kernel(Operation::Extend, outcome(&extended));
            if let Err(error) = extended {
                debug!(address = %net, error = &error as &dyn std::error::Error, "not extended");
                self.gone(*link, *net).await;
                all = false;
            }
        }
        all
    }

    async fn lower_all(&mut self) {
        let all: Vec<(VipKey, IpAddr, Place)> = self
            .up
            .iter()
            .flat_map(|(key, up)| up.iter().map(|(address, place)| (key.clone(), *address, *place)))
            .collect();
        for (key, address, place) in all {
            if self.lower(&key, address, place).await {
                self.inputs.own(Event::Vanished { key, address });
            }
        }
    }

    async fn compare(&mut self) {
        let places: Vec<Place> = self.up.values().flat_map(BTreeMap::values).copied().collect();
        for place in places {
            self.gone(place.link, place.net).await;
        }
    }

    /// Somebody said that an address is gone. The word may be older than our last call, and an address that is
    /// wrongly believed silent could be given away: so the kernel is asked.
    async fn gone(&mut self, link: u32, net: IpNet) {
        let place = Place { link, net };
        let lost =
            self.up.iter().find(|(_, up)| up.get(&net.addr()) == Some(&place)).map(|(key, _)| key.clone());
        let Some(key) = lost else { return };
        match self.kernel.marked().await {
            Ok(marked) if !marked.iter().any(|there| there.link == link && there.address == net) => {}
            Ok(_) => return,
            Err(error) => {
                return warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot tell whether {net} is still up"
                );
            }
        }
        self.schedule.stop(&key, net.addr());
        if let Some(up) = self.up.get_mut(&key) {
            up.remove(&net.addr());
        }
        self.inputs.own(Event::Vanished { key, address: net.addr() });
    }

    /// The end of the right, and the whole seconds that fit before it (rule 10).
    fn lifetime(&self) -> Option<(Time, u32)> {
        let until = self.deadline.get()?;
        let lifetime = whole_lifetime(until.since(now().ok()? + CALL)).as_secs();
        let lifetime = u32::try_from(lifetime).unwrap_or(u32::MAX);
        (lifetime > 0).then_some((until, lifetime))
    }

    fn announce_due(&mut self) {
        while let Some((key, address)) = self.schedule.pop_due() {
            self.announce(&key, address);
        }
    }

    /// Says on the wire that the address is here: never without the right, never when it is not up.
    fn announce(&self, key: &VipKey, address: IpAddr) {
        let place = self.up.get(key).and_then(|up| up.get(&address));
        let link = place.and_then(|place| self.links.by_index(place.link));
        let (Some(link), Some(_)) = (link, self.deadline.get()) else { return };
        match self.announcer.announce(link, address) {
            Ok(()) => self.metrics.announced(protocol(address)),
            Err(error) => debug!(%key, %address, error = &error as &dyn std::error::Error, "not announced"),
        }
    }
}

/// Whether a lifetime given before now may outlast the right.
fn overslept(until: Time, lifetime: u32) -> bool {
    let lifetime = Duration::from_secs(lifetime.into());
    now().is_ok_and(|now| whole_lifetime(until.since(now)) < lifetime)
}

fn describe(error: &AddressError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn protocol(address: IpAddr) -> Announcement {
    if address.is_ipv4() { Announcement::Arp } else { Announcement::Na }
}

fn outcome<T, E>(result: &Result<T, E>) -> Outcome {
    if result.is_ok() { Outcome::Ok } else { Outcome::Error }
}
