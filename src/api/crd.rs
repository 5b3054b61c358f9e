//! The custom resource definitions, as objects and as the text in `crds/`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use super::{VirtualIP, VirtualIPNode};

/// First lines of each generated file.
const HEADER: &str = "# Generated from src/api by `virtualip crd`; do not edit.\n";

/// All custom resource definitions.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![VirtualIP::crd(), VirtualIPNode::crd()]
}

/// One file per definition: its name in `crds/` and its text.
///
/// # Errors
/// When a schema cannot be written as YAML, which a test excludes.
pub fn crd_files() -> Result<Vec<(String, String)>, serde_yaml::Error> {
    crds()
        .iter()
        .map(|crd| {
            Ok((
                format!("{}.yaml", crd.spec.names.plural),
                format!("{HEADER}{}", serde_yaml::to_string(crd)?),
            ))
        })
        .collect()
}

/// All definitions as one YAML stream, fit for `kubectl apply -f -`.
///
/// # Errors
/// When a schema cannot be written as YAML, which a test excludes.
pub fn crds_yaml() -> Result<String, serde_yaml::Error> {
    let texts: Vec<String> = crd_files()?.into_iter().map(|(_, text)| text).collect();
    Ok(texts.join("---\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_files_in_crds_are_what_the_types_say() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
        for (name, text) in crd_files().unwrap() {
            let there = std::fs::read_to_string(folder.join(&name)).unwrap_or_default();
            assert!(there == text, "crds/{name} is out of date: run `cargo run -- crd --directory crds`");
        }
    }
}
