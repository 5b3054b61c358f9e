//! The CEL rules of the schema, evaluated without a cluster on the manifests that the end-to-end test gives to kubectl.

use kube::core::cel::Validator;
use serde_json::{Value, json};

use super::crds;

const MANIFESTS: &str = include_str!("../../e2e/admission/virtualips.yaml");

#[test]
fn each_rule_refuses_what_it_should_and_says_what_to_write_instead() {
    let schema = schema();
    let cases: Value = serde_yaml::from_str(MANIFESTS).unwrap();
    for case in cases["rules"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap_or("web");
        let object = json!({"metadata": {"name": name}, "spec": case["spec"]});
        let said = match Validator::new().validate(&schema, &object, None) {
            Ok(()) => Vec::new(),
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        };
        match case["says"].as_str() {
            None => assert!(said.is_empty(), "{}: {said:?}", case["what"]),
            Some(says) => {
                assert!(said.iter().any(|s| s.contains(says)), "{}: {says}: {said:?}", case["what"]);
            }
        }
    }
}

fn schema() -> Value {
    let crd = serde_json::to_value(&crds()[0]).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}
