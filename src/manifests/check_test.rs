//! What is refused, where, and with which words.

use super::*;

fn problems(text: &str) -> Vec<String> {
    let source = Source { name: "web.yaml".to_owned(), text: text.to_owned() };
    let problems = check(&source).problems.into_iter();
    problems.map(|p| format!("{}:{}: {}: {}", p.file, p.line, p.field, p.message)).collect()
}

#[test]
fn a_good_manifest_is_an_object() {
    let text = "\
apiVersion: v1
kind: Service
metadata: {name: web}
---
# A comment
apiVersion: virtualip.dev/v1alpha1
kind: VirtualIP
metadata: {name: web, namespace: shop, labels: {a: b}}
spec:
  addresses: [192.0.2.10, \"2001:db8::10/64\"]
  placement: {nodeSelector: {zone: a}}
";
    let checked = check(&Source { name: "-".to_owned(), text: text.to_owned() });
    assert_eq!(checked.problems, []);
    assert_eq!((checked.objects.len(), checked.others), (1, 1));
    assert_eq!((checked.objects[0].line, checked.objects[0].kind.as_str()), (6, "VirtualIP"));
}

#[test]
fn each_problem_has_its_line_and_says_what_to_write() {
    let text = "\
apiVersion: virtualip.dev/v1alpha1
kind: VirtualIP
metadata:
  name: web
spec:
  addresses:
  - 192.0.2.10
  - 192.0.2.0/24
  interface: eth0:1
";
    let said = problems(text);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("web.yaml:8: spec.addresses[1]: write the address of a host"), "{}", said[0]);
    assert!(said[1].starts_with("web.yaml:9: spec.interface: write the base interface"), "{}", said[1]);
}

#[test]
fn the_structure_comes_first() {
    let text = "\
apiVersion: virtualip.dev/v1alpha1
kind: VirtualIP
metadata: {name: Web}
spec:
  adresses: [192.0.2.10]
  interface: 7
";
    assert_eq!(
        problems(text),
        [
            "web.yaml:5: spec.addresses: it is required",
            "web.yaml:5: spec.adresses: there is no such field; there are addressOptions, addresses, announcement, \
             conflictDetection, interface, interfaces, onRelease, placement, whenNotOwner",
            "web.yaml:6: spec.interface: write a string here instead of 7",
            "web.yaml:3: metadata.name: write lower case letters, digits, dashes and dots, with a letter or digit at \
             both ends of each part, instead of \"Web\"",
        ]
    );
}

#[test]
fn broken_yaml_and_unknown_kinds_are_problems() {
    assert!(problems("kind: [")[0].starts_with("web.yaml:"), "{:?}", problems("kind: ["));
    assert!(problems("a: 1\na: 2")[0].contains("duplicate entry"));
    let said = problems("apiVersion: virtualip.dev/v1\nkind: VirtualIP\nmetadata: {name: a}\n");
    assert!(said[0].contains("there are VirtualIP virtualip.dev/v1alpha1"), "{said:?}");
}

#[test]
fn lists_are_looked_into() {
    let text = "\
apiVersion: v1
kind: List
items:
- apiVersion: virtualip.dev/v1alpha1
  kind: VirtualIP
  metadata: {name: web}
  spec:
    addresses: []
";
    assert_eq!(
        problems(text),
        ["web.yaml:8: spec.addresses: write at least one address, such as 192.0.2.10 or 2001:db8::10"]
    );
}

/// The same manifests are given to a real API server elsewhere.
#[test]
fn all_cases_of_the_api_server_come_out_the_same() {
    let cases: Value = serde_yaml::from_str(include_str!("../../e2e/admission/virtualips.yaml")).unwrap();
    for case in cases["rules"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap_or("web");
        let object = serde_json::json!({
            "apiVersion": "virtualip.dev/v1alpha1", "kind": "VirtualIP", "metadata": {"name": name}, "spec": case["spec"],
        });
        let said = problems(&object.to_string()).join("\n");
        match case["says"].as_str() {
            None => assert_eq!(said, "", "{}", case["what"]),
            Some(says) => assert!(said.contains(says), "{}: {says}: {said}", case["what"]),
        }
    }
}

#[test]
fn a_key_that_is_there_twice_is_told_where_it_is_there_again() {
    let text = "\
apiVersion: virtualip.dev/v1alpha1
kind: VirtualIP
metadata: {name: web, labels: {number: 7, yes: true, none: }}
spec:
  addresses: [192.0.2.10]
  interface: eth0
  addresses: [192.0.2.11]
";
    assert_eq!(problems(text), ["web.yaml:7: : spec: duplicate entry with key \"addresses\""]);
}
