//! What a plan is made from, and the plan. With a thousand objects that takes longer than a right may wait, so the loop hands
//! it to another thread and goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::ResourceExt;

use super::entitlement::{Claimant, Entitlement, entitle};
use super::facts;
use super::wants::steward;
use super::watches::Objects;
use crate::api::{VipKey, VirtualIP};
use crate::ownership::{Machine, NodeName, Time, Title};
use crate::placement::{InterfaceFacts, NodeFacts, Plan, VipFacts, plan};

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

/// A plan that was made.
#[derive(Debug)]
pub struct Prospect {
    /// All `VirtualIP`s.
    pub planned: BTreeMap<VipKey, Planned>,
    /// Whether it is for an agent that stops.
    pub leaving: bool,
    /// How long it took.
    pub took: Duration,
}

/// What its Lease says of a `VirtualIP`.
pub struct Known {
    /// The node that holds it in a living epoch.
    holder: Option<String>,
    /// The addresses that are its own.
    granted: BTreeSet<IpAddr>,
}

impl Known {
    /// As the machine sees it now.
    #[must_use]
    pub fn of(machine: &Machine, title: &Title, now: Time) -> Self {
        let holder = title.content.holder.as_ref().filter(|_| !machine.free(title, now));
        Self { holder: holder.map(|holder| holder.node.to_string()), granted: title.content.granted.clone() }
    }
}

/// What a plan is made from, as of one moment; the objects as they are when it is made.
pub struct Scene {
    /// This node.
    pub me: String,
    /// What the API server last said.
    pub objects: Objects,
    /// Nodes whose epoch is open.
    pub live: BTreeSet<NodeName>,
    /// The Leases of all `VirtualIP`s.
    pub titles: BTreeMap<VipKey, Known>,
    /// The interfaces of this node.
    pub interfaces: Vec<InterfaceFacts>,
    /// Whether this agent stops.
    pub leaving: bool,
}

impl Scene {
    /// Makes the plan.
    #[must_use]
    pub fn plan(&self) -> Prospect {
        let began = Instant::now();
        Prospect { planned: self.planned(), leaving: self.leaving, took: began.elapsed() }
    }

    fn planned(&self) -> BTreeMap<VipKey, Planned> {
        let objects: BTreeMap<VipKey, Arc<VirtualIP>> =
            self.objects.vips.state().into_iter().map(|object| (object.key(), object)).collect();
        let holder = |key| self.titles.get(key).and_then(|known| known.holder.clone());
        let vips: Vec<VipFacts> =
            objects.iter().filter_map(|(key, object)| facts::vip(object, holder(key))).collect();
        let mut plans = plan(&vips, &self.placed());
        let mut shares = entitle(&self.claimants(&objects));
        let keys: BTreeSet<&VipKey> = objects.keys().chain(self.titles.keys()).collect();
        keys.into_iter()
            .map(|key| {
                let live = self.live.iter().filter(|node| !(self.leaving && *node.0 == *self.me));
                let planned = Planned {
                    object: objects.get(key).cloned(),
                    plan: plans.remove(key).unwrap_or_default(),
                    entitlement: shares.remove(key).unwrap_or_default(),
                    steward: steward(key, live).is_some_and(|node| *node.0 == *self.me),
                };
                (key.clone(), planned)
            })
            .collect()
    }

    /// Live nodes and those with an object, with this node's own interfaces as they are now.
    fn placed(&self) -> Vec<NodeFacts> {
        let objects = self.objects.nodes.state();
        let own = self.objects.vipnodes.state();
        let live: BTreeSet<&str> = self.live.iter().map(|node| &*node.0).collect();
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
                    facts.leaving = self.leaving;
                    facts.interfaces = Some(self.interfaces.clone());
                }
                facts
            })
            .collect()
    }

    fn claimants(&self, objects: &BTreeMap<VipKey, Arc<VirtualIP>>) -> Vec<Claimant> {
        let claimant = |(key, object): (&VipKey, &Arc<VirtualIP>)| Claimant {
            key: key.clone(),
            addresses: object.spec.parsed_addresses().unwrap_or_default(),
            granted: self.titles.get(key).map(|known| known.granted.clone()).unwrap_or_default(),
            created: object.metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second()),
        };
        let stays = |(_, object): &(&VipKey, &Arc<VirtualIP>)| object.metadata.deletion_timestamp.is_none();
        objects.iter().filter(stays).map(claimant).collect()
    }
}
