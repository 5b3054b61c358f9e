//! What the loop says to people: one log line and one Event per change of ownership, status when it changed, figures.
//! Nothing here waits, and nothing here decides.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time as WallTime;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use tokio::time::Instant;
use tracing::{info, warn};

use super::deadline::now;
use super::peers::Peers;
use super::planner::Planner;
use super::right::Standing;
use super::scene::Planned;
use super::target::Target;
use super::underway::Underway;
use super::watches::Objects;
use crate::api::conditions::reasons as conditions;
use crate::api::{FenceKind, NodeFence, NodeInterface, VipKey, VirtualIP, WhenNotOwner};
use crate::network::{Links, Mac};
use crate::observe::events::{Note, Recorder, Severity, reasons};
use crate::observe::health::Health;
use crate::observe::metrics::Metrics;
use crate::observe::{Facts, Foreigner, NodeFacts, Owner, StatusWriter, node_status, status};
use crate::ownership::{Action, Answer, Event, Machine, Message, NodeName, Time, Why};

/// For how long a claim by a foreign host is shown after it was heard.
const CLAIM_SHOWN: Duration = Duration::from_secs(30);

/// How often the status of this node is looked at if nothing else calls for it.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Where reports go.
pub struct Sinks {
    /// Statuses.
    pub statuses: StatusWriter,
    /// Events.
    pub events: Recorder,
    /// Figures.
    pub metrics: Metrics,
    /// Probes of the kubelet.
    pub health: Health,
}

/// What this node is made of.
pub struct Here<'a> {
    /// Its interfaces, as they are published.
    pub interfaces: &'a [NodeInterface],
    /// The same as the kernel has them.
    pub links: &'a Links,
    /// The other nodes.
    pub peers: &'a Peers,
}

/// What was said last.
pub struct Report {
    me: NodeName,
    objects: Objects,
    sinks: Sinks,
    /// Since when each `VirtualIP` is up here; none where a former life put it up.
    up: BTreeMap<VipKey, Option<WallTime>>,
    /// Why the Lease was last written from here.
    why: BTreeMap<VipKey, Why>,
    claims: BTreeMap<VipKey, (IpAddr, Mac, Instant)>,
    underway: Underway,
    fence: NodeFence,
    standing: Standing,
    /// When the status of this node was last looked at.
    looked: Instant,
    /// Refused for want of a node, or for a conflict: said once.
    warned: BTreeMap<VipKey, String>,
}

impl Report {
    /// Reports of the node `me`.
    #[must_use]
    pub fn new(me: NodeName, objects: Objects, sinks: Sinks, fence: NodeFence) -> Self {
        sinks.metrics.fence_exact.set(i64::from(fence.kind == FenceKind::Exact));
        Self {
            fence,
            standing: Standing::new(me.clone()),
            looked: Instant::now(),
            me,
            objects,
            sinks,
            up: BTreeMap::new(),
            why: BTreeMap::new(),
            claims: BTreeMap::new(),
            underway: Underway::default(),
            warned: BTreeMap::new(),
        }
    }

    /// The loop has gone round once, `late` after it was due.
    pub fn turned(&self, late: Duration) {
        self.sinks.health.turned();
        self.sinks.metrics.late(late);
    }

    /// All objects and Leases were listed.
    pub fn synced(&self) {
        self.sinks.health.synced();
    }

    /// The machine is about to be told this.
    pub fn hears(&mut self, event: &Event, now: Time) {
        self.standing.hear(event, &self.sinks.metrics);
        match event {
            // It says at which moment of our clock it was asked for.
            Event::Message { message: Message::Promise { asked, .. }, .. } => {
                self.sinks.metrics.promised(now.since(Time(asked.sequence)));
            }
            // An attempt that meets another version says nothing: who is not told of renewals learns by it that the node lives.
            Event::NodeAnswer { node, answer: Answer::Written(_, Some(lease)), .. }
                if *node != self.me && !lease.open =>
            {
                warn!(%node, epoch = lease.epoch.number, "a silent node is closed");
                self.sinks.metrics.closes.inc();
            }
            _ => {}
        }
    }

