//! From manifests to the addresses that this host shall have. Pure.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    net::IpAddr,
};

use crate::{
    agent::target::Target,
    api::{ConflictDetection, VipKey, VirtualIP},
    manifests::Object,
};

/// Namespace of a manifest that names none, as `kubectl` has it.
const NAMESPACE: &str = "default";

/// One address of one `VirtualIP`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Whose.
    pub key: VipKey,
    /// Which, and how.
    pub target: Target,
    /// What is done about other hosts that claim it.
    pub conflicts: ConflictDetection,
    /// Why it is not to be had, whatever the kernel says.
    pub refused: Option<String>,
}

/// All addresses of all manifests. Of two that want the same, the first by namespace and name has it.
#[must_use]
pub fn wanted<'a>(objects: impl Iterator<Item = &'a Object>) -> Vec<Wanted> {
    let mut vips: BTreeMap<VipKey, VirtualIP> = BTreeMap::new();
    let mut twice: BTreeSet<VipKey> = BTreeSet::new();
    for object in objects.filter(|object| object.kind == "VirtualIP") {
        // It keeps the rules, so it can be read.
        let Ok(vip) = serde_json::from_value::<VirtualIP>(object.value.clone()) else { continue };
        let mut key = vip.key();
        if key.namespace.is_empty() {
            NAMESPACE.clone_into(&mut key.namespace);
        }
        match vips.entry(key) {
            Entry::Occupied(there) => drop(twice.insert(there.key().clone())),
            Entry::Vacant(free) => drop(free.insert(vip)),
        }
    }
    let mut owners: BTreeMap<IpAddr, VipKey> = BTreeMap::new();
    let mut all = Vec::new();
    for (key, vip) in &vips {
        // Without a cluster there are no labels: entries for nodes with some do not count.
        for target in Target::all(&vip.spec, &BTreeMap::new()) {
            let owner = owners.entry(target.ip()).or_insert_with(|| key.clone());
            let refused = if twice.contains(key) {
                Some("two manifests have this name: rename one".to_owned())
            } else {
                (owner != key).then(|| format!("{owner} has the address: remove it from one of the two"))
            };
            let conflicts = vip.spec.conflict_detection;
            all.push(Wanted { key: key.clone(), target, conflicts, refused });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifests::{Source, check};

    fn all(manifests: &[(&str, &str)]) -> Vec<(String, String, Option<String>)> {
        let text = manifests.iter().map(|(name, addresses)| {
            format!(
                "---\napiVersion: virtualip.dev/v1alpha1\nkind: VirtualIP\nmetadata: {{name: {name}}}\n\
                 spec: {{addresses: [{addresses}]}}\n"
            )
        });
        let checked = check(&Source { name: "-".to_owned(), text: text.collect() });
        assert_eq!(checked.problems, []);
        let wanted = wanted(checked.objects.iter());
        wanted.into_iter().map(|w| (w.key.to_string(), w.target.address.to_string(), w.refused)).collect()
    }

    #[test]
    fn every_address_is_wanted_once() {
        let found = all(&[("web", "192.0.2.1, 192.0.2.2/24"), ("api", "192.0.2.1")]);
        assert_eq!(found[0], ("default/api".to_owned(), "192.0.2.1".to_owned(), None));
        assert!(found[1].2.as_ref().unwrap().starts_with("default/api has the address"));
        assert_eq!(found[2], ("default/web".to_owned(), "192.0.2.2/24".to_owned(), None));
    }

    #[test]
    fn a_name_is_there_once() {
        let found = all(&[("web", "192.0.2.1"), ("web", "192.0.2.2")]);
        assert_eq!(found.len(), 1);
        assert!(found[0].2.as_ref().unwrap().contains("two manifests"));
    }
}
