//! The status of a `VirtualIP`, computed from facts. Pure: the same facts always give the same status.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::text::{join_up_to, whole_second};
use crate::api::conditions::{State, Verdict, find, kstatus, reasons, types, update};
use crate::api::{Address, VipKey, VirtualIP, VirtualIPStatus};

/// The node that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its name.
    pub node: String,
    /// The interface that has the addresses, once known.
    pub interface: Option<String>,
    /// The addresses for which it answers, as they are configured.
    pub addresses: Vec<IpNet>,
    /// Since when, on the wall clock; left out, the status keeps what it says of the same node.
    pub since: Option<Time>,
}

/// A host outside the cluster that claims an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreigner {
    /// The address.
    pub address: IpAddr,
    /// The host's hardware address.
    pub mac: String,
}

/// What an agent knows of a `VirtualIP`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Who answers.
    pub owner: Option<Owner>,
    /// Who is to answer next: the node that claims, or the one that the owner hands over to.
    pub successor: Option<String>,
    /// A holder whose right has ended, or that is being closed.
    pub lost: Option<String>,
    /// How often the addresses changed their node; left out, the status keeps what it says.
    pub moves: Option<i64>,
    /// Addresses that an older `VirtualIP` has.
    pub conflicts: BTreeMap<IpAddr, VipKey>,
    /// Why nodes cannot have it, by node, in words.
    pub refusals: BTreeMap<String, String>,
    /// Hosts outside the cluster that claim an address now.
    pub foreigners: Vec<Foreigner>,
    /// What nodes could not do of what the spec says, though the addresses are up: reason and sentence, with the node.
    pub shortcomings: Vec<(&'static str, String)>,
    /// What the kernel or the API server refused; it is tried again.
    pub error: Option<String>,
}

/// The status that `facts` call for, or none when `vip` says all of it already.
///
/// Times are cut to whole seconds, which is how a status keeps them: finer ones would differ from what was written
/// for ever.
#[must_use]
pub fn status(vip: &VirtualIP, facts: &Facts, now: &Time) -> Option<VirtualIPStatus> {
    let before = vip.status.clone().unwrap_or_default();
    let (verdict, reason, message) = judge(vip, facts);
    let mut wanted = kstatus(verdict, reason, &message).to_vec();
    wanted.extend(address_conflict(&before, facts));
    wanted.extend(degraded(&before, &facts.shortcomings));
    let mut conditions = before.conditions.clone();
    update(&mut conditions, &wanted, vip.metadata.generation, &whole_second(now));
    let owner = facts.owner.as_ref();
    let after = VirtualIPStatus {
        node: owner.map(|owner| owner.node.clone()),
        interface: owner.and_then(|owner| owner.interface.clone()),
        addresses: owner
            .map_or_else(Vec::new, |owner| owner.addresses.iter().map(IpNet::to_string).collect()),
        since: owner.and_then(|owner| since(owner, &before)),
        moves: facts.moves.or(before.moves),
        observed_generation: vip.metadata.generation,
        conditions,
    };
    (after != before).then_some(after)
}

fn since(owner: &Owner, before: &VirtualIPStatus) -> Option<Time> {
    let known = before.since.clone().filter(|_| before.node.as_ref() == Some(&owner.node));
    owner.since.as_ref().map(whole_second).or(known)
}

