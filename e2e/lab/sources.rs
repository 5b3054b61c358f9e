//! Where the right of each node comes from, as its status says.

use super::{
    Cluster, Error, Result,
    deploy::{AGENTS, NAMESPACE},
    run::until,
    stage::PATIENCE,
};
use serde_json::Value;

impl Cluster {
    /// Starts all agents anew, one after the other, to strive for this source of their right.
    ///
    /// # Errors
    /// When one does not become ready.
    pub fn use_source(&self, source: &str) -> Result<()> {
        let set = format!("VIRTUALIP_RIGHT_SOURCE={}", source.to_lowercase());
        self.kubectl(&["set", "env", AGENTS, "-n", NAMESPACE, &set])?;
        self.wait_agents_ready()
    }

    /// Waits until the right of every node comes from there, and all its witnesses answer.
    ///
    /// # Errors
    /// When that takes too long; what the status says instead.
    pub fn wait_source(&self, source: &str) -> Result<()> {
        for node in self.nodes() {
            until(&format!("the right of {} comes from {source}", node.name()), PATIENCE, || {
                let shown = self.right(node.name())?;
                // With its first peer a node is content; the third follows when it answers too.
                let witnesses = if source == "Lease" { 0 } else { self.nodes().len().min(3) };
                let chosen = shown["witnesses"].as_array().map_or(0, Vec::len);
                let is = shown["source"].as_str().is_some_and(|is| is.eq_ignore_ascii_case(source));
                let answering = shown["answering"].as_u64().unwrap_or_default();
                if is && chosen == witnesses && answering == witnesses as u64 {
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
