//! Schema of `spec.addresses`, with the rules that the API server applies.
//!
//! Each message says what to write instead. Rules are evaluated independently of each other, so each one
//! that needs a readable address lets unreadable ones pass: the first rule has spoken of them.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::placement_schema::add_rules;

/// The address without its prefix length.
const IP: &str = "ip(self.split('/')[0])";
/// Passes what is no address; the rules start with it.
const UNREADABLE: &str = "!isIP(self) && !isCIDR(self)";

/// 1 to 16 addresses, none of them twice.
pub fn addresses(_: &mut SchemaGenerator) -> Schema {
    let mut schema = json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "atomic",
        "items": address(),
    });
    add_rules(
        &mut schema,
        &[
            ("self.size() > 0", "'write at least one address, such as 192.0.2.10 or 2001:db8::10'"),
            (
                "self.all(a, self.exists_one(b, b.lowerAscii().split('/')[0] == a.lowerAscii().split('/')[0]))",
                "'write each address once: ' + self.filter(a, !self.exists_one(b, \
                 b.lowerAscii().split('/')[0] == a.lowerAscii().split('/')[0])).join(' and ') + ' are the same'",
            ),
        ],
    );
    schema
}

/// One address.
fn address() -> Schema {
    let mut schema = json_schema!({"type": "string", "maxLength": 64});
    let mut rules = vec![(
        "isIP(self) || isCIDR(self)".to_owned(),
        "'write an IPv4 or IPv6 address, with a prefix length if wanted, such as 192.0.2.10, 192.0.2.10/24 or \
         2001:db8::10 (decimal without leading zeros, no zone, no IPv4-mapped form), instead of \"' + self + '\"'"
            .to_owned(),
    )];
    rules.push(readable(
        "ip.isCanonical(self.split('/')[0])",
        "'write the canonical form: ' + string(ip(self.split('/')[0])) + ' instead of ' + self.split('/')[0]",
    ));
    rules.extend(usable().iter().map(|(rule, message)| readable(&rule.replace("$ip", IP), message)));
    rules.extend(prefixed().map(|(rule, message)| (format!("!isCIDR(self) || {rule}"), message)));
    let rules: Vec<_> = rules.iter().map(|(rule, message)| (rule.as_str(), message.as_str())).collect();
    add_rules(&mut schema, &rules);
    schema
}

fn readable(rule: &str, message: &str) -> (String, String) {
    (format!("{UNREADABLE} || {rule}"), message.to_owned())
}

/// What an address must not be, whatever its prefix; `$ip` stands for [`IP`].
fn usable() -> [(&'static str, &'static str); 4] {
    [
        (
            "!$ip.isLoopback()",
            "'write an address of a network: ' + self + ' is a loopback address, which never leaves a host'",
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
    ]
}

/// What an address with a prefix length must not be within its network.
fn prefixed() -> [(String, String); 3] {
    // Sizes of the IPv4 networks from /32 down to /1, since CEL has no power or shift.
    let sizes: Vec<String> = (0..32).map(|bits| (1_u64 << bits).to_string()).collect();
    let octet = |at: usize| format!("int(self.split('/')[0].split('.')[{at}])");
    let number = format!("((({} * 256) + {}) * 256 + {}) * 256 + {}", octet(0), octet(1), octet(2), octet(3));
    [
        (
            "cidr(self).prefixLength() >= 1".to_owned(),
            "'write a prefix length from 1 to ' + (self.contains(':') ? '128' : '32') + ', or none for a host address'"
                .to_owned(),
        ),
        (
            "(self.contains(':') ? cidr(self).prefixLength() >= 127 : cidr(self).prefixLength() >= 31) || \
             cidr(self).ip() != cidr(self).masked().ip()"
                .to_owned(),
            "'write the address of a host: ' + self + ' is the network itself (for a host address leave the prefix \
             length out)'"
                .to_owned(),
        ),
        (
            format!(
                "self.contains(':') || cidr(self).prefixLength() >= 31 || cidr(self).prefixLength() < 1 || \
                 ({number} + 1) % [{}][32 - cidr(self).prefixLength()] != 0",
                sizes.join(", ")
            ),
            "'write the address of a host: ' + self + ' is the broadcast address of its network (for a host address \
             leave the prefix length out)'"
                .to_owned(),
        ),
    ]
}
