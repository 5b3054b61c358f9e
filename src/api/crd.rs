//! The custom resource definitions, as objects and as the text in `crds/`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;

use super::{VirtualIP, VirtualIPNode, options_schema};

/// First lines of each generated file.
const HEADER: &str = "# Generated from src/api by `virtualip crd`; do not edit.\n";

/// All custom resource definitions.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut crds = vec![VirtualIP::crd(), VirtualIPNode::crd()];
    let first = crds[0].spec.versions.iter_mut().filter_map(|version| version.schema.as_mut());
    first.filter_map(|schema| schema.open_api_v3_schema.as_mut()).for_each(refuse_clones);
    let versions = crds.iter_mut().flat_map(|crd| &mut crd.spec.versions);
    for schema in versions.filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut()) {
        join_lines(schema);
    }
    crds
}

/// Fields that are there only to be refused in a sentence: [`options_schema::no_clones`].
fn refuse_clones(schema: &mut JSONSchemaProps) {
    let Some(spec) = schema.properties.as_mut().and_then(|fields| fields.get_mut("spec")) else { return };
    let fields = spec.properties.get_or_insert_default();
    for (name, kind) in options_schema::CLONE_FIELDS {
        let refused = JSONSchemaProps {
            type_: Some(kind.to_owned()),
            description: Some(options_schema::CLONE_DESCRIPTION.to_owned()),
            ..JSONSchemaProps::default()
        };
        fields.insert(name.to_owned(), refused);
    }
}

/// Doc comments are broken into lines for us; `kubectl explain` breaks them for its own reader.
fn join_lines(schema: &mut JSONSchemaProps) {
    if let Some(description) = &mut schema.description {
        *description =
            description.split("\n\n").map(|text| text.replace('\n', " ")).collect::<Vec<_>>().join("\n\n");
    }
    schema.properties.iter_mut().flat_map(|properties| properties.values_mut()).for_each(join_lines);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        join_lines(items);
    }
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