    /// The machine wants something done. An epoch that ends while the agent is `leaving` is no lapse.
    pub fn acts(&mut self, action: &Action, leaving: bool) {
        match action {
            Action::WriteTitle(write) => {
                self.why.insert(write.key.clone(), write.why);
            }
            Action::Began(epoch) => {
                info!(epoch = epoch.number, "a new epoch begins");
                self.sinks.health.begun();
            }
            Action::Ended(epoch) if leaving => info!(epoch = epoch.number, "the epoch is closed"),
            Action::Ended(epoch) => {
                warn!(epoch = epoch.number, "the epoch is over");
                self.sinks.metrics.lapses.inc();
            }
            Action::Send { message: Message::Ask { witness: Some(_), .. }, .. } => {
                self.sinks.metrics.promises_asked.inc();
            }
            Action::Extend(until) => {
                self.sinks.health.begun();
                self.sinks.metrics.right.set(*until);
            }
            _ => {}
        }
    }

    /// The kernel's addresses of `key` may have changed.
    pub fn stepped(&mut self, key: &VipKey, machine: &Machine) {
        let up = machine.up(key).is_some_and(|up| !up.is_empty());
        let was = self.up.contains_key(key);
        if up && !was {
            let continued = !self.why.contains_key(key) || self.why.get(key) == Some(&Why::Confirm);
            let since = (!continued).then(|| WallTime(Timestamp::now()));
            self.up.insert(key.clone(), since);
            self.raised(key, machine);
        } else if !up && was {
            self.up.remove(key);
            self.lowered(key, machine);
        }
        self.sinks.metrics.held.set(i64::try_from(self.up.len()).unwrap_or(i64::MAX));
    }

    fn raised(&mut self, key: &VipKey, machine: &Machine) {
        let addresses = machine.up(key).map(listed).unwrap_or_default();
        let (reason, how) = match self.why.get(key) {
            Some(Why::Accept | Why::Clear) => (reasons::HANDED_OVER, "handed over"),
            Some(Why::Claim | Why::Settle) => (reasons::CLAIMED, "claimed"),
            _ => (reasons::CLAIMED, "continued"),
        };
        info!(vip = %key, addresses, reason = how, "this node answers");
        self.sinks.metrics.moves.inc();
        if reason == reasons::CLAIMED {
            self.sinks.metrics.claims.inc();
        } else {
            self.sinks.metrics.handed_over(crate::observe::metrics::Direction::Received);
        }
        if how != "continued" {
            self.event(key, Severity::Normal, reason, format!("{} answers for {addresses} ({how})", self.me));
        }
    }

    fn lowered(&mut self, key: &VipKey, machine: &Machine) {
        let right = now().ok().and_then(|now| machine.right(now)).is_some();
        let (severity, reason, how) = match self.why.get(key) {
            _ if !right => (Severity::Warning, reasons::RIGHT_LOST, "its right has ended"),
            Some(Why::Retire) => (Severity::Normal, reasons::RELEASED, "deleted"),
            Some(Why::Gift | Why::Offer | Why::Appoint | Why::Clear) => {
                (Severity::Normal, reasons::RELEASED, "handed over")
            }
            _ => (Severity::Normal, reasons::RELEASED, "released"),
        };
        info!(vip = %key, reason = how, "this node is silent");
        if severity == Severity::Warning {
            self.event(key, severity, reason, format!("{} does not answer any more: {how}", self.me));
        } else if how == "handed over" {
            self.sinks.metrics.handed_over(crate::observe::metrics::Direction::Given);
        }
    }

    /// A packet was heard in which another host claims an address that is up here.
    pub fn conflict(&self) {
        self.sinks.metrics.conflicts.inc();
    }

    /// Another host claims an address that is up here, and is answered if this node `defends` it.
    pub fn claimed(&mut self, key: &VipKey, address: IpAddr, mac: Mac, defends: bool) {
        let answer = if defends { "it is announced again" } else { "it is not answered" };
        warn!(vip = %key, %address, %mac, "another host claims the address; {answer}");
        self.claims.insert(key.clone(), (address, mac, Instant::now()));
        let message = format!("host {mac} claims {address}, for which {} answers", self.me);
        self.event(key, Severity::Warning, conditions::ADDRESS_CONFLICT, message);
    }

    /// This node could not answer. Every time is an Event of its own, so that kubectl shows how often each node failed.
    pub fn failed(&self, key: &VipKey, reason: &str) {
        self.event(key, Severity::Warning, conditions::ERROR, format!("{} cannot answer: {reason}", self.me));
    }

