//! From the plan to what this node wants of each `VirtualIP`. Pure.

use crate::api::VipKey;
use crate::ownership::{NodeName, Want};
use crate::placement::{Plan, Refusal};

use super::entitlement::Entitlement;

/// What is known of one `VirtualIP` on this node.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // independent facts
pub struct Situation<'a> {
    /// Where it may live.
    pub plan: &'a Plan,
    /// The addresses it may ask for.
    pub entitlement: &'a Entitlement,
    /// Whether this node holds it.
    pub held: bool,
    /// Whether the object is being deleted, or everything is.
    pub deleting: bool,
    /// Whether its finalizer is there, without which deletion would not wait for silence.
    pub guarded: bool,
    /// Whether it was assigned before, or a probe found no foreign host that has its addresses.
    pub probed: bool,
    /// Whether the kernel refuses the addresses on this node.
    pub troubled: bool,
    /// Whether this node tidies up where nobody holds.
    pub steward: bool,
}

impl Situation<'_> {
    /// Whether this node, `me`, would go on if its agent did not stop.
    fn stops(&self, me: &str) -> bool {
        self.plan.refusals.get(me) == Some(&Refusal::Leaving) && !self.troubled
    }

    /// Whether, besides, no other node can. What it has stays up then, as after a kill: the right ends it, unless the next agent of this
    /// node is there before and goes on with it.
    fn stranded(&self, me: &str) -> bool {
        self.stops(me) && self.held && !self.deleting && self.plan.candidates.is_empty()
    }
}

/// What this node, `me`, wants.
#[must_use]
pub fn want(me: &str, situation: &Situation<'_>) -> Want {
    if situation.deleting {
        return Want::Retire { steward: situation.steward };
    }
    let addresses = situation.entitlement.addresses.clone();
    let rank = situation.plan.rank(me).filter(|_| !situation.troubled);
    match rank {
        Some(_) if situation.held => Want::Hold { rank: 0, addresses },
        None if situation.stranded(me) => Want::Hold { rank: 0, addresses },
        None if situation.held => {
            let others = situation.plan.candidates.iter().filter(|node| *node != me);
            Want::Yield {
                to: others.map(|node| NodeName(node.as_str().into())).collect(),
                // Others that stop as well may be gone before the plan says so.
                must: !situation.stops(me),
                addresses,
            }
        }
        Some(rank) if situation.guarded && situation.probed && !addresses.is_empty() => {
            Want::Hold { rank: u32::try_from(rank).unwrap_or(u32::MAX), addresses }
        }
        _ => Want::Abstain,
    }
}

/// Which of the live nodes tidies up after a `VirtualIP` that nobody holds.
pub fn steward<'a>(key: &VipKey, live: impl Iterator<Item = &'a NodeName>) -> Option<&'a NodeName> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    live.min_by_key(|node| {
        let mut hasher = DefaultHasher::new();
        (key, node).hash(&mut hasher);
        hasher.finish()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(candidates: &[&str]) -> Plan {
        Plan { candidates: candidates.iter().map(|&node| node.to_owned()).collect(), refusals: [].into() }
    }

    fn entitlement() -> Entitlement {
        Entitlement { addresses: ["192.0.2.1".parse().unwrap()].into(), conflicts: [].into() }
    }

    fn situation<'a>(plan: &'a Plan, entitlement: &'a Entitlement) -> Situation<'a> {
        Situation {
            plan,
            entitlement,
            held: false,
            deleting: false,
            guarded: true,
            probed: true,
            troubled: false,
            steward: false,
        }
    }

    #[test]
    fn a_fit_node_holds_by_its_rank_once_guarded_and_probed() {
        let (plan, addresses) = (plan(&["n2", "n1"]), entitlement());
        let base = situation(&plan, &addresses);
        assert!(matches!(want("n1", &base), Want::Hold { rank: 1, .. }));
        assert_eq!(want("n1", &Situation { guarded: false, ..base.clone() }), Want::Abstain);
        assert_eq!(want("n1", &Situation { probed: false, ..base.clone() }), Want::Abstain);
        assert_eq!(want("n3", &base), Want::Abstain);
    }

    #[test]
    fn a_holder_that_is_not_fit_any_more_must_yield() {
        let (plan, addresses) = (plan(&["n2", "n3"]), entitlement());
        let held = Situation { held: true, ..situation(&plan, &addresses) };
        let Want::Yield { to, must: true, .. } = want("n1", &held) else { panic!() };
        assert_eq!(to, [NodeName("n2".into()), NodeName("n3".into())]);
        let troubled = Situation { troubled: true, ..held };
        assert!(matches!(want("n2", &troubled), Want::Yield { to, .. } if to == [NodeName("n3".into())]));
    }

    #[test]
    fn one_that_stops_gives_to_whoever_can_have_it_and_what_nobody_can_have_stays_up() {
        let refusing = |refusal, plan| Plan { refusals: [("n1".to_owned(), refusal)].into(), ..plan };
        let (leaving, addresses) = (refusing(Refusal::Leaving, plan(&[])), entitlement());
        let held = |plan| Situation { held: true, ..situation(plan, &addresses) };
        assert!(matches!(want("n1", &held(&leaving)), Want::Hold { .. }));
        let others = refusing(Refusal::Leaving, plan(&["n2"]));
        assert!(matches!(want("n1", &held(&others)), Want::Yield { must: false, .. }));
        let standby = refusing(Refusal::Standby, plan(&[]));
        assert!(matches!(want("n1", &held(&standby)), Want::Yield { to, .. } if to.is_empty()));
        let troubled = Situation { troubled: true, ..held(&leaving) };
        assert!(matches!(want("n1", &troubled), Want::Yield { .. }));
        let deleted = Situation { deleting: true, ..held(&leaving) };
        assert!(matches!(want("n1", &deleted), Want::Retire { .. }));
        assert_eq!(want("n1", &Situation { held: false, ..held(&leaving) }), Want::Abstain);
    }

    #[test]
    fn an_address_that_is_anothers_is_not_claimed() {
        let (plan, nothing) = (plan(&["n1"]), Entitlement::default());
        assert_eq!(want("n1", &situation(&plan, &nothing)), Want::Abstain);
    }

    #[test]
    fn deletion_comes_first() {
        let (plan, addresses) = (plan(&["n1"]), entitlement());
        let deleted = Situation { deleting: true, held: true, ..situation(&plan, &addresses) };
        assert_eq!(want("n1", &deleted), Want::Retire { steward: false });
    }
}
