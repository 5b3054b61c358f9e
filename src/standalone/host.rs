//! The addresses of this host, brought to what is wanted and kept there.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::{self, Duration},
};

use futures::future::join_all;
use ipnet::IpNet;
use tokio::time::Instant;

use super::{Error, Row, wanted::Wanted};
use crate::{
    agent::{schedule::Schedule, target::Target},
    api::{ConflictDetection, VipKey},
    network::{
        Announcer, CLOSE_WITHIN, Claim, Kernel, KernelError, Link, Links, Mac, Marked, Spot, Unfit,
        WireError, close_connections, leisure, probe,
    },
};

/// How long the kernel keeps the addresses of a process that was killed, in whole seconds; many of them longer, see [`leisure`].
const LIFETIME: u32 = 10;
/// How often that time begins anew.
pub const RENEWAL: Duration = Duration::from_secs(3);
/// With so much left none needs it yet.
const ENOUGH: Duration = Duration::from_secs(8);
/// How long others have to say that an address is theirs.
const PROBE: Duration = Duration::from_millis(200);
/// `DEFEND_INTERVAL` of RFC 5227: an answer to each of many claims would be a storm.
const DEFENCE: Duration = Duration::from_secs(10);
/// How long another host's claim is told of.
const MEMORY: Duration = Duration::from_mins(1);

/// Where an address belongs.
type Place = (u32, IpNet);

/// An address that is up.
struct Up {
    key: VipKey,
    spot: Spot,
    target: Target,
    defended: bool,
    /// The kernel still asks whether another host has it: until then nothing is said about it.
    waiting: bool,
}

