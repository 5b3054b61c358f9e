//! What a person wants to see after a failure: everything, in files.

use super::{
    cluster::Cluster,
    deploy::NAMESPACE,
    error::{Doing, Result},
    run,
};
use std::{fs, path::Path, process::Output};

/// So many bytes of the log of a program that runs from the node's start on are kept.
const LOG_TAIL: usize = 100_000;

impl Cluster {
    /// Writes objects, events, the agents' logs and every host's network into `dir`. What cannot be had says why.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn snapshot(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir).doing(|| format!("make {}", dir.display()))?;
        let objects = "virtualips,virtualipnodes,leases.coordination.k8s.io,pods,nodes";
        let kubectl = |words: &[&str]| self.kubectl_output(&[words, &["--request-timeout=5s"]].concat());
        write(dir, "objects.txt", kubectl(&["get", objects, "-A", "-o", "wide"]))?;
        write(dir, "objects.yaml", kubectl(&["get", objects, "-A", "-o", "yaml"]))?;
        write(dir, "events.txt", kubectl(&["get", "events", "-A", "--sort-by=.metadata.creationTimestamp"]))?;
        for node in self.nodes() {
            let name = node.name();
            write(
                dir,
                &format!("{name}.network.txt"),
                node.output(&["sh", "-c", "ip -d addr; ip neigh; ip route"]),
            )?;
            for daemon in [&node.containerd, &node.kubelet] {
                let log = fs::read(daemon.log()).unwrap_or_default();
                let tail = log.get(log.len().saturating_sub(LOG_TAIL)..).unwrap_or_default();
                let file = daemon.log().file_name().unwrap_or_default().to_string_lossy().into_owned();
                let path = dir.join(format!("{name}.{file}"));
                fs::write(&path, tail).doing(|| format!("write {}", path.display()))?;
            }
            for previous in ["false", "true"] {
                let log = self.agent_pod(name).and_then(|pod| {
                    kubectl(&["logs", "-n", NAMESPACE, &pod, &format!("--previous={previous}")])
                });
                let which = if previous == "true" { "agent.previous" } else { "agent" };
                write(dir, &format!("{name}.{which}.log"), log)?;
            }
        }
        write(dir, "client.network.txt", self.client().output(&["sh", "-c", "ip addr; ip neigh"]))
    }
}

fn write(dir: &Path, name: &str, output: Result<Output>) -> Result<()> {
    let said = output.and_then(|output| run::happy(name, &output));
    let text = said.unwrap_or_else(|error| super::error::chain(&error));
    let path = dir.join(name);
    fs::write(&path, text).doing(|| format!("write {}", path.display()))
}
