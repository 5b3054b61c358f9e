//! Schema of `spec.addresses`, with the rules that the API server applies.
//!
//! Rules are evaluated independently of each other, so each one that needs a readable address lets unreadable
//! ones pass: the first rule has spoken of them.

use kube::core::Rule;
use schemars::{Schema, SchemaGenerator, json_schema};

use super::schema::{MAX_TEXT, quoting_rule, rule, with_rules};

/// Most addresses of one `VirtualIP`.
const MAX_ADDRESSES: usize = 16;

/// 1 to 16 addresses, none of them twice.
pub fn addresses(_: &mut SchemaGenerator) -> Schema {
    let schema = json_schema!({
        "type": "array",
        "maxItems": MAX_ADDRESSES,
        "x-kubernetes-list-type": "atomic",
        "items": address(),
    });
    let rules = [
        rule("self.size() > 0", "write at least one address, such as 192.0.2.10 or 2001:db8::10"),
        rule(
            "self.all(a, self.exists_one(b, b.lowerAscii().split('/')[0] == a.lowerAscii().split('/')[0]))",
            "write each address once, with or without a prefix length",
        ),
    ];
    with_rules(schema, rules)
}

/// One address.
fn address() -> Schema {
    let schema = json_schema!({"type": "string", "maxLength": MAX_TEXT});
    let readable = quoting_rule(
        "isIP(self) || isCIDR(self)",
        "'write an IPv4 or IPv6 address, with a prefix length if wanted, such as 192.0.2.10, 192.0.2.10/24 or \
         2001:db8::10 (decimal without leading zeros, no zone, no IPv4-mapped form), instead of \"' + self + '\"'",
    );
    with_rules(schema, [readable].into_iter().chain(of_any_address()).chain(of_an_address_with_prefix()))
}

/// What holds for an address whatever its prefix; `$ip` stands for it in the rules.
fn of_any_address() -> impl Iterator<Item = Rule> {
    let rules = [
        (
            "ip.isCanonical(self.split('/')[0])",
            "'write the canonical form (lower case, the longest run of zeros as ::) instead of ' + self",
        ),
        (
            "!$ip.isLoopback()",
            "'write an address that other hosts can reach: ' + self + ' is a loopback address'",
        ),
        (
            "!$ip.isUnspecified() && !cidr('0.0.0.0/8').containsIP($ip)",
            "'write the address that clients use: ' + self + ' is unspecified (0.0.0.0/8 and ::)'",
        ),
        (
            "!cidr('224.0.0.0/4').containsIP($ip) && !cidr('ff00::/8').containsIP($ip)",
            "'write a unicast address: ' + self + ' is multicast, which belongs to no single host'",
        ),
        (
            "string($ip) != '255.255.255.255'",
            "'write a unicast address: ' + self + ' is the broadcast address'",
        ),
    ];
    rules.into_iter().map(|(rule, message)| {
        let rule = rule.replace("$ip", "ip(self.split('/')[0])");
        quoting_rule(&format!("!(isIP(self) || isCIDR(self)) || ({rule})"), message)
    })
}

/// What holds for an address within its network.
fn of_an_address_with_prefix() -> impl Iterator<Item = Rule> {
    let rules = [
        (
            "cidr(self).prefixLength() >= 1".to_owned(),
            "'write a prefix length from 1 to ' + (self.contains(':') ? '128' : '32') + \
             ', or none for a host address, instead of ' + self",
        ),
        (
            // RFC 3021 and RFC 6164: a network of two addresses has neither network nor anycast address.
            "cidr(self).prefixLength() >= (self.contains(':') ? 127 : 31) || string(cidr(self).masked()) != self"
                .to_owned(),
            "'write the address of a host: ' + self + \
             ' is the network itself (for a host address leave the prefix length out)'",
        ),
        (
            format!(
                "self.contains(':') || !(cidr(self).prefixLength() in [{}]) || ({} + 1) % {} != 0",
                list(1..=30),
                ipv4_number(),
                ipv4_network_size()
            ),
            "'write the address of a host: ' + self + \
             ' is the broadcast address of its network (for a host address leave the prefix length out)'",
        ),
    ];
    rules.into_iter().map(|(rule, message)| quoting_rule(&format!("!isCIDR(self) || ({rule})"), message))
}

/// CEL for the IPv4 address as a number.
fn ipv4_number() -> String {
    let octet = |at: usize| format!("int(self.split('/')[0].split('.')[{at}])");
    format!("({} * 16777216 + {} * 65536 + {} * 256 + {})", octet(0), octet(1), octet(2), octet(3))
}

/// CEL for the number of addresses in the IPv4 network: a table, since CEL has neither power nor shift.
fn ipv4_network_size() -> String {
    format!("[{}][32 - cidr(self).prefixLength()]", list((0..32).map(|bits| 1_u64 << bits)))
}

fn list<T: ToString>(items: impl Iterator<Item = T>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