/// Verdict, reason and message.
type Judgement = (Verdict, &'static str, String);

/// The first thing that stands in the way, in the order in which a person would have to deal with them.
fn judge(vip: &VirtualIP, facts: &Facts) -> Judgement {
    use Verdict::{Reconciling, Stalled};
    if vip.metadata.deletion_timestamp.is_some() {
        let who = facts.owner.as_ref().map_or("nobody answers any more".to_owned(), |owner| {
            format!("{} removes the addresses", owner.node)
        });
        return (Reconciling, reasons::RELEASING, who);
    }
    let wanted = match vip.spec.parsed_addresses() {
        Ok(addresses) => addresses,
        Err(error) => return (Stalled, reasons::INVALID_SPEC, error.to_string()),
    };
    if !facts.conflicts.is_empty() {
        return (Stalled, reasons::ADDRESS_CONFLICT, conflict(&facts.conflicts));
    }
    match &facts.owner {
        Some(owner) => owned(owner, facts, &wanted),
        None => not_owned(facts),
    }
}

/// Somebody answers; the question is whether all is as it should be.
fn owned(owner: &Owner, facts: &Facts, wanted: &[Address]) -> Judgement {
    let reconciling = |reason, message| (Verdict::Reconciling, reason, message);
    if let Some(successor) = facts.successor.as_ref().filter(|successor| **successor != owner.node) {
        return reconciling(reasons::HANDING_OVER, format!("{} hands over to {successor}", owner.node));
    }
    if let Some(error) = &facts.error {
        return reconciling(reasons::ERROR, format!("{}: {error}; it is tried again", owner.node));
    }
    let there: BTreeSet<IpAddr> = owner.addresses.iter().map(IpNet::addr).collect();
    if there != wanted.iter().map(Address::ip).collect() {
        return reconciling(reasons::UPDATING, format!("{} changes its addresses to the spec's", owner.node));
    }
    let place = owner.interface.as_ref().map_or_else(String::new, |interface| format!(" on {interface}"));
    (Verdict::Ready, reasons::OWNED, format!("{} answers{place}", owner.node))
}

/// Nobody answers; the question is why.
fn not_owned(facts: &Facts) -> Judgement {
    if let Some(foreigner) = facts.foreigners.first() {
        let message = format!("{}; no node takes it", claims(foreigner));
        return (Verdict::Stalled, reasons::ADDRESS_CONFLICT, message);
    }
    if let Some(error) = &facts.error {
        return (Verdict::Reconciling, reasons::ERROR, format!("{error}; it is tried again"));
    }
    let lost = facts.lost.as_ref().map(|node| format!("{node} is gone"));
    let after_loss = |message: String| match &lost {
        Some(lost) => format!("{lost}; {message}"),
        None => message,
    };
    if let Some(successor) = &facts.successor {
        let reason = if lost.is_some() { reasons::OWNER_LOST } else { reasons::CLAIMING };
        return (Verdict::Reconciling, reason, after_loss(format!("{successor} takes the addresses")));
    }
    if !facts.refusals.is_empty() {
        let why = format!("no node can have the addresses: {}", refusals(&facts.refusals));
        return (Verdict::Stalled, reasons::NO_ELIGIBLE_NODE, after_loss(why));
    }
    match lost {
        Some(lost) => (Verdict::Reconciling, reasons::OWNER_LOST, lost),
        None => (Verdict::Reconciling, reasons::UNKNOWN, "no agent has taken it yet".to_owned()),
    }
}

fn conflict(conflicts: &BTreeMap<IpAddr, VipKey>) -> String {
    let all = conflicts.iter().map(|(address, older)| format!("{address} belongs to {older}"));
    format!("{}, which is older: change or delete one of them", join_up_to(5, all, ", "))
}

/// `n1, n2: it is on standby; n3: ...`: nodes with the same reason together, so that many nodes stay readable.
fn refusals(refusals: &BTreeMap<String, String>) -> String {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (node, reason) in refusals {
        by_reason.entry(reason).or_default().push(node);
    }
    let sentences = by_reason.into_iter().map(|(reason, nodes)| {
        let nodes = join_up_to(5, nodes.into_iter().map(str::to_owned), ", ");
        format!("{nodes}: {reason}")
    });
    join_up_to(20, sentences, "; ")
}

fn claims(foreigner: &Foreigner) -> String {
    format!("a host outside the cluster ({}) claims {}", foreigner.mac, foreigner.address)
}

/// Present from the first conflict on, false when there is none any more. A host that is heard on the wire comes before a
/// `VirtualIP` that only wants the address.
fn address_conflict(before: &VirtualIPStatus, facts: &Facts) -> Option<State> {
    let (status, reason, message) = if !facts.foreigners.is_empty() {
        (true, reasons::FOREIGN_HOST, join_up_to(5, facts.foreigners.iter().map(claims), "; "))
    } else if !facts.conflicts.is_empty() {
        (true, reasons::OTHER_VIRTUAL_IP, conflict(&facts.conflicts))
    } else {
        find(&before.conditions, types::ADDRESS_CONFLICT)?;
        (false, reasons::NO_CONFLICT, "nobody else has, or claims, an address any more".to_owned())
    };
    Some(State { type_: types::ADDRESS_CONFLICT, status, reason, message })
}

/// Present from the first shortcoming on, false when there is none any more.
fn degraded(before: &VirtualIPStatus, shortcomings: &[(&'static str, String)]) -> Option<State> {
    let type_ = types::DEGRADED;
    let Some((reason, _)) = shortcomings.first() else {
        find(&before.conditions, type_)?;
        let message = "all is as the spec says".to_owned();
        return Some(State { type_, status: false, reason: reasons::AS_SPECIFIED, message });
    };
    let message = join_up_to(5, shortcomings.iter().map(|(_, sentence)| sentence.clone()), "; ");
    Some(State { type_, status: true, reason, message })
}

#[cfg(test)]
#[path = "status_test.rs"]
mod tests;
