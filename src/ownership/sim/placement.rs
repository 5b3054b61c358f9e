//! Who should own what: a small stand-in for the real placement.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::rc::Rc;

use super::super::event::Want;
use super::super::lease::{Key, NodeName};
use super::super::machine::Machine;
use super::{node_index, node_name};

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
        let live: Vec<NodeName> = machine.live().cloned().collect();
        let among = Among { me, live: &live, draw: |node: &NodeName| hash(&(key, node)) };
        self.want_among(key, self.entitled(key), &among, machine, leaving)
    }

    fn want_among(
        &self,
        key: &Key,
        addresses: BTreeSet<IpAddr>,
        Among { me, live, draw }: &Among<'_, impl Fn(&NodeName) -> u64>,
        machine: &Machine,
        leaving: bool,
    ) -> Want {
        let me = *me;
        let Some(spec) = self.vips.get(key).filter(|spec| !spec.deleted) else {
            return Want::Retire { steward: live.first().is_none_or(|first| first == me) };
        };
        let holder = machine.title(key).and_then(|title| title.content.holder.as_ref());
        let place = |node: &NodeName| {
            let preferred = spec.prefer.as_ref() == Some(node);
            let holds = holder.is_some_and(|holder| holder.node == *node);
            (!preferred, !holds, draw(node))
        };
        let others = || live.iter().filter(|node| *node != me && !self.standby.contains(node));
        let holds = machine.holds(key);
        if leaving || self.standby.contains(me) {
            if !holds {
                return Want::Abstain;
            }
            let mut to: Vec<NodeName> = others().cloned().collect();
            if leaving && to.is_empty() && !self.standby.contains(me) {
                return Want::Hold { rank: 0, addresses };
            }
            to.sort_by_cached_key(|node| (place(node), node.clone()));
            return Want::Yield { to, must: self.standby.contains(me), addresses };
        }
        let mine = (place(me), me);
        let rank = others().filter(|node| (place(node), *node) < mine).count();
        if holds
            && rank > 0
            && let Some(preferred) = others().find(|node| spec.prefer.as_ref() == Some(node))
        {
            return Want::Yield { to: vec![preferred.clone()], must: false, addresses };
        }
        Want::Hold { rank: rough(rank), addresses }
    }
}

/// Far behind, one place more or less changes nothing that is worth planning anew for.
fn rough(rank: usize) -> u32 {
    let rank = u32::try_from(rank).unwrap();
    if rank < 8 { rank } else { rank.next_power_of_two() }
}

/// The nodes that live, by name, and the numbers of those that may own.
#[derive(Clone, Debug, Default)]
pub(super) struct Live {
    pub(super) nodes: Vec<NodeName>,
    among: Vec<usize>,
}

/// Between whom is chosen, and by which lot.
struct Among<'a, Draw> {
    me: &'a NodeName,
    /// By name.
    live: &'a [NodeName],
    draw: Draw,
}

/// What users wrote, with what follows from it for every node alike worked out once.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) specs: Specs,
    entitled: BTreeMap<Key, BTreeSet<IpAddr>>,
    /// The lots of all nodes, by their number.
    draws: Rc<BTreeMap<Key, Vec<u64>>>,
}

impl Plan {
    /// The plan after this one.
    pub(super) fn edited(&self, specs: Specs, nodes: usize) -> Self {
        let mut oldest: BTreeMap<IpAddr, u64> = BTreeMap::new();
        for spec in specs.vips.values().filter(|spec| !spec.deleted) {
            for address in &spec.addresses {
                let first = oldest.entry(*address).or_insert(spec.created);
                *first = spec.created.min(*first);
            }
        }
        let has = |spec: &Spec, address: &IpAddr| !spec.deleted && oldest[address] == spec.created;
        let entitled = specs.vips.iter().map(|(key, spec)| {
            let addresses = if spec.deleted {
                BTreeSet::new()
            } else {
                spec.addresses.iter().filter(|a| has(spec, a)).copied().collect()
            };
            (key.clone(), addresses)
        });
        let entitled = entitled.collect();
        let mut draws = self.draws.clone();
        for key in specs.vips.keys().filter(|key| !self.draws.contains_key(*key)) {
            let lots = (0..nodes).map(|node| hash(&(key, &node_name(node)))).collect();
            Rc::make_mut(&mut draws).insert(key.clone(), lots);
        }
        Self { specs, entitled, draws }
    }

    /// The place of `me` among those that may own: the same as in [`Specs::want`] where nobody is preferred.
    fn rank(lots: &[u64], me: usize, among: &[usize], holder: Option<usize>) -> u32 {
        if holder == Some(me) {
            return 0;
        }
        let before = |node: &&usize| **node != me && (Some(**node) == holder || lots[**node] < lots[me]);
        rough(among.iter().filter(before).count())
    }

    /// Those of `nodes` that may own.
    pub(super) fn among(&self, nodes: Vec<NodeName>) -> Live {
        let may = nodes.iter().filter(|node| !self.specs.standby.contains(*node));
        Live { among: may.map(node_index).collect(), nodes }
    }

    pub(super) fn entitled(&self, key: &Key) -> BTreeSet<IpAddr> {
        self.entitled.get(key).cloned().unwrap_or_default()
    }

    /// As [`Specs::want`] with these nodes `live`.
    pub(super) fn want(
        &self,
        key: &Key,
        me: &NodeName,
        live: &Live,
        machine: &Machine,
        leaving: bool,
    ) -> Want {
        let Live { nodes: live, among } = live;
        let lots = self.draws.get(key);
        if let (Some(lots), Some(spec)) = (lots, self.specs.vips.get(key))
            && !spec.deleted
            && spec.prefer.is_none()
            && !leaving
            && !self.specs.standby.contains(me)
        {
            let holder = machine.title(key).and_then(|title| title.content.holder.as_ref());
            let rank = Self::rank(lots, node_index(me), among, holder.map(|holder| node_index(&holder.node)));
            return Want::Hold { rank, addresses: self.entitled(key) };
        }
        let draw = |node: &NodeName| lots.map_or(0, |lots| lots[node_index(node)]);
        self.specs.want_among(key, self.entitled(key), &Among { me, live, draw }, machine, leaving)
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
