//! Which of several `VirtualIP`s may have an address: the one that has it, else the older one.
//!
//! This decides who *asks*. That no two ever answer is kept by the Leases, which list each address once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::api::{Address, VipKey};

/// What is known of one `VirtualIP` that wants addresses.
#[derive(Clone, Debug)]
pub struct Claimant {
    /// Which.
    pub key: VipKey,
    /// The addresses of its spec.
    pub addresses: Vec<Address>,
    /// The addresses that its Lease grants.
    pub granted: BTreeSet<IpAddr>,
    /// When it was created, in seconds of the API server's clock.
    pub created: i64,
}

/// What one `VirtualIP` may ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entitlement {
    /// The addresses.
    pub addresses: BTreeSet<IpAddr>,
    /// Addresses that belong to another, and to which.
    pub conflicts: BTreeMap<IpAddr, VipKey>,
}

/// Divides the addresses among all that want them.
#[must_use]
pub fn entitle(claimants: &[Claimant]) -> BTreeMap<VipKey, Entitlement> {
    let mut winners: BTreeMap<IpAddr, &Claimant> = BTreeMap::new();
    for claimant in claimants {
        for address in &claimant.addresses {
            let ip = address.ip();
            let rank = |claimant: &Claimant| {
                (!claimant.granted.contains(&ip), claimant.created, claimant.key.clone())
            };
            let winner = winners.entry(ip).or_insert(claimant);
            if rank(claimant) < rank(winner) {
                *winner = claimant;
            }
        }
    }
    claimants.iter().map(|claimant| (claimant.key.clone(), share(claimant, &winners))).collect()
}

fn share(claimant: &Claimant, winners: &BTreeMap<IpAddr, &Claimant>) -> Entitlement {
    let mut entitlement = Entitlement::default();
    for address in claimant.addresses.iter().map(Address::ip) {
        match winners.get(&address) {
            Some(winner) if winner.key != claimant.key => {
                entitlement.conflicts.insert(address, winner.key.clone());
            }
            _ => {
                entitlement.addresses.insert(address);
            }
        }
    }
    entitlement
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimant(name: &str, created: i64, granted: &[&str]) -> Claimant {
        Claimant {
            key: VipKey::new("shop", name),
            addresses: vec![
                "192.0.2.1".parse().unwrap(),
                format!("192.0.2.{}", 100 + created).parse().unwrap(),
            ],
            granted: granted.iter().map(|text| text.parse().unwrap()).collect(),
            created,
        }
    }

    #[test]
    fn the_older_one_has_the_address_and_the_younger_knows_whose_it_is() {
        let shares = entitle(&[claimant("young", 9, &[]), claimant("old", 1, &[])]);
        let young = &shares[&VipKey::new("shop", "young")];
        assert_eq!(young.conflicts, [("192.0.2.1".parse().unwrap(), VipKey::new("shop", "old"))].into());
        assert_eq!(young.addresses.len(), 1, "what is its own it may have");
        assert!(shares[&VipKey::new("shop", "old")].conflicts.is_empty());
    }

    #[test]
    fn what_has_it_keeps_it_also_against_an_older_one() {
        let shares = entitle(&[claimant("old", 1, &[]), claimant("young", 9, &["192.0.2.1"])]);
        assert!(shares[&VipKey::new("shop", "young")].conflicts.is_empty());
    }
}
