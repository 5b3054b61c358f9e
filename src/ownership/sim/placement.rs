//! Who should own what: a small stand-in for the real placement.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use super::super::event::Want;
use super::super::lease::{Key, NodeName};
use super::super::machine::Machine;

/// What a user wrote into a `VirtualIP`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::ownership) struct Spec {
    pub(in crate::ownership) addresses: BTreeSet<IpAddr>,
    /// The older of two that list one address is entitled to it.
    pub(in crate::ownership) created: u64,
    pub(in crate::ownership) deleted: bool,
    pub(in crate::ownership) prefer: Option<NodeName>,
}

/// Everything that users wrote, as one node sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::ownership) struct Specs {
    pub(in crate::ownership) vips: BTreeMap<Key, Spec>,
    pub(in crate::ownership) standby: BTreeSet<NodeName>,
}

impl Specs {
    /// The addresses that no older `VirtualIP` lists.
    pub(in crate::ownership) fn entitled(&self, key: &Key) -> BTreeSet<IpAddr> {
        let Some(spec) = self.vips.get(key).filter(|spec| !spec.deleted) else { return BTreeSet::new() };
        let older = |other: &&Spec| !other.deleted && other.created < spec.created;
        let taken: BTreeSet<_> =
            self.vips.values().filter(older).flat_map(|s| &s.addresses).copied().collect();
        &spec.addresses - &taken
    }

    /// What `me` should do about `key`, by what its machine knows.
    pub(in crate::ownership) fn want(
        &self,
        key: &Key,
        me: &NodeName,
        machine: &Machine,
        leaving: bool,
    ) -> Want {
        let live: BTreeSet<&NodeName> = machine.live().collect();
        let Some(spec) = self.vips.get(key).filter(|spec| !spec.deleted) else {
            return Want::Retire { steward: live.first().is_none_or(|first| *first == me) };
        };
        let holder = machine.title(key).and_then(|title| title.content.holder.as_ref());
        let addresses = self.entitled(key);
        let mut order: Vec<&NodeName> =
            live.into_iter().chain([me]).filter(|node| !self.standby.contains(node)).collect();
        order.sort_by_key(|node| {
            let preferred = spec.prefer.as_ref() == Some(*node);
            let holds = holder.is_some_and(|holder| holder.node == **node);
            (!preferred, !holds, hash(&(key, node)), *node)
        });
        order.dedup();
        let holds = machine.holds(key);
        if leaving || self.standby.contains(me) {
            let to = order.into_iter().filter(|node| *node != me).cloned().collect();
            return if holds { Want::Yield { to, must: true, addresses } } else { Want::Abstain };
        }
        let rank = order.iter().position(|node| *node == me).unwrap();
        if holds && rank > 0 && spec.prefer.as_ref() == Some(order[0]) {
            return Want::Yield { to: vec![order[0].clone()], must: false, addresses };
        }
        Want::Hold { rank: u32::try_from(rank).unwrap(), addresses }
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