    /// What the plan says of `key` goes into its status, where this node reports.
    pub fn virtual_ip(
        &mut self,
        key: &VipKey,
        plan: &Planned,
        machine: &Machine,
        planner: &Planner,
        links: &Links,
    ) {
        let Some(object) = &plan.object else { return };
        let reports = self.reports(key, plan, machine);
        // Asked also where another node reports: what was under way here is over then.
        let waits = self.underway.waits(key, reports && self.under_way(key, plan, machine, planner));
        if !reports || waits {
            return;
        }
        let facts = self.facts(key, object, plan, machine, planner, links);
        if let Some(status) = status(object, &facts, &WallTime(Timestamp::now())) {
            self.sinks.statuses.write_virtual_ip(object, &status);
        }
        self.warn_once(key, &facts);
    }

    /// What is in no plan any more is forgotten.
    pub fn keep_planned(&mut self, planner: &Planner) {
        self.claims.retain(|_, (_, _, at)| at.elapsed() < CLAIM_SHOWN);
        self.warned.retain(|key, _| planner.planned.contains_key(key));
        self.underway.keep(|key| planner.planned.contains_key(key));
    }

    /// When something must be reported although nothing happened.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        let claims = self.claims.values().map(|(.., heard)| *heard + CLAIM_SHOWN);
        self.underway.next().into_iter().chain(claims).min()
    }

    /// Whether this node, silent so far, is about to answer, or another one instead of it, and nothing hinders it.
    fn under_way(&self, key: &VipKey, plan: &Planned, machine: &Machine, planner: &Planner) -> bool {
        if !plan.entitlement.conflicts.is_empty() {
            return false;
        }
        if machine.up(key).is_some_and(|up| !up.is_empty()) {
            return successor(key, plan, machine).is_some_and(|next| *next != *self.me.0);
        }
        let next = machine.holds(key) || plan.plan.rank(&self.me.0) == Some(0);
        next && planner.troubled(key).is_none() && planner.probes.foreign(key).is_none()
    }

    /// The holder reports; where nobody living holds, the best placed node; where none fits, the steward.
    fn reports(&self, key: &VipKey, plan: &Planned, machine: &Machine) -> bool {
        if machine.holds(key) {
            return true;
        }
        let Ok(now) = now() else { return false };
        if machine.title(key).is_some_and(|title| !machine.free(title, now)) {
            return false;
        }
        match plan.plan.candidates.first() {
            Some(best) => **best == *self.me.0,
            None => plan.steward,
        }
    }

    fn facts(
        &self,
        key: &VipKey,
        object: &VirtualIP,
        plan: &Planned,
        machine: &Machine,
        planner: &Planner,
        links: &Links,
    ) -> Facts {
        let title = machine.title(key);
        let content = title.map(|title| &title.content);
        let held = machine.holds(key);
        let foreign = planner.probes.foreign(key);
        let claim = self.claims.get(key).filter(|(.., at)| at.elapsed() < CLAIM_SHOWN);
        let claim = claim.map(|(address, mac, _)| (*address, *mac));
        let labels = planner.labels();
        Facts {
            owner: machine
                .up(key)
                .filter(|up| held && !up.is_empty())
                .map(|up| self.owner(key, &Target::these(&object.spec, &labels, up), links)),
            shortcomings: self.shortcomings(object, &labels, links),
            successor: successor(key, plan, machine),
            lost: content
                .and_then(|content| content.holder.as_ref())
                .filter(|_| !held)
                .map(|h| h.node.to_string()),
            moves: content.map(|content| content.moves.into()),
            conflicts: plan.entitlement.conflicts.clone(),
            refusals: plan.plan.refusals.iter().map(|(node, why)| (node.clone(), why.to_string())).collect(),
            foreigners: foreign
                .into_iter()
                .chain(claim)
                .map(|(address, mac)| Foreigner { address, mac: mac.to_string() })
                .collect(),
            error: planner.troubled(key).map(str::to_owned),
        }
    }

    fn owner(&self, key: &VipKey, up: &[Target], links: &Links) -> Owner {
        let link = up.first().and_then(|target| target.link(links).ok());
        // One whose interface is just changing is where it was.
        let net = |target: &Target| target.spot(links).map_or_else(|_| target.address.net(), |spot| spot.net);
        Owner {
            node: self.me.to_string(),
            interface: link.map(|link| link.name.clone()),
            addresses: up.iter().map(net).collect(),
            since: self.up.get(key).cloned().flatten(),
        }
    }

    /// What this node, or another one, could not do of what the spec says.
    fn shortcomings(
        &self,
        object: &VirtualIP,
        labels: &BTreeMap<String, String>,
        links: &Links,
    ) -> Vec<(&'static str, String)> {
        let mut shortcomings = Vec::new();
        let v4 = Target::all(&object.spec, labels).into_iter().find(|target| target.ip().is_ipv4());
        let label = v4.and_then(|target| target.manner.label_refused(target.link(links).ok()?));
        shortcomings.extend(label.map(|why| (conditions::LABEL_TOO_LONG, format!("{}: {why}", self.me))));
        if object.spec.when_not_owner == WhenNotOwner::Loopback {
            let nodes = self.objects.nodes.state();
            for own in self.objects.vipnodes.state() {
                let node = nodes.iter().find(|node| node.name_any() == own.name_any());
                let labels = node.map(|node| node.labels().clone()).unwrap_or_default();
                let selected = object
                    .spec
                    .node_selector()
                    .all(|(key, value)| labels.get(key).is_some_and(|v| v == value));
                let refused = own.status.as_ref().and_then(|status| status.loopback_refused.as_ref());
                if let Some(why) = refused.filter(|_| selected) {
                    shortcomings.push((conditions::LOOPBACK_UNSAFE, format!("{}: {why}", own.name_any())));
                }
            }
        }
        shortcomings
    }

    fn warn_once(&mut self, key: &VipKey, facts: &Facts) {
        let (reason, message) = if let Some((address, other)) = facts.conflicts.first_key_value() {
            (conditions::ADDRESS_CONFLICT, format!("{address} belongs to VirtualIP {other}"))
        } else if facts.owner.is_none() && facts.successor.is_none() {
            let why: Vec<String> =
                facts.refusals.iter().map(|(node, why)| format!("{node}: {why}")).collect();
            (conditions::NO_ELIGIBLE_NODE, format!("no node can answer: {}", why.join("; ")))
        } else if let (None, Some(foreigner)) = (&facts.owner, facts.foreigners.first()) {
            let message = format!("host {} has {} already", foreigner.mac, foreigner.address);
            (conditions::ADDRESS_CONFLICT, message)
        } else {
            self.warned.remove(key);
            return;
        };
        if self.warned.get(key) != Some(&message) {
            warn!(vip = %key, reason, "{message}");
            self.event(key, Severity::Warning, reason, message.clone());
            self.warned.insert(key.clone(), message);
        }
    }

    /// The same where nothing else happens: witnesses fall silent without a word.
    pub fn node_in_time(&mut self, machine: &Machine, here: &Here<'_>) {
        if self.looked.elapsed() >= LOOK_EVERY {
            self.node(machine, here);
        }
    }

    /// What this node could carry, and what it holds.
    pub fn node(&mut self, machine: &Machine, here: &Here<'_>) {
        self.looked = Instant::now();
        let Ok(now) = now() else { return };
        let own = self
            .objects
            .vipnodes
            .state()
            .into_iter()
            .find(|node| node.metadata.name.as_deref() == Some(&*self.me.0));
        let Some(own) = own else { return };
        let facts = NodeFacts {
            held: self.up.len(),
            interfaces: here.interfaces.to_vec(),
            // An idle node has no right to answer, and needs none; what matters is whether it lives.
            right: machine.summary(now).epoch.is_some(),
            loopback_refused: here.links.loopback_refused(),
            source: self.standing.shown(here.peers),
            fence: self.fence.clone(),
        };
        if let Some(status) = node_status(&own, &facts, &WallTime(Timestamp::now())) {
            self.sinks.statuses.write_node(&own, &status);
        }
    }

    fn event(&self, key: &VipKey, severity: Severity, reason: &'static str, message: String) {
        if let Some(object) = self.objects.vips.get(&ObjectRef::new(&key.name).within(&key.namespace)) {
            let regarding = object.object_ref(&());
            self.sinks.events.tell(Note { regarding, severity, reason, message });
        }
    }
}

/// Who is to answer next: the node that the owner offers to, else the best placed one.
fn successor(key: &VipKey, plan: &Planned, machine: &Machine) -> Option<String> {
    let offer = machine.title(key).and_then(|title| title.content.offer.as_ref());
    offer.map(|offer| offer.to.node.to_string()).or_else(|| plan.plan.candidates.first().cloned())
}

fn listed(addresses: &BTreeSet<IpAddr>) -> String {
    addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ")
}
