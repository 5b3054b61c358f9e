//! The addresses of this host, brought to what is wanted and kept there.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use futures::future::join_all;
use ipnet::IpNet;
use tokio::time::Instant;

use super::{Error, Row, wanted::Wanted};
use crate::{
    agent::schedule::Schedule,
    api::VipKey,
    network::{Announcer, Claim, Kernel, KernelError, Links, Mac, WireError, probe},
};

/// How long the kernel keeps the addresses of a process that was killed, in whole seconds.
const LIFETIME: u32 = 10;
/// How often that time begins anew.
pub const RENEWAL: Duration = Duration::from_secs(3);
/// How long others have to say that an address is theirs.
const PROBE: Duration = Duration::from_millis(200);
/// An answer to each of many claims would be a storm (RFC 5227, 2.4 has 10 s for hosts that give up instead).
const DEFENCE: Duration = Duration::from_secs(1);
/// How long another host's claim is told of.
const MEMORY: Duration = Duration::from_mins(1);

/// Where an address belongs.
type Place = (u32, IpNet);

/// This host.
pub struct Host {
    kernel: Kernel,
    announcer: Announcer,
    links: Links,
    schedule: Schedule,
    up: BTreeMap<IpAddr, (VipKey, Place)>,
    /// What was up once needs no probe: whoever claims it since is heard.
    cleared: BTreeSet<IpAddr>,
    claims: BTreeMap<IpAddr, (Instant, Mac)>,
}

impl Host {
    /// Opens what is needed; nothing is changed yet.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`, or when the kernel does not answer.
    pub async fn open() -> Result<Self, Error> {
        let kernel = Kernel::open()?;
        let links = kernel.links().await?;
        Ok(Self {
            announcer: Announcer::open()?,
            links,
            schedule: Schedule::default(),
            up: BTreeMap::new(),
            cleared: BTreeSet::new(),
            claims: BTreeMap::new(),
            kernel,
        })
    }

    /// The interfaces as they were last seen.
    pub const fn links(&self) -> &Links {
        &self.links
    }

    /// When the next announcement is due.
    pub fn next(&self) -> Option<Instant> {
        self.schedule.next()
    }

