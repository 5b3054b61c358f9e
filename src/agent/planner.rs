//! Keeps what the objects, the Leases and the kernel say about each `VirtualIP`, and turns it into wants.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt;
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::time::Instant;

use super::entitlement::{Claimant, Entitlement, entitle};
use super::facts;
use super::probes::Probes;
use super::target::Target;
use super::wants::{Situation, steward, want};
use super::watches::Objects;
use crate::api::names::FINALIZER_HELD;
use crate::api::{ConflictDetection, NodeInterface, VipKey, VirtualIP, WhenNotOwner};
use crate::network::Links;
use crate::ownership::{Event, Machine, NodeName, Time, Want};
use crate::placement::{NodeFacts, Plan, VipFacts, plan};

/// How long a `VirtualIP` that the kernel refused here is left to other nodes.
const TROUBLE: Duration = Duration::from_secs(10);

/// One `VirtualIP`, as planned.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The object; none when only its Lease is left.
    pub object: Option<Arc<VirtualIP>>,
    /// Where it may live.
    pub plan: Plan,
    /// The addresses it may ask for.
    pub entitlement: Entitlement,
    /// Whether this node tidies up, and reports, where nobody holds it.
    pub steward: bool,
}

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

/// What the planner is told beside the objects.
pub struct Circumstances<'a> {
    /// The ownership machine.
    pub machine: &'a Machine,
    /// Now.
    pub now: Time,
    /// The interfaces of this node.
    pub interfaces: &'a [NodeInterface],
    /// Whether this agent stops.
    pub leaving: bool,
    /// Whether everything is being uninstalled.
    pub uninstalling: bool,
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

    /// Makes the plan again and says what changed.
    pub fn replan(&mut self, around: &Circumstances<'_>) -> Vec<Event> {
        let objects: BTreeMap<VipKey, Arc<VirtualIP>> =
            self.objects.vips.state().into_iter().map(|object| (object.key(), object)).collect();
        let vips: Vec<VipFacts> = objects
            .iter()
            .filter_map(|(key, object)| facts::vip(object, holder(around.machine, key, around.now)))
            .collect();
        let mut plans = plan(&vips, &self.placed(around));
        let mut shares = entitle(&claimants(&objects, around.machine));
        let leftovers = around.machine.titles().map(|(key, _)| key.clone());
        let keys: BTreeSet<VipKey> = objects.keys().cloned().chain(leftovers).collect();
        self.planned = keys
            .into_iter()
            .map(|key| {
                let live = around.machine.live().filter(|node| !(around.leaving && *node.0 == *self.me));
                let planned = Planned {
                    object: objects.get(&key).cloned(),
                    plan: plans.remove(&key).unwrap_or_default(),
                    entitlement: shares.remove(&key).unwrap_or_default(),
                    steward: steward(&key, live).is_some_and(|node| *node.0 == *self.me),
                };
                (key, planned)
            })
            .collect();
        self.changes(around)
    }

    /// All Node objects.
    #[must_use]
    pub fn nodes(&self) -> &Store<Node> {
        &self.objects.nodes
    }

    /// Live nodes and those with an object, with this node's own interfaces as they are now.
    fn placed(&self, around: &Circumstances<'_>) -> Vec<NodeFacts> {
        let objects = self.objects.nodes.state();
        let own = self.objects.vipnodes.state();
        let live: BTreeSet<&str> = around.machine.live().map(|node| &*node.0).collect();
        let mut names: BTreeSet<String> = live.iter().map(|&name| name.to_owned()).collect();
        names.extend(own.iter().map(|node| node.name_any()));
        names
            .into_iter()
            .map(|name| {
                let object = objects.iter().find(|node| node.name_any() == name);
                let published = own.iter().find(|node| node.name_any() == name);
                let alive = live.contains(name.as_str());
                let mut facts =
                    facts::node(&name, alive, object.map(AsRef::as_ref), published.map(AsRef::as_ref));
                if name == self.me {
                    facts.leaving = around.leaving;
                    facts.interfaces = Some(facts::interfaces(around.interfaces));
                }
                facts
            })
            .collect()
    }

    fn changes(&mut self, around: &Circumstances<'_>) -> Vec<Event> {
        let mut events = Vec::new();
        let mut wants = BTreeMap::new();
        for (key, planned) in &self.planned {
            let known = around.machine.title(key).is_some();
            let deleting =
                planned.object.as_ref().is_none_or(|object| object.metadata.deletion_timestamp.is_some());
            let situation = Situation {
                plan: &planned.plan,
                entitlement: &planned.entitlement,
                held: around.machine.holds(key),
                deleting: deleting || around.uninstalling,
                guarded: planned.object.as_ref().is_some_and(|object| guarded(object)),
                probed: known
                    || self.probes.clear(key)
                    || planned.object.as_ref().is_some_and(|object| !wants_probe(object)),
                troubled: self.troubled(key).is_some(),
                steward: planned.steward,
            };
            let want = want(&self.me, &situation);
            if self.wants.get(key) != Some(&want) {
                events.push(Event::Wanted { key: key.clone(), want: want.clone() });
            }
            wants.insert(key.clone(), want);
        }
        for key in self.wants.keys().filter(|key| !wants.contains_key(key)) {
            events.push(Event::Wanted { key: key.clone(), want: Want::Abstain });
        }
        self.wants = wants;
        self.probes.keep(|key| self.planned.contains_key(key) && around.machine.title(key).is_none());
        events
    }
}

/// Whether foreign hosts are looked for before a first assignment.
#[must_use]
pub fn wants_probe(object: &VirtualIP) -> bool {
    object.spec.conflict_detection != ConflictDetection::None
}

/// The node that holds `key` in a living epoch.
fn holder(machine: &Machine, key: &VipKey, now: Time) -> Option<String> {
    let title = machine.title(key)?;
    if machine.free(title, now) {
        return None;
    }
    title.content.holder.as_ref().map(|holder| holder.node.to_string())
}

fn claimants(objects: &BTreeMap<VipKey, Arc<VirtualIP>>, machine: &Machine) -> Vec<Claimant> {
    let claimant = |(key, object): (&VipKey, &Arc<VirtualIP>)| Claimant {
        key: key.clone(),
        addresses: object.spec.parsed_addresses().unwrap_or_default(),
        granted: machine.title(key).map(|title| title.content.granted.clone()).unwrap_or_default(),
        created: object.metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second()),
    };
    objects.iter().filter(|(_, object)| object.metadata.deletion_timestamp.is_none()).map(claimant).collect()
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
