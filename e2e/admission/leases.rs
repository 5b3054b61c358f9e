//! Writes to the agents' Leases.
//!
//! They are tried in a namespace of their own, with the policy, the role and the ServiceAccount of the real one, so that no
//! agent that is at work sees them.

use std::{
    io,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{Kubectl, Reply, judge, list, must, parse};

const REAL: &str = "virtualip-system";
/// How long a new policy may take to be enforced.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tries every write of `leases.yaml`; `id` makes the names of what is made for that unique.
///
/// # Errors
/// When kubectl cannot be run, or what the test needs cannot be made.
pub fn leases(kubectl: Kubectl<'_>, id: u32) -> io::Result<Vec<String>> {
    let namespace = format!("virtualip-admission-{id}");
    let cases = parse(include_str!("leases.yaml"))?;
    let result = prepare(kubectl, &namespace, &cases).and_then(|()| tried(kubectl, &namespace, &cases));
    let tidied = tidy(kubectl, &namespace);
    let failures = result?;
    tidied.map(|()| failures)
}

fn tried(kubectl: Kubectl<'_>, namespace: &str, cases: &Value) -> io::Result<Vec<String>> {
    let mut failures = Vec::new();
    for case in list(&cases["cases"]) {
        let reply = ask(kubectl, namespace, case, true)?;
        failures.extend(judge(&case["what"], &case["says"], &reply));
    }
    Ok(failures)
}

/// Copies what is installed, and stores the Leases that the cases start from.
fn prepare(kubectl: Kubectl<'_>, namespace: &str, cases: &Value) -> io::Result<()> {
    must(kubectl, &["create", "namespace", namespace], None)?;
    for kind in ["serviceaccount", "role", "rolebinding"] {
        let object = must(kubectl, &["get", kind, "virtualip", "-n", REAL, "-o", "json"], None)?;
        copy(kubectl, &object, "virtualip", namespace)?;
    }
    let binding =
        must(kubectl, &["get", "validatingadmissionpolicybinding", "virtualip-leases", "-o", "json"], None)?;
    copy(kubectl, &binding, namespace, namespace)?;
    until_enforced(kubectl, namespace)?;
    for lease in list(&cases["leases"]) {
        let case =
            json!({"as": lease["as"], "create": {"metadata": lease["metadata"], "spec": lease["spec"]}});
        let reply = ask(kubectl, namespace, &case, false)?;
        if !reply.success {
            return Err(io::Error::other(format!("{lease}: {}", reply.text())));
        }
    }
    Ok(())
}

/// Applies an object under another name, wherever it names the real namespace.
fn copy(kubectl: Kubectl<'_>, object: &str, name: &str, namespace: &str) -> io::Result<()> {
    let mut copy: Value =
        serde_json::from_str(&object.replace(&format!("\"{REAL}\""), &format!("\"{namespace}\"")))?;
    let in_namespace = copy["metadata"]["namespace"].is_string();
    copy["metadata"] = json!({"name": name});
    if in_namespace {
        copy["metadata"]["namespace"] = json!(namespace);
    }
    must(kubectl, &["create", "-f", "-"], Some(&copy.to_string())).map(|_| ())
}

/// A policy is enforced a moment after it was written: asks for something forbidden until it is refused.
fn until_enforced(kubectl: Kubectl<'_>, namespace: &str) -> io::Result<()> {
    let forbidden = json!({"as": "admin", "create": {"metadata": {"name": "node.probe"}, "spec": {}}});
    let start = Instant::now();
    while ask(kubectl, namespace, &forbidden, true)?.success {
        if start.elapsed() > PATIENCE {
            return Err(io::Error::other(format!("the policy is not enforced after {PATIENCE:?}")));
        }
    }
    Ok(())
}

fn ask(kubectl: Kubectl<'_>, namespace: &str, case: &Value, dry_run: bool) -> io::Result<Reply> {
    let mut words = vec!["-n".to_owned(), namespace.to_owned()];
    words.extend(identity(namespace, case["as"].as_str().unwrap_or_default()));
    let mut input = None;
    if let Some(create) = case.get("create") {
        let mut lease = create.clone();
        lease["apiVersion"] = json!("coordination.k8s.io/v1");
        lease["kind"] = json!("Lease");
        words.extend(["create", "-f", "-"].map(String::from));
        input = Some(lease.to_string());
    } else if let Some(name) = case["patch"].as_str() {
        words.extend(["patch", "lease", name, "--type=merge", "--patch"].map(String::from));
        words.push(case["with"].to_string());
    } else if let Some(name) = case["delete"].as_str() {
        words.extend(["delete", "lease", name].map(String::from));
    } else {
        return Err(io::Error::other(format!("nothing to do in {case}")));
    }
    if dry_run {
        words.push("--dry-run=server".to_owned());
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    kubectl(&words, input.as_deref())
}

/// How kubectl is told to be somebody else.
fn identity(namespace: &str, who: &str) -> Vec<String> {
    let agent = format!("--as=system:serviceaccount:{namespace}:virtualip");
    let controller = |name: &str| vec![format!("--as=system:serviceaccount:kube-system:{name}")];
    match who {
        "admin" => Vec::new(),
        "unbound" => vec![agent],
        "namespaces" => controller("namespace-controller"),
        "garbage" => controller("generic-garbage-collector"),
        node => vec![agent, format!("--as-user-extra=authentication.kubernetes.io/node-name={node}")],
    }
}

/// Removes the policy first: without it the administrator may delete the rest.
fn tidy(kubectl: Kubectl<'_>, namespace: &str) -> io::Result<()> {
    let free = json!({"as": "n3", "patch": "node.n3", "with": {"metadata": {"finalizers": null}}});
    // Not there if the preparation failed: the namespace says more.
    let _ = ask(kubectl, namespace, &free, false)?;
    let binding = ["delete", "validatingadmissionpolicybinding", namespace, "--ignore-not-found"];
    must(kubectl, &binding, None)?;
    must(kubectl, &["delete", "namespace", namespace, "--ignore-not-found"], None).map(|_| ())
}
