//! Bringing the addresses to what is wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::super::deadline::now;
use super::super::fencing::Grant;
use super::super::input::Input;
use super::{Hand, History, Up, by_address, outcome};
use crate::agent::target::Target;
use crate::api::VipKey;
use crate::network::{Added, AddressError, CLOSE_WITHIN, KernelError, Look, Spot, close_connections};
use crate::observe::metrics::Operation;
use crate::observe::with_causes;
use crate::ownership::{Event, Fence, Time};

/// For how long a look at what there is counts. Whoever adds an address of ours meanwhile is only met when it is too late,
/// as he would be a moment after the address was added.
const LOOK_AHEAD: Duration = Duration::from_secs(1);

/// An address that shall come.
type Coming = (VipKey, IpAddr, Spot);

/// What is in the way of addresses, in words.
type Troubles = BTreeMap<VipKey, String>;

impl Hand {
    /// Brings the addresses of each `VirtualIP` to exactly these, and says what became of it.
    pub(super) async fn set(&mut self, batch: BTreeMap<VipKey, (Vec<Target>, bool)>) {
        let (mut troubles, mut going, mut coming) = (Troubles::new(), Vec::new(), Vec::new());
        let told: BTreeSet<VipKey> =
            batch.iter().filter(|(_, (_, told))| *told).map(|(key, _)| key.clone()).collect();
        let mut all = BTreeMap::new();
        for (key, (targets, _)) in batch {
            let mut wanted = BTreeMap::new();
            for target in &targets {
                match target.spot(&self.links) {
                    Ok(spot) => drop(wanted.insert(target.ip(), spot)),
                    Err(unfit) => drop(troubles.insert(key.clone(), unfit.to_string())),
                }
            }
            all.insert(key.clone(), wanted);
            if !targets.is_empty() {
                self.targets.insert(key, by_address(targets));
            }
        }
        self.examine(&all).await;
        for (key, wanted) in &all {
            self.compare_with(key, wanted, &mut going, &mut coming);
        }
        self.lower(going).await;
        self.raise(coming, &mut troubles).await;
        for (key, wanted) in all {
            let told = told.contains(&key);
            if told {
                self.have_no_more_than(&key, &wanted);
            }
            let up: BTreeSet<IpAddr> =
                self.up.get(&key).map(|up| up.keys().copied().collect()).unwrap_or_default();
            let as_told = told && wanted.keys().eq(&up);
            if up.is_empty() {
                self.up.remove(&key);
                self.targets.remove(&key);
            }
            let reason = troubles.remove(&key);
            let ill = reason.is_some();
            let trouble = Input::Trouble { key: key.clone(), reason };
            let done = (!as_told).then_some(Input::Own(Event::Kernel { key, up }));
            // A plan knows of trouble first; where there is none nobody waits for that word.
            let (first, second) = if ill { (Some(trouble), done) } else { (done, Some(trouble)) };
            first.into_iter().chain(second).for_each(|input| self.inputs.send(input));
        }
    }

    /// The loop counts on it that nothing but what is wanted of `key` is up: what could not be removed is not, behind its gate.
    fn have_no_more_than(&mut self, key: &VipKey, wanted: &BTreeMap<IpAddr, Spot>) {
        let Some(up) = self.up.get_mut(key) else { return };
        let left: Vec<(IpAddr, Up)> = up.extract_if(.., |address, _| !wanted.contains_key(address)).collect();
        for (_, up) in left {
            self.keep_for_now(up.spot);
        }
    }

    /// Finds out how addresses of a former life are configured, before they are compared with what is wanted: what a renewal
    /// does not change may have been changed in the spec while no agent was running.
    async fn examine(&mut self, wanted: &BTreeMap<VipKey, BTreeMap<IpAddr, Spot>>) {
        let adopted = |(key, spot): (&VipKey, &Spot)| {
            let up = self.up.get(key)?.get(&spot.net.addr())?;
            (up.history == History::Adopted && up.spot.is_at(spot)).then(|| spot.clone())
        };
        let spots = wanted.iter().flat_map(|(key, spots)| spots.values().map(move |spot| (key, spot)));
        let adopted: Vec<Spot> = spots.filter_map(adopted).collect();
        if adopted.is_empty() {
            return;
        }
        let unlike = match self.kernel.unlike(&adopted).await {
            Ok(unlike) => unlike,
            // Where it is, it answers: that is worth more than how it is configured.
            Err(error) => return warn!(error = &error as &dyn std::error::Error, "addresses stay as found"),
        };
        for spot in adopted {
            let ups = self.up.values_mut().filter_map(|up| up.get_mut(&spot.net.addr()));
            let Some(up) = ups.into_iter().find(|up| up.spot.is_at(&spot)) else { continue };
            if unlike.contains(&spot) {
                info!(address = %spot.net, "an address of a former life is configured anew");
                up.history = History::Otherwise;
            } else {
                // The next renewal does the rest.
                (up.spot, up.history, up.lasts) = (spot, History::Here, None);
            }
        }
    }

