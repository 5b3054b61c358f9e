//! Where the right of each node comes from, as its status says.

use super::{Cluster, Error, Result, run::until};
use serde_json::Value;
use std::time::Duration;

/// A node relies on its witnesses alone only when for some seconds no promise was late: on a busy machine that takes its time.
const PATIENCE: Duration = Duration::from_mins(2);

impl Cluster {
    /// Starts all agents anew, one after the other, to strive for this source of their right.
    ///
    /// # Errors
    /// When one does not become ready.
    pub fn use_source(&self, source: &str) -> Result<()> {
        self.configure(&[&format!("VIRTUALIP_RIGHT_SOURCE={}", source.to_lowercase())])
    }

    /// Waits until the right of every node comes from there, and all its witnesses answer.
    ///
    /// # Errors
    /// When that takes too long; what the status says instead.
    pub fn wait_source(&self, source: &str) -> Result<()> {
        self.wait_right(&format!("comes from {source}"), |is| is.eq_ignore_ascii_case(source))
    }

    /// Waits until all witnesses of every node answer, whether it relies on them alone or not.
    ///
    /// # Errors
    /// When that takes too long; what the status says instead.
    pub fn wait_witnesses(&self) -> Result<()> {
        self.wait_right("has witnesses", |is| is != "Lease")
    }

    fn wait_right(&self, what: &str, fits: impl Fn(&str) -> bool) -> Result<()> {
        for node in self.nodes() {
            until(&format!("the right of {} {what}", node.name()), PATIENCE, || {
                let shown = self.right(node.name())?;
                let source = shown["source"].as_str().unwrap_or_default();
                // With its first peer a node is content; the third follows when it answers too.
                let witnesses = if source == "Lease" { 0 } else { self.nodes().len().min(3) };
                let chosen = shown["witnesses"].as_array().map_or(0, Vec::len);
                let answering = shown["answering"].as_u64().unwrap_or_default();
                if fits(source) && chosen == witnesses && answering == witnesses as u64 {
                    return Ok(Some(()));
                }
                Err(Error::other(shown.to_string()))
            })?;
        }
        Ok(())
    }

    /// What the status of a node says about its right.
    ///
    /// # Errors
    /// When there is no such status.
    pub fn right(&self, node: &str) -> Result<Value> {
        Ok(self.get(&["virtualipnode", node])?["status"]["right"].take())
    }
}
