//! The kernel of one node: addresses with lifetimes in whole seconds that end up to half a second late, and perhaps
//! an exact fence in front of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::super::lease::Key;
use super::super::time::Time;

/// An address that the kernel has.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: Key,
    /// Tells the expiry of this lifetime from that of a former one.
    pub(super) generation: u64,
}

#[derive(Default)]
pub(super) struct Kernel {
    pub(super) up: BTreeMap<IpAddr, Entry>,
    generations: u64,
    /// The deadline of the exact fence: what is up answers before it, and no longer. `None`: only lifetimes.
    pub(super) fence: Option<Time>,
}

impl Kernel {
    pub(super) fn boot(&mut self) {
        self.up.clear();
        self.fence = self.fence.map(|_| Time::default());
    }

    /// Whether it answers for an address when its clock shows `clock`.
    pub(super) fn answers(&self, address: IpAddr, clock: Time) -> bool {
        self.up.contains_key(&address) && self.open(clock)
    }

    /// Whether the fence lets answers out.
    pub(super) fn open(&self, clock: Time) -> bool {
        self.fence.is_none_or(|deadline| clock < deadline)
    }

    /// Adds an address or gives it another lifetime, and says which generation must expire.
    pub(super) fn put(&mut self, address: IpAddr, key: Key) -> u64 {
        self.generations += 1;
        self.up.insert(address, Entry { key, generation: self.generations });
        self.generations
    }

    /// The lifetime of `generation` ended: the key whose address is gone now, if that was still its lifetime.
    pub(super) fn expire(&mut self, address: IpAddr, generation: u64) -> Option<Key> {
        let entry = self.up.get(&address)?;
        (entry.generation == generation).then(|| self.up.remove(&address).unwrap().key)
    }

    pub(super) fn of(&self, key: &Key) -> BTreeSet<IpAddr> {
        self.up.iter().filter(|(_, entry)| entry.key == *key).map(|(address, _)| *address).collect()
    }
}
