//! A gate for each guarded address: shut, the address is silent at once and by itself, whatever the deadline of the node says and
//! whatever the kernel still has configured.
//!
//! To shut one takes a microsecond, and waits for nobody; to take an address from the kernel takes its routing lock. So an owner is
//! silent when it says so, and a successor has the address ready behind a shut gate.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aya::{
    Pod,
    maps::{Array, HashMap, Map, MapData, MapError},
};

use super::{
    error::FenceError,
    program::{GUARDED4, GUARDED6, SHUT, failed, put, take},
};

/// As in the program.
const OPEN_GATE: u32 = 0;
const SHUT_GATE: u32 = 1;

/// The gates in the kernel. Clones are the same gates.
///
/// Whoever decides which addresses may answer opens and shuts them, in the order of those decisions; whoever configures addresses
/// only guards them, and finds each gate as it was decided.
#[derive(Clone, Debug)]
pub struct Gates(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    guarded4: Map,
    guarded6: Map,
    count: Map,
    /// What it says.
    counted: u32,
    /// What the kernel knows of each guarded address.
    known: BTreeMap<IpAddr, u32>,
    /// The gates that are to be shut, also of addresses that are not guarded yet.
    shut: BTreeSet<IpAddr>,
    /// Addresses before all of whose ways to the wire the fence stands, when that was looked at last.
    sure: BTreeSet<IpAddr>,
    doubt: Doubt,
}

/// How often there was reason to doubt that the fence stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doubt(u64);

impl Gates {
    /// The gates as they are in the maps.
    ///
    /// # Errors
    /// When a map is not what it should be.
    pub(super) fn new([guarded4, guarded6, count]: [Map; 3]) -> Result<Self, FenceError> {
        let four = pairs::<[u8; 4]>(&guarded4).map_err(failed(GUARDED4))?;
        let six = pairs::<[u8; 16]>(&guarded6).map_err(failed(GUARDED6))?;
        let known: BTreeMap<IpAddr, u32> = four.into_iter().chain(six).collect();
        let is_shut = |(address, gate): (&IpAddr, &u32)| (*gate == SHUT_GATE).then_some(*address);
        let shut: BTreeSet<IpAddr> = known.iter().filter_map(is_shut).collect();
        let counted = u32::try_from(shut.len()).unwrap_or(u32::MAX);
        let mut inner = Inner {
            guarded4,
            guarded6,
            count,
            counted,
            known,
            shut,
            sure: BTreeSet::new(),
            doubt: Doubt::default(),
        };
        inner.tell_count().map_err(failed(SHUT))?;
        Ok(Self(Arc::new(Mutex::new(inner))))
    }