    /// What has to go and what has to come, for exactly `wanted` to be up.
    fn compare_with(
        &mut self,
        key: &VipKey,
        wanted: &BTreeMap<IpAddr, Spot>,
        going: &mut Vec<(VipKey, IpAddr)>,
        coming: &mut Vec<Coming>,
    ) {
        let there = self.up.entry(key.clone()).or_default();
        let agrees = |address, spot| there.get(address).is_some_and(|up| up.agrees(spot));
        let stays = |address| wanted.get(address).is_some_and(|spot| agrees(address, spot));
        going.extend(there.keys().filter(|address| !stays(address)).map(|address| (key.clone(), *address)));
        let missing = wanted.iter().filter(|(address, spot)| !agrees(address, spot));
        coming.extend(missing.map(|(address, spot)| (key.clone(), *address, spot.clone())));
    }

    /// Moves the addresses of `key` that are up to where, and to how, they are wanted now. One that cannot be moved is
    /// told as vanished.
    pub(super) async fn resettle(&mut self, key: &VipKey) {
        if self.grant(self.fencing.kind() == Fence::Exact).is_none() {
            return;
        }
        let there = self.up.get(key).map(|up| up.keys().copied().collect::<Vec<_>>()).unwrap_or_default();
        let (mut fitting, mut wanted) = (BTreeMap::new(), BTreeMap::new());
        for address in &there {
            // Where no interface fits any more, it is for placement to find another node; until then it stays.
            let found = self.target(key, *address).and_then(|target| target.spot(&self.links).ok());
            let there = || Some(self.up.get(key)?.get(address)?.spot.clone());
            fitting.extend(found.clone().map(|spot| (*address, spot)));
            wanted.extend(found.or_else(there).map(|spot| (*address, spot)));
        }
        self.examine(&BTreeMap::from([(key.clone(), fitting)])).await;
        let (mut going, mut coming, mut troubles) = (Vec::new(), Vec::new(), Troubles::new());
        self.compare_with(key, &wanted, &mut going, &mut coming);
        if coming.is_empty() {
            return;
        }
        self.lower(going).await;
        self.raise(coming, &mut troubles).await;
        for address in there {
            if !self.up.get(key).is_some_and(|up| up.contains_key(&address)) {
                self.inputs.own(Event::Vanished { key: key.clone(), address });
            }
        }
        if let Some(reason) = troubles.remove(key) {
            self.inputs.send(Input::Trouble { key: key.clone(), reason: Some(reason) });
        }
    }

