//! What the agents may do, and what they did: `manifests/rbac.yaml` against the API server's audit log.

use super::{
    peers::KEYS,
    uninstall::LIMIT,
    vip::{PATIENCE, Vip},
};
use crate::{
    lab::{
        Cluster, Result,
        deploy::{NAMESPACE, manifests},
        run::until,
    },
    runner::{LABEL, Outcome},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeSet, error::Error, fs};

super::tests![the_agents_use_every_right_they_have_and_ask_for_no_other];

/// Scope, group, resource and verb.
type Right = (&'static str, String, String, String);

fn the_agents_use_every_right_they_have_and_ask_for_no_other(lab: &Cluster) -> Outcome {
    live(lab)?;
    let granted = granted()?;
    let (.., refused) = asked(lab)?;
    // An API server that has just been started refuses also what it grants, until it has read the roles.
    let missing: Vec<_> = refused.difference(&granted).collect();
    assert!(missing.is_empty(), "asked for, but not granted: {missing:?}");
    // What is asked while the rights themselves are being deleted may be refused.
    lab.kubectl(&["delete", "-k", &manifests(), LIMIT])?;
    let (used, ..) = asked(lab)?;
    let unused: Vec<_> = granted.difference(&used).collect();
    assert!(unused.is_empty(), "granted, but never used: {unused:?}");
    Ok(())
}

/// Everything that happens to a `VirtualIP` and concerns the API server.
fn live(lab: &Cluster) -> Result<()> {
    until("the agents have made their keys", PATIENCE, || {
        lab.kubectl(&["get", "secret", KEYS, "-n", NAMESPACE]).map(Some)
    })?;
    // Keys that make no sense are written anew.
    let broken = r#"{"data": {"current": "bm9uZQ=="}}"#;
    lab.kubectl(&["patch", "secret", KEYS, "-n", NAMESPACE, "--patch", broken])?;
    let vip = Vip::ready(lab, "web", &["192.168.200.240"])?;
    let owner = vip.owner()?;
    lab.node(&owner)?.power_off()?;
    vip.wait_moved(&owner)?;
    vip.delete()?;
    lab.repair()?;
    // The same thing happens twice: the second time the Event is counted.
    let here = json!({"addresses": ["192.168.200.241"], "placement": {"nodeSelector": {LABEL: "true"}}});
    let vip = Vip::apply(lab, "twice", &here)?;
    for _ in 0..2 {
        vip.wait_reason("NoEligibleNode")?;
        lab.kubectl(&["label", "node", "n1", &format!("{LABEL}=true")])?;
        vip.wait_ready()?;
        lab.kubectl(&["label", "node", "n1", &format!("{LABEL}-")])?;
    }
    Ok(())
}

/// What the agents asked the API server for so far: what it granted, and what it refused.
fn asked(lab: &Cluster) -> Result<(BTreeSet<Right>, BTreeSet<Right>)> {
    let (mut used, mut refused) = (BTreeSet::new(), BTreeSet::new());
    let agent = format!("system:serviceaccount:{NAMESPACE}:virtualip");
    for request in lab.audit_log()?.iter().filter(|request| request["user"]["username"] == agent.as_str()) {
        let Some(right) = right(request) else { continue };
        let allowed = request["annotations"]["authorization.k8s.io/decision"] == "allow";
        if allowed {
            used.insert(right)
        } else {
            refused.insert(right)
        };
    }
    Ok((used, refused))
}

fn right(request: &Value) -> Option<Right> {
    let object = &request["objectRef"];
    let resource = object["resource"].as_str()?;
    let resource = match object["subresource"].as_str() {
        Some(part) => format!("{resource}/{part}"),
        None => resource.to_owned(),
    };
    Some((
        scope(object["namespace"] == NAMESPACE),
        text(&object["apiGroup"]),
        resource,
        text(&request["verb"]),
    ))
}

fn scope(in_namespace: bool) -> &'static str {
    if in_namespace { "in the namespace of the agents" } else { "elsewhere" }
}

/// What `manifests/rbac.yaml` grants.
fn granted() -> Result<BTreeSet<Right>, Box<dyn Error>> {
    let text = fs::read_to_string(format!("{}/rbac.yaml", manifests()))?;
    let mut granted = BTreeSet::new();
    for document in serde_yaml::Deserializer::from_str(&text) {
        let object = Value::deserialize(document)?;
        for rule in list(&object["rules"]) {
            let [groups, resources, verbs] = ["apiGroups", "resources", "verbs"].map(|key| texts(&rule[key]));
            for (group, resource) in groups.iter().flat_map(|group| resources.iter().map(move |r| (group, r)))
            {
                let right = |verb: &String| {
                    (scope(object["kind"] == "Role"), group.clone(), resource.clone(), verb.clone())
                };
                granted.extend(verbs.iter().map(right));
            }
        }
    }
    Ok(granted)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn texts(value: &Value) -> Vec<String> {
    list(value).iter().map(text).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
