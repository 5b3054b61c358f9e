//! Schemas of `spec.interface` and `spec.placement.nodeSelector`, with their rules.

use kube::core::{Message, Rule, validate};
use schemars::{Schema, SchemaGenerator, json_schema};

/// An interface name as the kernel takes it (`dev_valid_name` in `net/core/dev.c`: 15 bytes, no slash, no colon, no
/// space), without what cannot carry an address for others.
pub fn interface(_: &mut SchemaGenerator) -> Schema {
    let mut schema = json_schema!({"type": "string", "nullable": true, "maxLength": 64});
    let rules = [
        (
            "self.size() > 0",
            "'leave spec.interface out to let each node find its interface; an empty name means none'",
        ),
        (
            "self.size() <= 15",
            "'write the name as `ip link` prints it, at most 15 characters; ' + self + ' has ' + string(self.size())",
        ),
        (
            "!self.contains(':')",
            "'write the base interface without an alias: ' + self.split(':')[0] + ' instead of ' + self",
        ),
        (
            "!self.matches('[/\\\\s]') && self != '.' && self != '..'",
            "'write one name as `ip link` prints it, such as eth0: no interface is called \"' + self + '\"'",
        ),
        ("self != 'lo'", "'name an interface that is connected to the network: nobody hears what is on lo'"),
    ];
    add_rules(&mut schema, &rules);
    schema
}

/// Labels of nodes, with the syntax that the API server wants of labels, so that a selector which no node can ever
/// match is refused.
pub fn node_selector(_: &mut SchemaGenerator) -> Schema {
    let mut schema = json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {"type": "string", "maxLength": 63},
        "x-kubernetes-map-type": "atomic",
    });
    let rules = [
        (
            "self.all(k, k.matches('^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",
            "'write label keys of nodes, such as kubernetes.io/hostname or example.org/rack: these are none: ' + \
             self.filter(k, !k.matches('^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$')).join(', ')",
        ),
        (
            "self.all(k, self[k].matches('^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$'))",
            "'write label values of at most 63 letters, digits, - _ and . (in quotes: \"true\", \"1\"): look at ' + \
             self.filter(k, !self[k].matches('^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$')).join(', ')",
        ),
    ];
    add_rules(&mut schema, &rules);
    schema
}

/// Adds rules, each with the CEL expression of its message.
pub fn add_rules(schema: &mut Schema, rules: &[(&str, &str)]) {
    for (rule, message) in rules {
        let rule = Rule::new(*rule).message(Message::Expression((*message).to_owned()));
        // A rule of strings is JSON: this cannot fail.
        let added = validate(schema, rule);
        debug_assert!(added.is_ok());
    }
}
