//! The project itself in the cluster: its image on every node, its manifests applied.

use super::{
    cluster::Cluster,
    error::{Error, Result},
    image::{Image, root},
    node::Node,
    run::until,
};
use serde_json::Value;
use std::time::Duration;

/// The namespace of the agents and their Leases.
pub const NAMESPACE: &str = "virtualip-system";
/// Where an agent listens, on its node.
const AGENT_SERVER: &str = "127.0.0.1:7472";
/// How long a pod may take to come back.
const AGENT_READY: Duration = Duration::from_mins(1);
/// The agents.
pub const AGENTS: &str = "daemonset/virtualip";
/// The label of their pods.
pub const AGENT_LABEL: &str = "app.kubernetes.io/name=virtualip";

impl Cluster {
    /// Builds the image, loads it, applies `manifests` and waits until an agent is ready on every node. Gives the
    /// image.
    ///
    /// # Errors
    /// When one of these fails.
    pub fn deploy(&self) -> Result<Image> {
        self.deploy_image(Image::virtualip)
    }

    /// The same with an image that is made otherwise, under the name that it is given.
    ///
    /// # Errors
    /// As [`Cluster::deploy`].
    pub fn deploy_image(&self, make: impl FnOnce(&str) -> Result<Image>) -> Result<Image> {
        let image = make(&self.agent_image()?)?;
        self.load(&image)?;
        self.install()?;
        Ok(image)
    }

    /// Applies `manifests` and waits until an agent is ready on every node.
    ///
    /// # Errors
    /// When the API server refuses something, or an agent does not become ready.
    pub fn install(&self) -> Result<()> {
        self.kubectl(&["apply", "-k", &manifests()])?;
        self.wait_agents_ready()
    }

    /// Tells the agents something in their environment (`NAME=value`, or `NAME-` for what the manifests say), and waits until
    /// they have it.
    ///
    /// # Errors
    /// When one does not become ready.
    pub fn configure(&self, words: &[&str]) -> Result<()> {
        self.kubectl(&[&["set", "env", AGENTS, "-n", NAMESPACE][..], words].concat())?;
        self.wait_agents_ready()
    }

    /// Puts a node on standby, or takes it off, once its agent has said that there is such a node.
    ///
    /// # Errors
    /// When it does not, or the API server refuses.
    pub fn standby(&self, node: &str, on: bool) -> Result<()> {
        until(&format!("{node} has a VirtualIPNode"), AGENT_READY, || {
            self.kubectl(&["get", "virtualipnode", node, "-o", "name"]).map(Some)
        })?;
        let patch = format!(r#"{{"spec": {{"standby": {on}}}}}"#);
        self.kubectl(&["patch", "virtualipnode", node, "--type=merge", "--patch", &patch]).map(drop)
    }

    /// Waits until an agent of the newest kind is ready on every node.
    ///
    /// # Errors
    /// When one is not within two minutes.
    pub fn wait_agents_ready(&self) -> Result<()> {
        self.kubectl(&["rollout", "status", AGENTS, "-n", NAMESPACE, "--timeout=120s"])?;
        self.wait_agents_answer()
    }

    /// After a fault the API server may still show the time before it: the agents are asked themselves.
    fn wait_agents_answer(&self) -> Result<()> {
        self.on_every_node(|node| {
            until(&format!("the agent of {} is ready", node.name()), AGENT_READY, || {
                node.agent_get("/readyz").map(Some)
            })
            .map(drop)
        })
    }

    /// Whether the agents are installed.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub fn has_agents(&self) -> Result<bool> {
        let found = self.kubectl(&["get", AGENTS, "-n", NAMESPACE, "-o", "name", "--ignore-not-found"])?;
        Ok(!found.is_empty())
    }

    /// Whether one look finds every node Ready, and on each an agent of the newest kind.
    fn looks_well(&self) -> Result<bool> {
        let found = self.get(&["nodes,daemonsets", "-n", NAMESPACE])?;
        let items = found["items"].as_array().map_or(&[][..], Vec::as_slice);
        Ok(items.iter().all(is_well) && items.iter().any(|object| object["kind"] == "DaemonSet"))
    }

