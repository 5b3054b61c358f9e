//! What a user of Kubernetes does with an object of any kind, done with ours.

use std::io;

use super::{Kubectl, PROJECT, must};

/// Every sample applies, as it is and a second time, and shows no difference afterwards.
///
/// # Errors
/// When kubectl cannot be run, or cannot remove the samples again.
pub fn samples(kubectl: Kubectl<'_>, namespace: &str) -> io::Result<Vec<String>> {
    let folder = format!("{PROJECT}/manifests/samples");
    let mut failures = Vec::new();
    for (words, says) in [(&["apply"][..], "created"), (&["apply"], "unchanged"), (&["diff"], "")] {
        let reply = kubectl(&[words, &["-n", namespace, "-f", &folder]].concat(), None)?;
        let lines: Vec<&str> = reply.stdout.lines().collect();
        if !reply.success || !lines.iter().all(|line| line.ends_with(says)) {
            failures
                .push(format!("kubectl {words:?} of the samples: expected {says:?}, got {}", reply.text()));
        }
    }
    must(kubectl, &["delete", "-n", namespace, "-f", &folder], None)?;
    Ok(failures)
}

/// `explain`, `apply --server-side`, `get` by short names with their columns.
///
/// # Errors
/// When kubectl cannot be run, or cannot remove what was made.
pub fn experience(kubectl: Kubectl<'_>) -> io::Result<Vec<String>> {
    let vip = r#"{"apiVersion": "virtualip.dev/v1alpha1", "kind": "VirtualIP",
        "metadata": {"name": "experience", "namespace": "default"},
        "spec": {"addresses": ["192.0.2.10", "2001:db8::10"]}}"#;
    let asked: [(&[&str], Option<&str>, &[&str]); 8] = [
        (&["explain", "virtualip.spec"], None, &["The addresses, IPv4 or IPv6"]),
        (&["explain", "vip.spec.placement.nodeSelector"], None, &["Labels that a node must have"]),
        (&["explain", "vip.status.conditions"], None, &["Ready, Reconciling and Stalled"]),
        (&["explain", "vipnode.spec.standby"], None, &["True empties the node"]),
        (&["apply", "--server-side", "-f", "-"], Some(vip), &["serverside-applied"]),
        (
            &["get", "vip", "experience", "-n", "default"],
            None,
            &["ADDRESS", "NODE", "INTERFACE", "READY", "AGE", "192.0.2.10"],
        ),
        (
            &["get", "vip", "experience", "-n", "default", "-o", "wide"],
            None,
            &["REASON", "SINCE", "MOVES", r#"["192.0.2.10","2001:db8::10"]"#],
        ),
        (&["api-resources", "--api-group=virtualip.dev"], None, &["vip ", "vipnode "]),
    ];
    let mut failures = Vec::new();
    for (words, input, says) in asked {
        let reply = kubectl(words, input)?;
        if !reply.success || !says.iter().all(|says| reply.stdout.contains(says)) {
            failures.push(format!("kubectl {}: expected {says:?}, got {}", words.join(" "), reply.text()));
        }
    }
    must(kubectl, &["delete", "vip", "experience", "-n", "default"], None)?;
    Ok(failures)
}