    /// Brings the addresses to what is wanted, and says what became of each.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub async fn settle(&mut self, wanted: &[Wanted]) -> Result<Vec<Row>, KernelError> {
        self.links = self.kernel.links().await?;
        let found: Vec<Result<Place, String>> = wanted.iter().map(|one| self.place(one)).collect();
        let owners: BTreeSet<(&VipKey, Place)> = wanted
            .iter()
            .zip(&found)
            .filter_map(|(one, place)| Some((&one.key, *place.as_ref().ok()?)))
            .collect();
        let places: BTreeSet<Place> = owners.iter().map(|(_, place)| *place).collect();
        // A permanent address with our mark is the resource agent's.
        let marked = self.kernel.marked().await?.into_iter().filter(|there| there.valid_for.is_some());
        let present: BTreeSet<Place> = marked.map(|there| (there.link, there.address)).collect();
        let surplus: Vec<Place> = present.difference(&places).copied().collect();
        self.kernel.remove_all(&surplus).await?;
        for (address, (key, place)) in std::mem::take(&mut self.up) {
            if present.contains(&place) && owners.contains(&(&key, place)) {
                self.up.insert(address, (key, place));
            } else {
                self.schedule.stop(&key, address);
            }
        }
        let news: Vec<(&Wanted, Place)> = wanted
            .iter()
            .zip(&found)
            .filter_map(|(one, place)| Some((one, *place.as_ref().ok()?)))
            .filter(|(one, _)| !self.up.contains_key(&one.net.addr()))
            .collect();
        let failures = self.raise(&news).await?;
        Ok(wanted.iter().zip(found).map(|(one, place)| self.row(one, place.err(), &failures)).collect())
    }

    fn place(&self, one: &Wanted) -> Result<Place, String> {
        if let Some(refused) = &one.refused {
            return Err(refused.clone());
        }
        let link = self.links.find(one.net.addr(), one.interface.as_deref());
        link.map(|link| (link.index, one.net)).map_err(|unfit| unfit.to_string())
    }

    /// Adds and announces what nobody else has; says what was not added and why.
    async fn raise(&mut self, news: &[(&Wanted, Place)]) -> Result<BTreeMap<IpAddr, String>, KernelError> {
        let mut failures = BTreeMap::new();
        let verdicts = join_all(news.iter().map(|(one, place)| self.claimed(one, *place))).await;
        let mut free = Vec::new();
        for ((one, place), verdict) in news.iter().zip(verdicts) {
            match verdict {
                None => free.push((*one, *place)),
                Some(claimed) => drop(failures.insert(one.net.addr(), claimed)),
            }
        }
        let places: Vec<Place> = free.iter().map(|(_, place)| *place).collect();
        let outcomes = self.kernel.add_all(&places, LIFETIME).await?;
        for ((one, place), outcome) in free.into_iter().zip(outcomes) {
            let address = one.net.addr();
            match outcome {
                Ok(_) => {
                    self.cleared.insert(address);
                    self.up.insert(address, (one.key.clone(), place));
                    self.schedule.start(one.key.clone(), address);
                    if let Err(error) = self.announce(address) {
                        failures.insert(address, error.to_string());
                    }
                }
                Err(error) => drop(failures.insert(address, error.to_string())),
            }
        }
        Ok(failures)
    }

    /// Who else has an address that was never up here, if anybody.
    async fn claimed(&self, one: &Wanted, (link, net): Place) -> Option<String> {
        let address = net.addr();
        let link = self.links.by_index(link).filter(|_| !self.cleared.contains(&address))?;
        match probe(link, address, PROBE).await {
            Ok(Some(mac)) if !self.links.iter().any(|link| link.mac == Some(mac)) => {
                Some(format!("the host with the hardware address {mac} has the address: remove it there"))
            }
            Ok(_) => None,
            Err(error) => Some(format!("cannot ask whether {} is free: {error}", one.net.addr())),
        }
    }

    fn row(&self, one: &Wanted, unfit: Option<String>, failures: &BTreeMap<IpAddr, String>) -> Row {
        let address = one.net.addr();
        let up = self.up.get(&address).filter(|(key, _)| *key == one.key);
        let name = up.and_then(|(_, (link, _))| self.links.by_index(*link)).map(|link| link.name.clone());
        let claim = self.claims.get(&address).filter(|(when, _)| up.is_some() && when.elapsed() < MEMORY);
        let claim = claim.map(|(_, mac)| format!("the host with the hardware address {mac} claims it too"));
        let message = unfit.or_else(|| failures.get(&address).cloned()).or(claim).unwrap_or_default();
        Row { key: one.key.clone(), address, interface: name, message }
    }

    /// Lets everything live on. Whether all of it could is for [`Host::settle`] to see.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub async fn renew(&self) -> Result<(), KernelError> {
        let places: Vec<Place> = self.up.values().map(|(_, place)| *place).collect();
        self.kernel.renew_all(&places, LIFETIME).await.map(drop)
    }

    /// Announces what is due.
    pub fn announce_due(&mut self) {
        while let Some((_, address)) = self.schedule.pop_due() {
            // A queue that is full now is empty the next time.
            let _ = self.announce(address);
        }
    }

    /// Another host claims an address of ours: it is told better. Says whether that is news.
    pub fn defend(&mut self, claim: Claim) -> bool {
        // An interface that was added since the ear was opened may be on the same segment.
        let own = self.links.iter().any(|link| link.mac == Some(claim.mac));
        if own || !self.up.contains_key(&claim.address) {
            return false;
        }
        let before = self.claims.get(&claim.address).copied();
        if before.is_some_and(|(when, _)| when.elapsed() < DEFENCE) {
            return false;
        }
        self.claims.insert(claim.address, (Instant::now(), claim.mac));
        let _ = self.announce(claim.address);
        before.is_none_or(|(_, mac)| mac != claim.mac)
    }

    fn announce(&self, address: IpAddr) -> Result<(), WireError> {
        let place = self.up.get(&address).map(|(_, (link, _))| *link);
        match place.and_then(|link| self.links.by_index(link)) {
            Some(link) => self.announcer.announce(link, address),
            None => Ok(()),
        }
    }

    /// Takes everything away.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub async fn leave(&mut self) -> Result<(), KernelError> {
        let places: Vec<Place> = std::mem::take(&mut self.up).into_values().map(|(_, place)| place).collect();
        self.kernel.remove_all(&places).await.map(drop)
    }
}
