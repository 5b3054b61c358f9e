//! Which nodes are asked to be witnesses: a few, whatever the size of the cluster, far from each other.

use std::collections::BTreeMap;

use super::lease::NodeName;
use super::weight::weight;

/// A node that could be a witness.
pub(super) struct Candidate<'a> {
    pub(super) node: &'a NodeName,
    pub(super) zone: Option<&'a String>,
    /// It is one already.
    pub(super) member: bool,
    /// It does not answer.
    pub(super) deaf: bool,
}

/// How many others are witnesses when so many are there: with the node itself five, three or two. Four would bear no more
/// than three, and three others are always too few for five.
fn size(candidates: usize) -> usize {
    match candidates {
        0 | 1 => candidates,
        2 | 3 => 2,
        _ => 4,
    }
}

/// The same choice for the same candidates. Who is a witness and answers stays one; then come zones that have none yet.
pub(super) fn choose(
    me: &NodeName,
    zone: Option<&String>,
    mut candidates: Vec<Candidate<'_>>,
) -> Vec<NodeName> {
    let size = size(candidates.len());
    let mut zones: BTreeMap<&String, usize> = zone.into_iter().map(|zone| (zone, 1)).collect();
    let mut chosen = Vec::new();
    while chosen.len() < size {
        let best = candidates.iter().enumerate().min_by_key(|(_, candidate)| {
            let crowd = candidate.zone.and_then(|zone| zones.get(zone)).copied().unwrap_or_default();
            (candidate.deaf, !candidate.member, crowd, weight(me, candidate.node), candidate.node)
        });
        let Some((index, _)) = best else { break };
        let candidate = candidates.swap_remove(index);
        if let Some(zone) = candidate.zone {
            *zones.entry(zone).or_default() += 1;
        }
        chosen.push(candidate.node.clone());
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(nodes: &[(&str, &str, bool, bool)]) -> Vec<String> {
        let named: Vec<(NodeName, String)> =
            nodes.iter().map(|(node, zone, ..)| (NodeName((*node).into()), (*zone).into())).collect();
        let candidates = nodes.iter().zip(&named).map(|((.., member, deaf), (node, zone))| Candidate {
            node,
            zone: Some(zone),
            member: *member,
            deaf: *deaf,
        });
        let mut chosen: Vec<String> = choose(&NodeName("me".into()), Some(&"a".into()), candidates.collect())
            .into_iter()
            .map(|node| node.to_string())
            .collect();
        chosen.sort();
        chosen
    }

    #[test]
    fn witnesses_lie_in_other_zones_where_there_are_some() {
        let nodes = [("n1", "a", false, false), ("n2", "a", false, false), ("n3", "b", false, false)];
        assert!(chosen(&nodes).contains(&"n3".to_owned()));
        let nodes = [("n1", "a", false, false), ("n2", "b", false, false), ("n3", "c", false, false)];
        assert_eq!(chosen(&nodes), ["n2", "n3"]);
    }

    #[test]
    fn who_is_a_witness_stays_one_as_long_as_it_answers() {
        let nodes = [("n1", "a", true, false), ("n2", "a", true, false), ("n3", "b", false, false)];
        assert_eq!(chosen(&nodes), ["n1", "n2"]);
        let nodes = [("n1", "a", true, true), ("n2", "a", true, false), ("n3", "b", false, false)];
        assert_eq!(chosen(&nodes), ["n2", "n3"]);
    }

    #[test]
    fn there_are_never_more_than_four_others() {
        let nodes: Vec<_> = ["a", "b", "c", "d", "e", "f", "g"].map(|name| (name, name, false, false)).into();
        assert_eq!(chosen(&nodes).len(), 4);
        assert_eq!(chosen(&nodes[..3]).len(), 2);
        assert_eq!(chosen(&nodes[..1]).len(), 1);
    }
}