/// This host.
pub struct Host {
    kernel: Kernel,
    announcer: Announcer,
    links: Links,
    schedule: Schedule,
    up: BTreeMap<IpAddr, Up>,
    /// When the first of them ends, unless it is renewed.
    ends: Option<Instant>,
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
            ends: None,
            cleared: BTreeSet::new(),
            claims: BTreeMap::new(),
            kernel,
        })
    }

    /// By which everything here is done.
    pub const fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// The interfaces as they were last seen.
    pub const fn links(&self) -> &Links {
        &self.links
    }

    /// The addresses that are up.
    pub fn up(&self) -> BTreeSet<IpAddr> {
        self.up.keys().copied().collect()
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
        self.look().await?;
        self.prepare(wanted).await?;
        let found: Vec<Result<Spot, String>> = wanted.iter().map(|one| self.spot(one)).collect();
        let owners: BTreeMap<IpAddr, (&Wanted, &Spot)> = wanted
            .iter()
            .zip(&found)
            .filter_map(|(one, spot)| Some((one.target.ip(), (one, spot.as_ref().ok()?))))
            .collect();
        let places: BTreeSet<Place> = owners.values().map(|(_, spot)| (spot.link, spot.net)).collect();
        let mut marked = self.kernel.marked().await?;
        marked.retain(Marked::is_agents);
        let present: BTreeSet<Place> = marked.iter().map(|there| (there.link, there.address)).collect();
        for there in marked.iter().filter(|there| !there.tentative) {
            self.usable(there.address.addr());
        }
        let mut surplus: BTreeSet<Place> = present.difference(&places).copied().collect();
        let mut going = Vec::new();
        for (address, up) in std::mem::take(&mut self.up) {
            let place = (up.spot.link, up.spot.net);
            let stays =
                owners.get(&address).is_some_and(|(one, spot)| one.key == up.key && **spot == up.spot);
            if present.contains(&place) && stays {
                self.up.insert(address, up);
            } else {
                surplus.extend(present.get(&place));
                self.schedule.stop(&up.key, address);
                going.push(up);
            }
        }
        close(&going).await;
        self.kernel.remove_all(&surplus.into_iter().collect::<Vec<_>>()).await?;
        let news = owners.values().filter(|(one, _)| !self.up.contains_key(&one.target.ip()));
        let news: Vec<(&Wanted, Spot)> = news.map(|(one, spot)| (*one, (*spot).clone())).collect();
        let failures = self.raise(news).await?;
        Ok(wanted.iter().zip(found).map(|(one, spot)| self.row(one, spot.err(), &failures)).collect())
    }

    /// The kernel answers for an address.
    fn usable(&mut self, address: IpAddr) {
        if let Some(up) = self.up.get_mut(&address).filter(|up| up.waiting) {
            up.waiting = false;
            self.schedule.start(up.key.clone(), address, up.target.manner.rhythm());
        }
    }

    /// Looks at the interfaces. What others know of those that changed may be wrong: they are told again.
    async fn look(&mut self) -> Result<(), KernelError> {
        let links = self.kernel.links().await?;
        let before = std::mem::replace(&mut self.links, links);
        for (address, up) in &self.up {
            let (before, after) = (before.by_index(up.spot.link), self.links.by_index(up.spot.link));
            if let (Some(before), Some(after), false) = (before, after, up.waiting)
                && after.must_be_told(before)
            {
                self.schedule.start(up.key.clone(), *address, up.target.manner.rhythm());
            }
        }
        Ok(())
    }

    /// Sets up interfaces that are down and without any address, where one with a prefix length is wanted; and leaves those
    /// that are not wanted any more as they were found.
    async fn prepare(&self, wanted: &[Wanted]) -> Result<(), KernelError> {
        let awaited = wanted.iter().filter_map(|one| Some(one.target.awaited(&self.links)?.index));
        let awaited: BTreeSet<u32> = awaited.collect();
        let carries = |link: &Link| self.up.values().any(|up| up.spot.link == link.index);
        for link in self.links.iter() {
            if awaited.contains(&link.index) && !link.up {
                self.kernel.prepare(link.index).await?;
            } else if link.prepared && link.is_bare() && !awaited.contains(&link.index) && !carries(link) {
                self.kernel.leave_as_found(link.index).await?;
            }
        }
        Ok(())
    }

    fn spot(&self, one: &Wanted) -> Result<Spot, String> {
        if let Some(refused) = &one.refused {
            return Err(refused.clone());
        }
        one.target.spot(&self.links).or_else(|unfit| self.stays(one, &unfit).ok_or_else(|| unfit.to_string()))
    }

    /// Where it is up, if all that is missing is the address of the host that showed its subnet: no other place is better.
    fn stays(&self, one: &Wanted, unfit: &Unfit) -> Option<Spot> {
        let up = self.up.get(&one.target.ip()).filter(|up| up.key == one.key && up.target == one.target)?;
        let fits = self.links.by_index(up.spot.link).is_some_and(|link| link.fit().is_ok());
        (fits && matches!(unfit, Unfit::NoSubnet { .. })).then(|| up.spot.clone())
    }

    /// Adds and announces what nobody else has; says what was not added and why.
    async fn raise(&mut self, news: Vec<(&Wanted, Spot)>) -> Result<BTreeMap<IpAddr, String>, KernelError> {
        let mut failures = BTreeMap::new();
        let verdicts = join_all(news.iter().map(|(one, spot)| self.claimed(one, spot))).await;
        let (mut free, mut spots) = (Vec::new(), Vec::new());
        for ((one, spot), verdict) in news.into_iter().zip(verdicts) {
            match verdict {
                None => {
                    free.push(one);
                    spots.push(spot);
                }
                Some(claimed) => drop(failures.insert(one.target.ip(), claimed)),
            }
        }
        let (began, lifetime) = (Instant::now(), lifetime(self.up.len() + spots.len()));
        let outcomes = self.kernel.add_all(&spots, lifetime).await?;
        let end = began + Duration::from_secs(lifetime.into());
        self.ends = Some(self.ends.map_or(end, |ends| ends.min(end)));
        for ((one, spot), outcome) in free.into_iter().zip(spots).zip(outcomes) {
            let (address, target) = (one.target.ip(), one.target.clone());
            match outcome {
                Ok(_) => {
                    self.cleared.insert(address);
                    let waiting = spot.setup.detect && address.is_ipv6();
                    if !waiting {
                        self.schedule.start(one.key.clone(), address, target.manner.rhythm());
                    }
                    let defended = one.conflicts == ConflictDetection::Defend;
                    self.up.insert(address, Up { key: one.key.clone(), spot, target, defended, waiting });
                }
                Err(error) => drop(failures.insert(address, error.to_string())),
            }
        }
        failures.extend(self.announce_due());
        Ok(failures)
    }

    /// Who else has an address that was never up here, if anybody.
    async fn claimed(&self, one: &Wanted, spot: &Spot) -> Option<String> {
        let address = one.target.ip();
        if one.conflicts == ConflictDetection::None || self.cleared.contains(&address) {
            return None;
        }
        match probe(self.links.by_index(spot.link)?, address, PROBE).await {
            Ok(Some(mac)) if !self.links.iter().any(|link| link.mac == Some(mac)) => {
                Some(format!("the host with the hardware address {mac} has the address: remove it there"))
            }
            Ok(_) => None,
            Err(error) => Some(format!("cannot ask whether {address} is free: {error}")),
        }
    }

    fn row(&self, one: &Wanted, unfit: Option<String>, failures: &BTreeMap<IpAddr, String>) -> Row {
        let address = one.target.ip();
        let up = self.up.get(&address).filter(|up| up.key == one.key);
        let link = up.and_then(|up| self.links.by_index(up.spot.link));
        let claim = self.claims.get(&address).filter(|(when, _)| {
            up.is_some() && one.conflicts != ConflictDetection::None && when.elapsed() < MEMORY
        });
        let claim = claim.map(|(_, mac)| format!("the host with the hardware address {mac} claims it too"));
        let label = link.filter(|_| address.is_ipv4()).and_then(|link| one.target.manner.label_refused(link));
        let message = unfit.or_else(|| failures.get(&address).cloned()).or(claim).or(label);
        Row {
            key: one.key.clone(),
            address,
            interface: link.map(|link| link.name.clone()),
            message: message.unwrap_or_default(),
        }
    }

    /// Lets everything live on where it is time. Whether all of it could is for [`Host::settle`] to see.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub async fn renew(&mut self) -> Result<(), KernelError> {
        let now = Instant::now();
        if self.ends.is_none_or(|ends| ends > now + ENOUGH) {
            return Ok(());
        }
        let spots: Vec<Spot> = self.up.values().map(|up| up.spot.clone()).collect();
        let lifetime = lifetime(spots.len());
        self.kernel.renew_all(&spots, lifetime).await?;
        self.ends = (!spots.is_empty()).then(|| now + Duration::from_secs(lifetime.into()));
        Ok(())
    }

    /// Announces what is due; says what could not be. A queue that is full now is empty the next time.
    pub fn announce_due(&mut self) -> BTreeMap<IpAddr, String> {
        let mut failures = BTreeMap::new();
        while let Some((_, address)) = self.schedule.pop_due() {
            if let Err(error) = self.announce(address) {
                failures.insert(address, error.to_string());
            }
        }
        failures
    }

    /// Another host claims an address of ours: it is told better. Says whether that is news.
    pub fn defend(&mut self, claim: Claim) -> bool {
        // An interface that was added since the ear was opened may be on the same segment.
        let own = self.links.iter().any(|link| link.mac == Some(claim.mac));
        let Some(up) = self.up.get(&claim.address).filter(|_| !own) else { return false };
        let before = self.claims.get(&claim.address).copied();
        if before.is_some_and(|(when, _)| when.elapsed() < DEFENCE) {
            return false;
        }
        self.claims.insert(claim.address, (Instant::now(), claim.mac));
        if up.defended {
            let _ = self.announce(claim.address);
        }
        before.is_none_or(|(_, mac)| mac != claim.mac)
    }

    fn announce(&self, address: IpAddr) -> Result<(), WireError> {
        let Some(up) = self.up.get(&address) else { return Ok(()) };
        let Some(link) = self.links.by_index(up.spot.link) else { return Ok(()) };
        let manner = &up.target.manner;
        self.announcer.announce_as(link, address, manner.form())?;
        manner.hosts().iter().try_for_each(|host| self.announcer.tell(link, address, *host))
    }

    /// Takes everything away.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub async fn leave(&mut self) -> Result<(), KernelError> {
        let up: Vec<Up> = std::mem::take(&mut self.up).into_values().collect();
        close(&up).await;
        let places: Vec<Place> = up.iter().map(|up| (up.spot.link, up.spot.net)).collect();
        self.kernel.remove_all(&places).await?;
        self.look().await?;
        self.prepare(&[]).await
    }
}

fn lifetime(addresses: usize) -> u32 {
    LIFETIME + leisure(addresses)
}

/// Connections go with their addresses, where that is wanted.
async fn close(going: &[Up]) {
    let closing = going.iter().filter(|up| up.target.manner.close_connections).map(|up| up.target.ip());
    let closing: Vec<IpAddr> = closing.collect();
    if !closing.is_empty() {
        // They end by themselves, only later.
        let _ = close_connections(closing, time::Instant::now() + CLOSE_WITHIN).await;
    }
}
