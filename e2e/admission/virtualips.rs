//! Manifests of `VirtualIP` objects.

use std::io;

use serde_json::{Value, json};

use super::{Kubectl, judge, list, parse};

/// Gives every manifest of `virtualips.yaml` to kubectl, without storing any.
///
/// # Errors
/// When kubectl cannot be run.
pub fn virtualips(kubectl: Kubectl<'_>) -> io::Result<Vec<String>> {
    let cases = parse(include_str!("virtualips.yaml"))?;
    let mut failures = Vec::new();
    for case in list(&cases["rules"]).iter().chain(list(&cases["schema"])) {
        let manifest = manifest(case).to_string();
        let reply = kubectl(&["apply", "--dry-run=server", "-f", "-"], Some(&manifest))?;
        failures.extend(judge(&case["what"], &case["says"], &reply));
    }
    Ok(failures)
}

fn manifest(case: &Value) -> Value {
    let mut manifest = json!({
        "apiVersion": "virtualip.dev/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": case["name"].as_str().unwrap_or("admission"), "namespace": "default"},
    });
    if let Some(spec) = case.get("spec") {
        manifest["spec"] = spec.clone();
    }
    manifest
}
