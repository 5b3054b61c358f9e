//! The structural part of a schema: what is there, of which type, how long.

use serde_json::Value;

use super::Path;

/// What is wrong with a field.
pub(super) type Flaw = (Path, String);

/// Everything in `value`, which is at `path`, that `schema` does not allow. A field that the schema does not know is
/// refused, as `kubectl` does; the API server itself would drop it.
pub(super) fn flaws(schema: &Value, value: &Value, path: &Path) -> Vec<Flaw> {
    if value.is_null() && schema["nullable"] == true {
        return Vec::new();
    }
    if let Some(wanted) = schema["type"].as_str()
        && !is_of_type(value, wanted)
    {
        return vec![(path.clone(), format!("write {} here instead of {}", article(wanted), quoted(value)))];
    }
    let mut flaws = limits(schema, value, path);
    match value {
        Value::Object(fields) => {
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !fields.contains_key(name) {
                    flaws.push((path.key(name), "it is required".to_owned()));
                }
            }
            for (name, field) in fields {
                let path = path.key(name);
                match (schema["properties"].get(name), schema.get("additionalProperties")) {
                    (Some(schema), _) | (None, Some(schema)) => {
                        flaws.extend(self::flaws(schema, field, &path));
                    }
                    (None, None) if is_open(schema) => {}
                    (None, None) => flaws.push((path, known(schema))),
                }
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                flaws.extend(self::flaws(&schema["items"], item, &path.index(at)));
            }
        }
        _ => {}
    }
    flaws
}

/// Whether an object may have any fields.
fn is_open(schema: &Value) -> bool {
    schema["x-kubernetes-preserve-unknown-fields"] == true || schema.get("properties").is_none()
}

fn known(schema: &Value) -> String {
    let refused =
        |field: &Value| field["description"].as_str().is_some_and(|text| text.starts_with("Refused"));
    let fields = schema["properties"].as_object().into_iter().flatten();
    let names: Vec<&str> =
        fields.filter(|(_, field)| !refused(field)).map(|(name, _)| name.as_str()).collect();
    format!("there is no such field; there are {}", names.join(", "))
}

fn is_of_type(value: &Value, wanted: &str) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => true,
    }
}

fn article(wanted: &str) -> String {
    let article = if wanted.starts_with(['a', 'i', 'o']) { "an" } else { "a" };
    format!("{article} {wanted}")
}

fn quoted(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Null => "nothing".to_owned(),
        other => other.to_string(),
    }
}

fn limits(schema: &Value, value: &Value, path: &Path) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    let sizes = match value {
        Value::Array(items) => Some((items.len(), "minItems", "maxItems", "items")),
        Value::Object(fields) => Some((fields.len(), "minProperties", "maxProperties", "fields")),
        Value::String(text) => Some((text.chars().count(), "minLength", "maxLength", "characters")),
        _ => None,
    };
    if let Some((size, min, max, what)) = sizes {
        let limit = |name: &str| schema[name].as_u64().and_then(|limit| usize::try_from(limit).ok());
        if let Some(max) = limit(max).filter(|max| size > *max) {
            flaws.push((path.clone(), format!("write at most {max} {what} instead of {size}")));
        }
        if let Some(min) = limit(min).filter(|min| size < *min) {
            flaws.push((path.clone(), format!("write at least {min} {what} instead of {size}")));
        }
    }
    if let Some(number) = value.as_f64() {
        if let Some(max) = schema["maximum"].as_f64().filter(|max| number > *max) {
            flaws.push((path.clone(), format!("write at most {max} instead of {number}")));
        }
        if let Some(min) = schema["minimum"].as_f64().filter(|min| number < *min) {
            flaws.push((path.clone(), format!("write at least {min} instead of {number}")));
        }
    }
    if let Some(choice) = schema["enum"].as_array().filter(|choice| !choice.contains(value)) {
        let choice: Vec<String> = choice.iter().map(quoted).collect();
        flaws
            .push((path.clone(), format!("write one of {} instead of {}", choice.join(", "), quoted(value))));
    }
    flaws
}
