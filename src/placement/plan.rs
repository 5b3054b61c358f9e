//! The plan for all `VirtualIP`s at once, so that they spread evenly.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::facts::{NodeFacts, VipFacts};
use super::refusal::{Refusal, refuse};
use crate::api::VipKey;

/// Where one `VirtualIP` may live.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Nodes that can carry it, best first. The holder, if fit, is first.
    pub candidates: Vec<String>,
    /// Why the others cannot.
    pub refusals: BTreeMap<String, Refusal>,
}

impl Plan {
    /// How many nodes are better placed than `node`; none when it cannot carry the `VirtualIP`.
    #[must_use]
    pub fn rank(&self, node: &str) -> Option<usize> {
        self.candidates.iter().position(|candidate| candidate == node)
    }
}

/// Plans every `VirtualIP`. Those that are held by a fit node stay; the others go, in the order of their keys, to
/// the fit node that has fewest by then.
#[must_use]
pub fn plan(vips: &[VipFacts], nodes: &[NodeFacts]) -> BTreeMap<VipKey, Plan> {
    let mut load: BTreeMap<&str, usize> = nodes.iter().map(|node| (node.name.as_str(), 0)).collect();
    let mut plans = BTreeMap::new();
    let mut open = Vec::new();
    for vip in vips {
        let (fit, refusals) = sieve(vip, nodes);
        let stays = vip.holder.as_deref().filter(|holder| fit.contains(holder));
        if let Some(holder) = stays {
            *load.entry(holder).or_default() += 1;
        }
        open.push((vip, fit, refusals, stays));
    }
    // Those that stay are counted before anything is placed.
    open.sort_by_key(|(vip, .., stays)| (stays.is_none(), &vip.key));
    for (vip, mut fit, refusals, stays) in open {
        fit.sort_by_key(|node| (Some(*node) != stays, load.get(node).copied(), weight(&vip.key, node)));
        if let (Some(best), None) = (fit.first(), stays) {
            *load.entry(best).or_default() += 1;
        }
        let candidates = fit.into_iter().map(str::to_owned).collect();
        plans.insert(vip.key.clone(), Plan { candidates, refusals });
    }
    plans
}

fn sieve<'a>(vip: &VipFacts, nodes: &'a [NodeFacts]) -> (Vec<&'a str>, BTreeMap<String, Refusal>) {
    let mut fit = Vec::new();
    let mut refusals = BTreeMap::new();
    for node in nodes {
        match refuse(vip, node) {
            None => fit.push(node.name.as_str()),
            Some(refusal) => {
                refusals.insert(node.name.clone(), refusal);
            }
        }
    }
    (fit, refusals)
}

fn weight(key: &VipKey, node: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (key, node).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::InterfaceFacts;

    fn nodes(names: &[&str]) -> Vec<NodeFacts> {
        let eth1 = InterfaceFacts {
            name: "eth1".into(),
            up: true,
            carrier: true,
            subnets: vec!["192.0.2.0/24".parse().unwrap()],
        };
        let node = |name: &&str| NodeFacts {
            name: (*name).to_owned(),
            alive: true,
            leaving: false,
            standby: false,
            labels: Some([].into()),
            interfaces: Some(vec![eth1.clone()]),
        };
        names.iter().map(node).collect()
    }

    fn vips(count: usize, holder: Option<&str>) -> Vec<VipFacts> {
        let vip = |i: usize| VipFacts {
            key: VipKey::new("shop", format!("web-{i:02}")),
            addresses: vec![format!("192.0.2.{}", i + 1).parse().unwrap()],
            interfaces: vec![],
            prefix_of_subnet: false,
            selector: [].into(),
            holder: holder.map(str::to_owned),
        };
        (0..count).map(vip).collect()
    }

    fn firsts(plans: &BTreeMap<VipKey, Plan>) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for plan in plans.values() {
            *counts.entry(plan.candidates[0].clone()).or_default() += 1;
        }
        counts
    }

    #[test]
    fn fifty_spread_evenly_over_three_nodes() {
        let counts = firsts(&plan(&vips(50, None), &nodes(&["n1", "n2", "n3"])));
        assert_eq!(counts.values().sum::<usize>(), 50);
        assert!(counts.values().all(|count| (16..=17).contains(count)), "{counts:?}");
    }

    #[test]
    fn what_is_held_never_moves_by_itself() {
        let counts = firsts(&plan(&vips(9, Some("n2")), &nodes(&["n1", "n2", "n3"])));
        assert_eq!(counts, [("n2".to_owned(), 9)].into());
    }

    #[test]
    fn a_lost_nodes_share_spreads_over_the_rest() {
        let mut held = vips(6, Some("n1"));
        held[0].holder = Some("n3".into());
        let counts = firsts(&plan(&held, &nodes(&["n2", "n3"])));
        assert_eq!(counts, [("n2".to_owned(), 3), ("n3".to_owned(), 3)].into());
    }

    #[test]
    fn nobody_fit_leaves_a_reason_for_each() {
        let mut all = nodes(&["n1", "n2"]);
        all[0].standby = true;
        all[1].alive = false;
        let plans = plan(&vips(1, None), &all);
        let plan = plans.values().next().unwrap();
        assert!(plan.candidates.is_empty());
        assert_eq!(plan.refusals.len(), 2);
        assert_eq!(plan.rank("n1"), None);
    }
}
