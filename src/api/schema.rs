//! Schemas of the fields that carry rules, and how a rule is written down.
//!
//! Every rule has a message that says what to write instead. The API server bounds what a rule may cost by the
//! declared lengths, and knows no bound for `string(..)` and `join`: messages quote `self` only.

use kube::core::{Message, Rule, validate};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// Longest text whose rules are looked at; longer texts are refused by length alone.
pub const MAX_TEXT: usize = 64;

/// Most entries of `spec.interfaces`.
const MAX_INTERFACES: usize = 16;

/// A rule whose message is a sentence.
pub fn rule(rule: &str, message: &str) -> Rule {
    Rule::new(rule).message(message)
}

/// A rule whose message is a CEL expression, so that it can quote what was written.
pub fn quoting_rule(rule: &str, message: &str) -> Rule {
    Rule::new(rule).message(Message::Expression(message.to_owned()))
}

/// Adds rules to a schema.
pub fn with_rules(mut schema: Schema, rules: impl IntoIterator<Item = Rule>) -> Schema {
    for rule in rules {
        let added = validate(&mut schema, rule);
        debug_assert!(added.is_ok(), "a rule is made of strings, which are JSON");
    }
    schema
}

/// An interface name as the kernel takes it (`dev_valid_name` in `net/core/dev.c`: 15 bytes, no slash, no colon, no
/// space), without what cannot carry an address for others.
pub fn interface(_: &mut SchemaGenerator) -> Schema {
    named(json_schema!({"type": "string", "nullable": true, "maxLength": MAX_TEXT}))
}

/// The same in an entry of `spec.interfaces`, where it must be there.
pub fn interface_name(_: &mut SchemaGenerator) -> Schema {
    named(json_schema!({"type": "string", "maxLength": MAX_TEXT}))
}

fn named(schema: Schema) -> Schema {
    let rules = [
        rule(
            "self.size() > 0",
            "name an interface, or leave spec.interface out: then each node finds its own",
        ),
        quoting_rule(
            "self.size() <= 15",
            "'write the name as `ip link` prints it, at most 15 characters, instead of ' + self",
        ),
        quoting_rule(
            "!self.contains(':')",
            "'write the base interface without an alias: ' + self.split(':')[0] + ' instead of ' + self",
        ),
        quoting_rule(
            r"!self.matches('[/\\s]') && self != '.' && self != '..'",
            "'write one name as `ip link` prints it, such as eth0, instead of \"' + self + '\"'",
        ),
        rule("self != 'lo'", "name an interface that is connected to a network: nobody hears what is on lo"),
    ];
    with_rules(schema, rules)
}

/// Interfaces by node.
pub fn interfaces(generator: &mut SchemaGenerator) -> Schema {
    let item = super::InterfaceChoice::json_schema(generator);
    let schema = json_schema!({
        "type": "array",
        "maxItems": MAX_INTERFACES,
        "x-kubernetes-list-type": "atomic",
        "items": item,
    });
    let some = rule(
        "self.size() > 0",
        "write at least one interface, or leave spec.interfaces out: then each node finds its own",
    );
    with_rules(schema, [some])
}

/// A moment that may not have come yet.
pub fn moment(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time", "nullable": true})
}

/// Conditions, as `metav1.Condition` has them.
pub fn conditions(_: &mut SchemaGenerator) -> Schema {
    let text = |description| json_schema!({"type": "string", "description": description});
    json_schema!({
        "type": "array",
        "items": {
            "type": "object",
            "description": "What is true of the object, or is not.",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "lastTransitionTime": {
                    "type": "string",
                    "format": "date-time",
                    "description": "When status last changed.",
                },
                "message": text("A sentence for people; it may be empty."),
                "observedGeneration": {
                    "type": "integer",
                    "format": "int64",
                    "description": "The generation of the object that this was found out about; an older one than \
                        metadata.generation says nothing of the newest spec.",
                },
                "reason": text("Why, as one word in CamelCase that programs can rely on."),
                "status": text("True, False or Unknown."),
                "type": text("What this is about, as one word in CamelCase."),
            },
        },
    })
}

/// Labels of nodes, with the syntax that the API server wants of labels, so that a selector which no node can ever
/// match is refused.
pub fn node_selector(_: &mut SchemaGenerator) -> Schema {
    let schema = json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {"type": "string", "maxLength": MAX_TEXT},
        "x-kubernetes-map-type": "atomic",
    });
    let key = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";
    let value = r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$";
    let rules = [
        rule(
            &format!("self.all(key, key.matches('{key}'))"),
            "write label keys of nodes, such as kubernetes.io/hostname or example.org/rack",
        ),
        rule(
            &format!("self.all(key, self[key].matches('{value}'))"),
            "write label values as nodes have them: at most 63 letters, digits, dashes, underscores and dots",
        ),
    ];
    with_rules(schema, rules)
}
