//! Manifests against the custom resource definitions.

use std::fmt::{self, Display, Formatter};

use kube::core::cel::Validator;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Path, Source, locate,
    structure::{Flaw, flaws},
};
use crate::api::{crd::crds, names::MAX_NAME};

/// Everything that one or more texts say.
#[derive(Debug, Default)]
pub struct Checked {
    /// The objects of ours without a problem.
    pub objects: Vec<Object>,
    /// What is wrong with others.
    pub problems: Vec<Problem>,
    /// How many objects are of other kinds, and were not looked at.
    pub others: usize,
}

/// An object that keeps all rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Where it is written.
    pub file: String,
    /// In which line its value begins, from 1.
    pub line: usize,
    /// Its kind.
    pub kind: String,
    /// All of it.
    pub value: Value,
}

/// Something that the API server would refuse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// In which file.
    pub file: String,
    /// In which line, from 1.
    pub line: usize,
    /// Kind and name of the object, as far as they are known.
    pub object: String,
    /// Which field; empty for the whole object.
    pub field: String,
    /// What to write instead.
    pub message: String,
}

/// As compilers have it: file, line, and what is the matter.
impl Display for Problem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        for subject in [&self.object, &self.field].into_iter().filter(|subject| !subject.is_empty()) {
            write!(f, "{subject}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Reads a text, and holds every object of ours in it to the rules.
#[must_use]
pub fn check(source: &Source) -> Checked {
    let mut checked = Checked::default();
    for (nth, document) in serde_yaml::Deserializer::from_str(&source.text).enumerate() {
        let read = serde_yaml::Value::deserialize(document).and_then(serde_yaml::from_value);
        match read {
            Ok(Value::Null) => {}
            Ok(value) => whole(source, nth, &Path::default(), value, &mut checked),
            Err(error) => {
                // The reader blames the whole mapping for a key that is there twice.
                let (told, mut message) = (error.location().map(|place| place.line()), error.to_string());
                let again = locate::twice(&source.text, nth);
                if let (Some(_), Some(end)) = (again, message.rfind(" at line ")) {
                    message.truncate(end);
                }
                let (file, line) = (source.name.clone(), again.or(told).unwrap_or(1));
                checked.problems.push(Problem {
                    file,
                    line,
                    object: String::new(),
                    field: String::new(),
                    message,
                });
                // What follows broken YAML is anybody's guess.
                break;
            }
        }
    }
    checked
}

/// One object, or all objects of a list.
fn whole(source: &Source, nth: usize, at: &Path, mut value: Value, checked: &mut Checked) {
    let (version, kind) = (text(&value, "apiVersion"), text(&value, "kind"));
    if kind.ends_with("List")
        && let Value::Array(items) = value["items"].take()
    {
        for (index, item) in items.into_iter().enumerate() {
            whole(source, nth, &at.key("items").index(index), item, checked);
        }
        return;
    }
    let group = version.split('/').next().unwrap_or_default();
    if !crds().iter().any(|crd| crd.spec.group == group) {
        checked.others += 1;
        return;
    }
    let line = |path: &Path| locate::line(&source.text, nth, &at.join(path));
    let found = match schema(&version, &kind) {
        Some(schema) => against(&schema, &value),
        None => vec![(Path::parse("kind"), unknown(&version, &kind))],
    };
    let name = value["metadata"]["name"].as_str().unwrap_or_default();
    let object = format!("{kind} {name}").trim().to_owned();
    checked.problems.extend(found.iter().map(|(path, message)| Problem {
        file: source.name.clone(),
        line: line(path),
        object: object.clone(),
        field: path.to_string(),
        message: message.clone(),
    }));
    if found.is_empty() {
        checked.objects.push(Object { file: source.name.clone(), line: line(&Path::default()), kind, value });
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

/// The schema of a kind, if there is one.
fn schema(version: &str, kind: &str) -> Option<Value> {
    let crd = crds().into_iter().find(|crd| {
        let versions = crd.spec.versions.iter().filter(|version| version.served);
        let mut names = versions.map(|version| format!("{}/{}", crd.spec.group, version.name));
        crd.spec.names.kind == kind && names.any(|name| name == version)
    })?;
    let (_, name) = version.split_once('/')?;
    let version = crd.spec.versions.into_iter().find(|version| version.name == name)?;
    serde_json::to_value(version.schema?.open_api_v3_schema?).ok()
}

fn unknown(version: &str, kind: &str) -> String {
    let known: Vec<String> = crds()
        .iter()
        .flat_map(|crd| {
            let versions = crd.spec.versions.iter();
            versions
                .map(move |version| format!("{} {}/{}", crd.spec.names.kind, crd.spec.group, version.name))
        })
        .collect();
    format!("there is no {kind} {version}; there are {}", known.join(", "))
}

/// What the API server does: first the structure; the rules only for what is well formed.
fn against(schema: &Value, value: &Value) -> Vec<Flaw> {
    let mut schema = schema.clone();
    // They are there in every object, whatever the schema says.
    for (name, of) in [("apiVersion", "string"), ("kind", "string"), ("metadata", "object")] {
        schema["properties"][name] = serde_json::json!({"type": of});
    }
    let mut found = flaws(&schema, value, &Path::default());
    found.extend(name(&value["metadata"]));
    if found.is_empty()
        && let Err(errors) = Validator::new().validate(&schema, value, None)
    {
        found.extend(
            errors.into_vec().into_iter().map(|error| (Path::parse(&error.field_path), error.message)),
        );
    }
    found
}

/// Names are DNS subdomains (RFC 1123).
fn name(metadata: &Value) -> Option<Flaw> {
    let path = Path::parse("metadata.name");
    let Some(name) = metadata["name"].as_str() else {
        let generated = metadata["generateName"].is_string();
        return (!generated).then(|| (path, "it is required".to_owned()));
    };
    let label = |label: &str| {
        let inner = label.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
        inner && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    let fine = name.len() <= MAX_NAME && name.split('.').all(label);
    let message =
        "write lower case letters, digits, dashes and dots, with a letter or digit at both ends of each part";
    (!fine).then(|| (path, format!("{message}, instead of {name:?}")))
}

#[cfg(test)]
#[path = "check_test.rs"]
mod tests;
