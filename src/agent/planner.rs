//! Keeps what the objects, the Leases and the kernel say about each `VirtualIP`, and turns it into wants.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt;
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::time::Instant;

use super::facts;
use super::probes::Probes;
use super::scene::{Known, Planned, Scene};
use super::target::Target;
use super::wants::{Situation, want};
use super::watches::Objects;
use crate::api::names::FINALIZER_HELD;
use crate::api::{ConflictDetection, NodeInterface, VipKey, VirtualIP, WhenNotOwner};
use crate::network::Links;
use crate::ownership::{Event, Machine, NodeName, Time, Want};

/// How long a `VirtualIP` that the kernel refused here is left to other nodes.
const TROUBLE: Duration = Duration::from_secs(10);

/// What a node does for `VirtualIP`s that it does not, or not yet, hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attended {
    /// Addresses that it has on its loopback interface.
    pub loopback: BTreeSet<IpAddr>,
    /// Interfaces, by index, that it sets up although they have no address yet.
    pub prepare: BTreeSet<u32>,
    /// Interfaces, by index, that carry an address, or will if it comes here, and those that would answer for it besides.
    pub fence: BTreeSet<u32>,
}

/// The plan of the moment.
pub struct Planner {
    me: String,
    objects: Objects,
    /// The last plan.
    pub planned: BTreeMap<VipKey, Planned>,
    /// Probes before first assignments.
    pub probes: Probes,
    wants: BTreeMap<VipKey, Want>,
    troubles: BTreeMap<VipKey, (Instant, String)>,
}

impl Planner {
    /// A planner for the node `me`.
    #[must_use]
    pub fn new(me: String, objects: Objects) -> Self {
        Self {
            me,
            objects,
            planned: BTreeMap::new(),
            probes: Probes::default(),
            wants: BTreeMap::new(),
            troubles: BTreeMap::new(),
        }
    }

    /// The kernel took, or did not take, the addresses of `key`.
    pub fn trouble(&mut self, key: VipKey, reason: Option<String>) {
        match reason {
            Some(reason) => self.troubles.insert(key, (Instant::now() + TROUBLE, reason)),
            None => self.troubles.remove(&key),
        };
    }

    /// Why the kernel of this node does not take `key`, if it was tried lately.
    #[must_use]
    pub fn troubled(&self, key: &VipKey) -> Option<&str> {
        let (until, reason) = self.troubles.get(key)?;
        (*until > Instant::now()).then_some(reason.as_str())
    }

    /// Interfaces have changed: what the kernel did not take before it may take now.
    pub fn forgive(&mut self) {
        self.troubles.clear();
    }

