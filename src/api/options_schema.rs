//! Schemas of the fields of `spec.addressOptions` and `spec.announcement`.

use kube::core::Rule;
use schemars::{Schema, SchemaGenerator, json_schema};

use super::schema::{MAX_TEXT, quoting_rule, rule, with_rules};

/// Most hosts that are told one by one.
const MAX_TARGETS: usize = 8;

/// A word or an IPv4 address.
pub fn broadcast(_: &mut SchemaGenerator) -> Schema {
    let schema = json_schema!({"type": "string", "maxLength": MAX_TEXT, "default": "Auto"});
    let readable = quoting_rule(
        "self in ['Auto', 'None', 'HostBitsOne', 'HostBitsZero'] || (isIP(self) && !self.contains(':'))",
        "'write Auto, None, HostBitsOne, HostBitsZero or an IPv4 address instead of \"' + self + '\"'",
    );
    with_rules(schema, [readable])
}

/// What comes after the colon: at most 13 characters, since an interface's name has at least one.
pub fn label(_: &mut SchemaGenerator) -> Schema {
    let schema = json_schema!({"type": "string", "nullable": true, "maxLength": MAX_TEXT});
    let rules = [
        rule("self.size() > 0", "write a label such as web, or leave addressOptions.label out"),
        quoting_rule(
            "!self.contains(':')",
            "'write only what comes after the colon: ' + self.split(':')[self.split(':').size() - 1] + ' instead of ' + self",
        ),
        quoting_rule(
            "self.contains(':') || self.size() <= 13",
            "'write a label of at most 13 characters, since with interface and colon it has 15, instead of ' + self",
        ),
        quoting_rule(
            "self.contains(':') || self.size() == 0 || self.matches('^[A-Za-z0-9_.-]+$')",
            "'write a label of letters, digits, dashes, underscores and dots instead of \"' + self + '\"'",
        ),
    ];
    with_rules(schema, rules)
}

/// How often.
pub fn count(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer", "format": "int32", "minimum": 1, "maximum": 20, "default": 5})
}

/// In milliseconds.
pub fn interval(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer", "format": "int32", "minimum": 100, "maximum": 60_000, "default": 1100})
}

/// In seconds.
pub fn refresh(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer", "format": "int32", "minimum": 0, "maximum": 3600, "default": 60})
}

/// Addresses of single hosts.
pub fn targets(_: &mut SchemaGenerator) -> Schema {
    let readable = quoting_rule(
        "isIP(self)",
        "'write the address of a host on the same network, such as 192.0.2.1, instead of \"' + self + '\"'",
    );
    let host = quoting_rule(
        "!isIP(self) || !(cidr('224.0.0.0/4').containsIP(ip(self)) || cidr('ff00::/8').containsIP(ip(self)) || \
         ip(self).isUnspecified() || self == '255.255.255.255')",
        "'write the address of one host instead of ' + self + ': announcements go to all others in any case'",
    );
    let item = with_rules(json_schema!({"type": "string", "maxLength": MAX_TEXT}), [readable, host]);
    json_schema!({
        "type": "array",
        "maxItems": MAX_TARGETS,
        "x-kubernetes-list-type": "atomic",
        "items": item,
    })
}

/// What users of IPaddr2's clone mode would write, and what is said to them.
pub const CLONE_FIELDS: [(&str, &str); 3] =
    [("clone", "boolean"), ("mac", "string"), ("clusterIPHash", "string")];

/// Of each of them, in `kubectl explain`.
pub const CLONE_DESCRIPTION: &str = "Refused: an address that several nodes share, as IPaddr2's clone mode has it, \
     has no single owner. Make several VirtualIPs, or a Service behind one.";

/// One address has one owner.
pub fn no_clones() -> Rule {
    Rule::new("!has(self.clone) && !has(self.mac) && !has(self.clusterIPHash)").message(
        "an address is never on several nodes at once, with a hardware address of its own or a hash over clients: leave \
         clone, mac and clusterIPHash out; to share load make several VirtualIPs under one DNS name, or a Service whose \
         Pods answer behind one VirtualIP",
    )
}