    /// Adds addresses for as long as the right allows, announces them, and looks at the clock once more: a process
    /// that slept between its check and its call has given the kernel too much time, and takes that back.
    async fn raise(&mut self, coming: Vec<Coming>, troubles: &mut Troubles) {
        if coming.is_empty() {
            return;
        }
        let spots: Vec<Spot> = coming.iter().map(|(.., spot)| spot.clone()).collect();
        let fenced = self.fenced(&spots);
        let Some(grant) = self.grant_to(self.count() + spots.len(), fenced) else { return };
        let began = now().unwrap_or_default();
        let outcomes = match self.add(&spots, grant.lifetime).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                let keys = coming.into_iter().map(|(key, ..)| key);
                return troubles.extend(keys.map(|key| (key, error.to_string())));
            }
        };
        let mut raised = Vec::new();
        for ((key, address, spot), added) in coming.into_iter().zip(outcomes) {
            self.metrics.kernel(Operation::Add, outcome(&added));
            if let Err(error) = added {
                troubles.insert(key, with_causes(&error));
                continue;
            }
            let waiting = spot.setup.detect && address.is_ipv6();
            let mut up =
                Up { spot, history: History::Here, waiting, lasts: None, outlasts: false, fenced: false };
            up.granted(grant, began);
            self.arrived(&up.spot);
            self.up.entry(key.clone()).or_default().insert(address, up);
            raised.push((key, address));
        }
        if self.shorten(grant, &raised).await {
            let waits = |key: &VipKey, address: &IpAddr| {
                self.up.get(key).and_then(|up| up.get(address)).is_some_and(|up| up.waiting)
            };
            raised.retain(|(key, address)| !waits(key, address));
            for (key, address) in raised {
                self.begin_to_announce(&key, address);
            }
            self.announce_due();
        }
    }

    /// Adds addresses after a look at what there is: the last one, if it is good still. It stays good for others, which are
    /// not those that are added now.
    async fn add(
        &mut self,
        spots: &[Spot],
        lifetime: u32,
    ) -> Result<Vec<Result<Added, AddressError>>, KernelError> {
        let last = self.look.take().filter(|last| is_good(last, spots));
        let last = match last {
            Some(last) => last,
            None => self.look_now(spots).await?,
        };
        let outcomes = self.kernel.add_all_after(&last.0, spots, lifetime).await;
        self.look = Some(last);
        Ok(outcomes)
    }

    /// Whether the last look is good for these.
    pub(super) fn has_look(&self, spots: &[Spot]) -> bool {
        self.look.as_ref().is_some_and(|last| is_good(last, spots))
    }

    /// Gives addresses that were just added less time, until they have no more than the right; says whether they are
    /// still there.
    async fn shorten(&mut self, mut grant: Grant, raised: &[(VipKey, IpAddr)]) -> bool {
        while grant.is_too_long() {
            debug!("the agent was asleep while it added addresses, which get less time");
            let less = self.grant(grant.fenced);
            let shortened = match less {
                Some(less) => self.renew(raised, less).await,
                None => false,
            };
            let (Some(less), true) = (less, shortened) else {
                self.lower(raised.to_vec()).await;
                return false;
            };
            grant = less;
        }
        true
    }

    pub(super) fn spots(&self, addresses: &[(VipKey, IpAddr)]) -> Vec<Spot> {
        let up = addresses.iter().filter_map(|(key, address)| self.up.get(key)?.get(address));
        up.map(|up| up.spot.clone()).collect()
    }

    /// Removes addresses, and says which of them are gone. With the right, connections to those for which that is wanted
    /// are closed before, so that their clients hear of it; and after, in case there are new ones. The release does not wait
    /// long for either.
    pub(super) async fn lower(&mut self, going: Vec<(VipKey, IpAddr)>) -> Vec<(VipKey, IpAddr)> {
        if going.is_empty() {
            return going;
        }
        self.look = None;
        let closing: Vec<IpAddr> =
            going.iter().filter(|(key, address)| self.closes(key, *address)).map(|(_, ip)| *ip).collect();
        let end = Instant::now() + CLOSE_WITHIN;
        if let Some(left) = self.deadline.get().and_then(|until| Some(until.since(now().ok()?))) {
            close(&closing, end.min(Instant::now() + left)).await;
        }
        for (key, address) in &going {
            self.schedule.stop(key, *address);
        }
        let places: Vec<_> = self.spots(&going).into_iter().map(|spot| (spot.link, spot.net)).collect();
        let outcomes = match self.kernel.remove_all(&places).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "addresses stay up");
                return Vec::new();
            }
        };
        let mut gone = Vec::new();
        for ((key, address), removed) in going.into_iter().zip(outcomes) {
            self.metrics.kernel(Operation::Remove, outcome(&removed));
            match removed {
                Err(error) if !error.is_gone() => {
                    warn!(%key, %address, error = &error as &dyn std::error::Error, "an address stays up");
                }
                _ => {
                    if let Some(up) = self.up.get_mut(&key) {
                        up.remove(&address);
                    }
                    gone.push((key, address));
                }
            }
        }
        close(&closing, end).await;
        gone
    }

    fn closes(&self, key: &VipKey, address: IpAddr) -> bool {
        self.target(key, address).is_some_and(|target| target.manner.close_connections)
    }
}

fn is_good((look, at): &(Look, tokio::time::Instant), spots: &[Spot]) -> bool {
    at.elapsed() < LOOK_AHEAD && look.covers(spots)
}

async fn close(addresses: &[IpAddr], end: Instant) {
    if addresses.is_empty() {
        return;
    }
    match close_connections(addresses.to_vec(), end).await {
        Ok(closed) => debug!(closed, "connections were closed"),
        Err(error) => warn!(error = &error as &dyn std::error::Error, "connections stay open"),
    }
}

impl Up {
    /// Whether it is where, and as far as known how, it is wanted.
    fn agrees(&self, spot: &Spot) -> bool {
        let alike = match self.history {
            History::Here => self.spot.setup == spot.setup,
            History::Adopted => true,
            History::Otherwise => false,
        };
        alike && self.spot.is_at(spot)
    }

    /// The kernel was given this, by a call that began then.
    pub(super) fn granted(&mut self, grant: Grant, began: Time) {
        self.lasts = Some(grant.lasts(began));
        self.outlasts = grant.fenced;
        self.fenced = grant.fenced;
    }
}
