//! The kernel of one node: addresses with lifetimes in whole seconds that end up to half a second late.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::super::lease::Key;

/// An address that the kernel answers for.
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
}

impl Kernel {
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
