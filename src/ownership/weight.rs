//! An order of nodes that differs from one node to the next and is the same everywhere: it spreads work evenly, and lets one go
//! first.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::lease::NodeName;

/// Where `node` stands in the order that goes with `other`.
pub(super) fn weight(node: &NodeName, other: &NodeName) -> u64 {
    let mut hasher = DefaultHasher::new();
    (node, other).hash(&mut hasher);
    hasher.finish()
}