    /// The labels of this node; none when its object is not known.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        let node = self.objects.nodes.get(&ObjectRef::new(&self.me));
        node.map(|node| node.labels().clone()).unwrap_or_default()
    }

    /// What is done about foreign hosts that claim an address of `key`.
    #[must_use]
    pub fn conflict_detection(&self, key: &VipKey) -> ConflictDetection {
        let object = self.planned.get(key).and_then(|planned| planned.object.as_ref());
        object.map(|object| object.spec.conflict_detection).unwrap_or_default()
    }

    /// What this node does for `VirtualIP`s that it does not, or not yet, hold; when it is `leaving` only the fence stays, for
    /// whoever runs here next.
    #[must_use]
    pub fn attend(&self, machine: &Machine, links: &Links, leaving: bool) -> Attended {
        let labels = self.labels();
        let selects = |object: &VirtualIP| {
            object.spec.node_selector().all(|(key, value)| labels.get(key).is_some_and(|v| v == value))
        };
        let standby =
            self.objects.vipnodes.state().iter().any(|node| node.name_any() == self.me && node.spec.standby);
        let (mut attended, mut asked) = (Attended::default(), false);
        for (key, planned) in &self.planned {
            let Some(object) = planned.object.as_ref().filter(|object| selects(object)) else { continue };
            let targets = Target::all(&object.spec, &labels);
            attended.fence.extend(targets.iter().filter_map(|target| Some(target.spot(links).ok()?.link)));
            asked |= targets.iter().any(|target| target.ip().is_ipv4());
            if leaving || object.metadata.deletion_timestamp.is_some() {
                continue;
            }
            let up = machine.up(key).cloned().unwrap_or_default();
            if object.spec.when_not_owner == WhenNotOwner::Loopback {
                attended.loopback.extend(planned.entitlement.addresses.difference(&up));
            }
            if !standby || !up.is_empty() {
                attended
                    .prepare
                    .extend(targets.iter().filter_map(|target| Some(target.awaited(links)?.index)));
            }
        }
        if asked {
            attended.fence.extend(links.careless().map(|link| link.index));
        }
        attended
    }

    /// When the plan must be made again although nothing happened.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        let now = Instant::now();
        let troubles = self.troubles.values().map(|(until, _)| *until).filter(|until| *until > now).min();
        [troubles, self.probes.next()].into_iter().flatten().min()
    }

    /// What the plan is to be made from, as of now.
    #[must_use]
    pub fn scene(&self, machine: &Machine, now: Time, interfaces: &[NodeInterface], leaving: bool) -> Scene {
        Scene {
            me: self.me.clone(),
            objects: self.objects.clone(),
            live: machine.live().cloned().collect(),
            titles: machine
                .titles()
                .map(|(key, title)| (key.clone(), Known::of(machine, title, now)))
                .collect(),
            interfaces: facts::interfaces(interfaces),
            leaving,
        }
    }

    /// A plan is made: what is not in it any more is forgotten, and left to others.
    pub fn begin(&mut self, plan: &BTreeMap<VipKey, Planned>) -> Vec<Event> {
        self.planned.retain(|key, _| plan.contains_key(key));
        let gone = self.wants.extract_if(.., |key, _| !plan.contains_key(key));
        gone.map(|(key, _)| Event::Wanted { key, want: Want::Abstain }).collect()
    }

    /// What it says of `key`, if this node wants something else now.
    pub fn follow(
        &mut self,
        key: VipKey,
        planned: Planned,
        machine: &Machine,
        uninstalling: bool,
    ) -> Option<Event> {
        let want = self.want(&key, &planned, machine, uninstalling);
        self.planned.insert(key.clone(), planned);
        let same = self.wants.insert(key.clone(), want.clone()).is_some_and(|before| before == want);
        (!same).then_some(Event::Wanted { key, want })
    }

    /// It is followed: who was assigned once needs no probe any more.
    pub fn settle(&mut self, machine: &Machine) {
        self.probes.keep(|key| self.planned.contains_key(key) && machine.title(key).is_none());
    }

    /// All Node objects.
    #[must_use]
    pub fn nodes(&self) -> &Store<Node> {
        &self.objects.nodes
    }

    /// Whether this agent, which stops, can end as one that is killed does, since all that is still its own is what no other
    /// node can have.
    #[must_use]
    pub fn is_stranded(&self, machine: &Machine) -> bool {
        // Held although the plan refuses this node.
        machine.owns_only(|key| {
            let refused = self.planned.get(key).is_some_and(|planned| planned.plan.rank(&self.me).is_none());
            refused && matches!(self.wants.get(key), Some(Want::Hold { .. }))
        })
    }

    fn want(&self, key: &VipKey, planned: &Planned, machine: &Machine, uninstalling: bool) -> Want {
        let object = planned.object.as_deref();
        let deleting = object.is_none_or(|object| object.metadata.deletion_timestamp.is_some());
        let situation = Situation {
            plan: &planned.plan,
            entitlement: &planned.entitlement,
            held: machine.holds(key),
            deleting: deleting || uninstalling,
            guarded: object.is_some_and(guarded),
            probed: machine.title(key).is_some()
                || self.probes.clear(key)
                || object.is_some_and(|object| !wants_probe(object)),
            troubled: self.troubled(key).is_some(),
            steward: planned.steward,
        };
        want(&self.me, &situation)
    }
}

/// Whether foreign hosts are looked for before a first assignment.
#[must_use]
pub fn wants_probe(object: &VirtualIP) -> bool {
    object.spec.conflict_detection != ConflictDetection::None
}

/// Whether the finalizer is there.
#[must_use]
pub fn guarded(object: &VirtualIP) -> bool {
    object.finalizers().iter().any(|finalizer| finalizer == FINALIZER_HELD)
}

/// Whether `node` is the best placed one.
#[must_use]
pub fn best(planned: &Planned, node: &NodeName) -> bool {
    planned.plan.rank(&node.0) == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::entitlement::Entitlement;
    use crate::ownership::Timing;
    use crate::placement::Plan;

    #[test]
    fn only_what_has_changed_is_told_and_what_is_gone_is_left_to_others() {
        let timing = Timing::new(Duration::from_secs(3), Duration::from_secs(1)).unwrap();
        let machine = Machine::new(NodeName("n1".into()), timing, 1);
        let mut planner = Planner::new("n1".into(), Objects::nothing());
        let key = VipKey::new("shop", "web");
        // Only its Lease is left.
        let left = |steward| Planned {
            object: None,
            plan: Plan::default(),
            entitlement: Entitlement::default(),
            steward,
        };
        let follow =
            |planner: &mut Planner, steward| planner.follow(key.clone(), left(steward), &machine, false);
        let told = follow(&mut planner, false);
        assert!(
            matches!(told, Some(Event::Wanted { want: Want::Retire { steward: false }, .. })),
            "{told:?}"
        );
        assert_eq!(follow(&mut planner, false), None);
        let told = follow(&mut planner, true);
        assert!(matches!(told, Some(Event::Wanted { want: Want::Retire { steward: true }, .. })), "{told:?}");
        let gone = planner.begin(&BTreeMap::new());
        assert_eq!(gone, [Event::Wanted { key, want: Want::Abstain }]);
        assert!(planner.planned.is_empty());
    }
}
