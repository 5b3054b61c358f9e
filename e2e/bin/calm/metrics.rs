//! The agents' own figures, all together, between two moments.

use super::lab::{Cluster, Node, Result, run::until, stage::PATIENCE};
use std::collections::BTreeMap;

/// What all agents counted, and how often one was started anew.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// One per node: the agent's process, and its metrics by name and labels.
    nodes: Vec<(u32, BTreeMap<String, u64>)>,
    /// Agents that are not those of the first of two snapshots.
    pub restarts: usize,
}

impl Snapshot {
    /// As it is now.
    ///
    /// # Errors
    /// When an agent does not answer.
    pub fn take(lab: &Cluster) -> Result<Self> {
        let nodes = lab.nodes().iter().map(of).collect::<Result<_>>()?;
        Ok(Self { nodes, restarts: 0 })
    }

    /// What was counted since `before`. An agent that was started anew has counted from nothing.
    pub fn since(self, before: &Self) -> Self {
        let mut restarts = 0;
        let pairs = self.nodes.into_iter().zip(&before.nodes);
        let nodes = pairs.map(|((pid, mut counts), (old, were))| {
            if pid == *old {
                for (name, count) in &mut counts {
                    *count = count.saturating_sub(were.get(name).copied().unwrap_or_default());
                }
            } else {
                restarts += 1;
            }
            (pid, counts)
        });
        let nodes = nodes.collect();
        Self { nodes, restarts }
    }

    /// The sum over all nodes.
    pub fn count(&self, name: &str) -> u64 {
        self.nodes.iter().filter_map(|(_, counts)| counts.get(name)).sum()
    }

    /// The least bound of the histogram's that nothing went over on any node, in milliseconds.
    pub fn at_most_ms(&self, histogram: &str) -> f64 {
        let prefix = format!("{histogram}_bucket{{le=\"");
        let worst = self.nodes.iter().map(|(_, counts)| {
            let all = counts.get(&format!("{histogram}_count")).copied().unwrap_or_default();
            let buckets = counts.iter().filter_map(|(name, count)| {
                let bound = name.strip_prefix(&prefix)?.strip_suffix("\"}")?;
                Some((bound.parse::<f64>().unwrap_or(f64::INFINITY), *count))
            });
            let full = buckets.filter(|(_, count)| *count >= all).map(|(bound, _)| bound);
            full.fold(f64::INFINITY, f64::min) * 1000.0
        });
        worst.fold(0.0, f64::max)
    }
}

fn of(node: &Node) -> Result<(u32, BTreeMap<String, u64>)> {
    // On a machine without a free processor this takes its time.
    let text = until(&format!("the agent of {} answers", node.name()), PATIENCE, || {
        node.agent_get("/metrics").map(Some)
    })?;
    let counts = text.lines().filter_map(|line| {
        let (name, number) = line.rsplit_once(' ')?;
        Some((name.to_owned(), number.parse().ok()?))
    });
    Ok((node.agent()?.pid, counts.collect()))
}