    /// From now on these may answer, before the deadline. An error leaves what it is about silent until it is guarded again.
    ///
    /// # Errors
    /// The first of what does not go.
    pub fn open<'a>(&self, addresses: impl IntoIterator<Item = &'a IpAddr>) -> Result<(), FenceError> {
        let mut inner = self.lock();
        let mut result = Ok(());
        // What does not go for one is no reason to keep another silent.
        for address in addresses {
            if inner.shut.remove(address) {
                result = result.and(inner.tell(*address));
            }
        }
        result
    }

    /// From now on these are silent where the fence stands before them, and from when they are guarded. Says whether all of them are
    /// silent on the wire when this returns.
    pub fn shut<'a>(&self, addresses: impl IntoIterator<Item = &'a IpAddr>) -> bool {
        let mut inner = self.lock();
        let mut silent = true;
        for address in addresses {
            inner.shut.insert(*address);
            silent &= inner.tell(*address).is_ok() && inner.sure.contains(address);
        }
        silent
    }

    /// Whether this one is to be silent.
    #[must_use]
    pub fn is_shut(&self, address: IpAddr) -> bool {
        self.lock().shut.contains(&address)
    }

    /// The fence was looked at `after` a doubt: it stands before all ways of exactly these to the wire. After a later doubt that says
    /// nothing.
    pub fn vouch(&self, addresses: BTreeSet<IpAddr>, after: Doubt) {
        let mut inner = self.lock();
        if inner.doubt == after {
            inner.sure = addresses;
        }
    }

    /// Somebody may have taken the fence away: no gate makes sure of anything before it was looked at again.
    pub fn distrust(&self) {
        let mut inner = self.lock();
        inner.doubt.0 += 1;
        inner.sure.clear();
    }

    /// The last doubt. Take it before you look.
    #[must_use]
    pub fn doubt(&self) -> Doubt {
        self.lock().doubt
    }

    pub(super) fn guarded(&self) -> Vec<IpAddr> {
        self.lock().known.keys().copied().collect()
    }

    pub(super) fn guards(&self, address: IpAddr) -> bool {
        self.lock().known.contains_key(&address)
    }

    /// From now on this address is judged, and its gate is as was decided.
    pub(super) fn guard(&self, address: IpAddr) -> Result<(), FenceError> {
        let mut inner = self.lock();
        let gate = inner.gate(address);
        if inner.known.get(&address) == Some(&gate) {
            return Ok(());
        }
        let refused = |source| FenceError::Guard { address, source: Box::new(source) };
        inner.put(address, gate).map_err(refused)
    }

    /// This address is nothing to us any more.
    pub(super) fn forget(&self, address: IpAddr) -> Result<(), MapError> {
        let mut inner = self.lock();
        match address {
            IpAddr::V4(v4) => take(&mut inner.guarded4, v4.octets()),
            IpAddr::V6(v6) => take(&mut inner.guarded6, v6.octets()),
        }?;
        inner.note(address, None)
    }

    /// Keeps the maps when this process ends.
    pub(super) fn pin(&self, pins: &Path) -> Result<(), FenceError> {
        let inner = self.lock();
        for (name, map) in [(GUARDED4, &inner.guarded4), (GUARDED6, &inner.guarded6), (SHUT, &inner.count)] {
            let path = pins.join(name);
            map.pin(&path).map_err(|source| FenceError::Pin { path, source: Box::new(source) })?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn gate(&self, address: IpAddr) -> u32 {
        if self.shut.contains(&address) { SHUT_GATE } else { OPEN_GATE }
    }

    /// Tells the kernel how the gate of an address is, if it is guarded.
    fn tell(&mut self, address: IpAddr) -> Result<(), FenceError> {
        let gate = self.gate(address);
        if self.known.get(&address).is_none_or(|known| *known == gate) {
            return Ok(());
        }
        self.put(address, gate).map_err(failed("gates"))
    }

    /// The gate first: until its count says that one is shut the program looks at none.
    fn put(&mut self, address: IpAddr, gate: u32) -> Result<(), MapError> {
        match address {
            IpAddr::V4(v4) => put(&mut self.guarded4, v4.octets(), gate),
            IpAddr::V6(v6) => put(&mut self.guarded6, v6.octets(), gate),
        }?;
        self.note(address, Some(gate))
    }

    /// The kernel knows this of an address from now on.
    fn note(&mut self, address: IpAddr, gate: Option<u32>) -> Result<(), MapError> {
        let before = match gate {
            Some(gate) => self.known.insert(address, gate),
            None => self.known.remove(&address),
        };
        match (before == Some(SHUT_GATE), gate == Some(SHUT_GATE)) {
            (false, true) => self.counted += 1,
            (true, false) => self.counted -= 1,
            _ => return Ok(()),
        }
        self.tell_count()
    }

    fn tell_count(&mut self) -> Result<(), MapError> {
        Array::<&mut MapData, u32>::try_from(&mut self.count)?.set(0, self.counted, 0)
    }
}

fn pairs<K: Pod + Into<IpAddr>>(map: &Map) -> Result<Vec<(IpAddr, u32)>, MapError> {
    let pair = |(key, gate): (K, u32)| (key.into(), gate);
    HashMap::<&MapData, K, u32>::try_from(map)?.iter().map(|entry| entry.map(pair)).collect()
}
