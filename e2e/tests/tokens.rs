//! Writes to the agents' Leases with real tokens: that of an agent's pod, and others.

use super::vip::Vip;
use crate::{
    lab::{Cluster, Node, Result, control_plane::url, deploy::NAMESPACE},
    runner::Outcome,
};
use std::process::{Command, Output};

super::tests![the_token_of_an_agent_is_good_for_its_own_node, an_agent_makes_no_secret_but_that_of_the_keys];

/// With tokens as an agent has them, and on the Leases of agents at work: nothing here is stored.
fn the_token_of_an_agent_is_good_for_its_own_node(lab: &Cluster) -> Outcome {
    let vip = Vip::ready(lab, "web", &["192.168.200.230"])?;
    let owner = vip.owner()?;
    let other = lab.nodes().iter().map(Node::name).find(|name| *name != owner);
    let other = other.ok_or("the lab has one node only")?;
    let pod = lab.agent_pod(&owner)?;
    let bound =
        ["--bound-object-kind=Pod", &format!("--bound-object-name={}", pod.trim_start_matches("pod/"))];
    let agent = Holder { lab, token: Some(token(lab, &bound)?) };
    let unbound = Holder { lab, token: Some(token(lab, &[])?) };
    let admin = Holder { lab, token: None };

    let (own, foreign) = (format!("node.{owner}"), format!("node.{other}"));
    let (renew, note) =
        (r#"{"spec": {"leaseDurationSeconds": 9}}"#, r#"{"metadata": {"labels": {"a": "b"}}}"#);
    let close = r#"{"metadata": {"labels": null}, "spec": {"holderIdentity": ""}}"#;
    let whisper = r#"{"spec": {"holderIdentity": ""}}"#;
    let take = format!(r#"{{"spec": {{"holderIdentity": "{other}"}}}}"#);
    let cases = [
        (&agent, own.as_str(), renew, None),
        (&agent, &foreign, close, None),
        (&agent, &foreign, whisper, Some("take the label off")),
        (&agent, &foreign, renew, Some("in the Lease of its own node")),
        (&agent, &own, &take, Some("the holder in the Lease of a node is that node, or nobody")),
        (&agent, "vip.default.web", &take, Some("the node that has accepted")),
        (&unbound, &own, renew, Some("this token names none")),
        (&unbound, "vip.default.web", close, Some("this token names none")),
        (&admin, &own, renew, Some("only the agents of virtualip")),
        (&admin, "vip.default.web", note, Some("only the agents of virtualip")),
    ];
    let mut failures = Vec::new();
    for (who, lease, patch, refusal) in cases {
        let output = who.patches(lease, patch)?;
        let said = String::from_utf8_lossy(&output.stderr);
        let done = output.status.success();
        if !refusal.map_or(done, |refusal| !done && said.contains(refusal)) {
            failures.push(format!("{lease} {patch}: expected {refusal:?}, kubectl said {said}"));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

/// RBAC lets an agent make any Secret, since it cannot name what is yet to be made: the policy does.
fn an_agent_makes_no_secret_but_that_of_the_keys(lab: &Cluster) -> Outcome {
    let agent = Holder { lab, token: Some(token(lab, &[])?) };
    for (name, kind) in [("other", "--type=virtualip.dev/keys"), ("virtualip-keys", "--type=Opaque")] {
        let output = agent.asks(&["create", "secret", "generic", name, kind, "--dry-run=server"])?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("write one Secret only"), "{name} {kind}: {said}");
    }
    let output = agent.asks(&["get", "secrets"])?;
    assert!(String::from_utf8_lossy(&output.stderr).contains("forbidden"), "it reads that one only");
    Ok(())
}

/// Somebody who may speak to the API server.
struct Holder<'a> {
    lab: &'a Cluster,
    /// None is the administrator.
    token: Option<String>,
}

impl Holder<'_> {
    /// Tries to change a Lease.
    fn patches(&self, lease: &str, patch: &str) -> Result<Output> {
        self.asks(&["patch", "lease", lease, "--dry-run=server", "--type=merge", "--patch", patch])
    }

    /// Runs kubectl in the namespace of the agents.
    fn asks(&self, words: &[&str]) -> Result<Output> {
        let plane = self.lab.control_plane();
        let mut kubectl: Command = plane.kubectl_command();
        if let Some(token) = &self.token {
            // The administrator's certificate would come before any token.
            kubectl.args(["--kubeconfig=/dev/null", "--server", &url(), "--token", token]);
            kubectl.args(["--certificate-authority", &plane.authority.paper("ca.crt")]);
        }
        kubectl.args(words).args(["-n", NAMESPACE]);
        plane.host.output_in_network(kubectl)
    }
}

fn token(lab: &Cluster, bound: &[&str]) -> Result<String> {
    let create = ["create", "token", "virtualip", "-n", NAMESPACE];
    Ok(lab.kubectl(&[&create, bound].concat())?.trim().to_owned())
}