    /// Undoes every fault and waits until all is well: API server, nodes, and agents where they are installed. Says
    /// whether they are.
    ///
    /// # Errors
    /// When something does not come up.
    pub fn repair(&self) -> Result<bool> {
        self.control_plane().repair()?;
        self.on_every_node(Node::repair)?;
        // Nothing was broken, most often.
        if self.looks_well().is_ok_and(|well| well) {
            return self.wait_agents_answer().map(|()| true);
        }
        self.control_plane().wait_ready()?;
        self.wait_nodes_ready()?;
        let there = self.has_agents()?;
        if there {
            self.wait_agents_ready()?;
        }
        Ok(there)
    }

    /// Deletes every `VirtualIP`, and waits until none is left.
    ///
    /// # Errors
    /// When one is still there after so long.
    pub fn delete_virtualips(&self, limit: Duration) -> Result<()> {
        // kubectl would wait for one after the other, and asks for five a second at most.
        self.kubectl(&["delete", "virtualips", "--all", "--all-namespaces", "--wait=false"])?;
        until("no VirtualIP is left", limit, || {
            let left = self.kubectl(&["get", "virtualips", "--all-namespaces", "-o", "name"])?;
            Ok(left.is_empty().then_some(()))
        })
    }

    /// Lets the pods with a label end in good order, on one node or on all; others are started for them.
    ///
    /// # Errors
    /// When the API server refuses.
    pub fn delete_pods(&self, namespace: &str, label: &str, on: Option<&Node>) -> Result<()> {
        let node = on.map(|node| on_node(node.name()));
        let words = ["delete", "pods", "-n", namespace, "--selector", label, "--wait=false"];
        let words: Vec<_> = words.into_iter().chain(node.as_deref()).collect();
        self.kubectl(&words).map(drop)
    }

    /// The pod of a node's agent.
    ///
    /// # Errors
    /// When there is none.
    pub fn agent_pod(&self, node: &str) -> Result<String> {
        let words = ["get", "pods", "-n", NAMESPACE, "--selector", AGENT_LABEL, &on_node(node), "-o", "name"];
        let pods = self.kubectl(&words)?;
        let pod = pods.lines().next().map(str::to_owned);
        pod.ok_or_else(|| Error::other(format!("{node} has no pod of the agent")))
    }

    /// The image that `manifests` name, as a container runtime spells it.
    fn agent_image(&self) -> Result<String> {
        let rendered = self.kubectl(&["kustomize", &manifests()])?;
        let image =
            rendered.lines().find_map(|line| line.trim().trim_start_matches("- ").strip_prefix("image: "));
        let image = image.ok_or_else(|| Error::other("manifests/ name no image"))?.trim_matches('"');
        let host = image.split_once('/').map_or("", |(host, _)| host);
        Ok(match host {
            "" => format!("docker.io/library/{image}"),
            host if host.contains(['.', ':']) => image.to_owned(),
            _ => format!("docker.io/{image}"),
        })
    }
}

impl Node {
    /// What the node's agent answers on its own small HTTP server: `/healthz`, `/readyz`, `/metrics`.
    ///
    /// # Errors
    /// When it does not answer, or not with 200.
    pub fn agent_get(&self, path: &str) -> Result<String> {
        self.host.http_get(AGENT_SERVER, path)
    }
}

/// Whether a Node is Ready; whether a `DaemonSet` has nothing left to do.
fn is_well(object: &Value) -> bool {
    let status = &object["status"];
    if object["kind"] == "Node" {
        let conditions = status["conditions"].as_array();
        return conditions
            .is_some_and(|all| all.iter().any(|one| one["type"] == "Ready" && one["status"] == "True"));
    }
    let wanted = &status["desiredNumberScheduled"];
    status["observedGeneration"] == object["metadata"]["generation"]
        && [&status["updatedNumberScheduled"], &status["numberAvailable"]]
            .iter()
            .all(|number| *number == wanted)
}

/// The folder of the manifests.
pub fn manifests() -> String {
    root().join("manifests").to_string_lossy().into_owned()
}

/// The folder of an overlay over them.
pub fn overlay(name: &str) -> String {
    root().join("overlays").join(name).to_string_lossy().into_owned()
}

/// Selects the pods of a node, for kubectl.
fn on_node(node: &str) -> String {
    format!("--field-selector=spec.nodeName={node}")
}
