//! Parameters as users of IPaddr2 write them.

use super::*;

fn read(set: &[(&str, &str)]) -> Result<Parameters, String> {
    let get = |name: &str| {
        let name = name.strip_prefix("OCF_RESKEY_").unwrap();
        set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    };
    Parameters::read(get).map_err(|error| error.to_string())
}

fn v4(set: &[(&str, &str)]) -> Result<Parameters, String> {
    read(&[&[("ip", "192.0.2.2")], set].concat())
}

fn v6(set: &[(&str, &str)]) -> Result<Parameters, String> {
    read(&[&[("ip", "2001:db8::2")], set].concat())
}

#[test]
fn the_defaults_are_those_of_ipaddr2_or_safer() {
    let defaults = v4(&[]).unwrap();
    assert_eq!((defaults.netmask, defaults.broadcast, defaults.label), (None, Broadcast::Ones, None));
    assert_eq!((defaults.count, defaults.interval), (5, Duration::from_millis(200)));
    assert!(defaults.background && defaults.prefix_route && defaults.probe && defaults.carrier);
    let defaults = v6(&[]).unwrap();
    assert!(!defaults.background && defaults.probe);
    assert_eq!(defaults.preferred, Some(0));
}

#[test]
fn an_empty_parameter_is_one_left_out() {
    assert_eq!(v4(&[("nic", ""), ("cidr_netmask", ""), ("broadcast", "")]), v4(&[]));
    assert_eq!(read(&[("ip", "")]).unwrap_err(), "parameter ip: it is mandatory: an IPv4 or IPv6 address");
}

#[test]
fn a_netmask_is_a_number_or_dotted() {
    for text in ["24", "255.255.255.0"] {
        assert_eq!(v4(&[("cidr_netmask", text)]).unwrap().netmask, Some(24), "{text}");
    }
    assert_eq!(v4(&[("netmask", "24")]).unwrap().netmask, Some(24));
    assert_eq!(v6(&[("cidr_netmask", "128")]).unwrap().netmask, Some(128));
    for text in ["0", "33", "255.0.255.0", "0.0.0.0", "not_netmask", "-1"] {
        let error = v4(&[("cidr_netmask", text)]).unwrap_err();
        assert!(error.contains("prefix length from 1 to 32"), "{error}");
    }
    assert!(v6(&[("cidr_netmask", "255.255.255.0")]).is_err());
}

#[test]
fn a_broadcast_address_is_written_or_made() {
    let broadcast = |text| v4(&[("broadcast", text)]).map(|parameters| parameters.broadcast);
    assert_eq!(broadcast("+"), Ok(Broadcast::Ones));
    assert_eq!(broadcast("-"), Ok(Broadcast::Zeros));
    assert_eq!(broadcast("192.0.2.255"), Ok(Broadcast::Is("192.0.2.255".parse().unwrap())));
    assert!(broadcast("not_broadcast").unwrap_err().contains("instead of \"not_broadcast\""));
}

#[test]
fn a_label_is_in_iflabel_or_in_nic() {
    let parameters = v4(&[("nic", "eth0:web"), ("iflabel", "other")]).unwrap();
    assert_eq!((parameters.subject.nic.as_deref(), parameters.label.as_deref()), (Some("eth0"), Some("web")));
    assert_eq!(v4(&[("iflabel", "web")]).unwrap().label.as_deref(), Some("web"));
    assert_eq!(v6(&[("iflabel", "web")]).unwrap().label, None);
}

#[test]
fn an_ipv6_address_is_a_source_only_if_somebody_says_so() {
    let preferred = |set: &[_]| v6(set).unwrap().preferred;
    assert_eq!(preferred(&[("lvs_ipv6_addrlabel", "true")]), Some(0));
    assert_eq!(preferred(&[("lvs_ipv6_addrlabel", "false")]), None);
    assert_eq!(preferred(&[("preferred_lft", "forever")]), None);
    assert_eq!(preferred(&[("preferred_lft", "300")]), Some(300));
    assert!(v6(&[("preferred_lft", "long")]).is_err());
}

#[test]
fn clones_are_refused_with_what_to_do_instead() {
    assert!(v4(&[("CRM_meta_clone_max", "2")]).unwrap_err().contains("leave the clone out"));
    assert!(v4(&[("unique_clone_address", "true")]).unwrap_err().contains("one resource for each"));
    assert!(v4(&[("CRM_meta_clone_max", "1")]).is_ok());
}

#[test]
fn lvs_support_is_for_ipv4() {
    assert!(v4(&[("lvs_support", "true")]).is_ok());
    assert!(v6(&[("lvs_support", "true")]).unwrap_err().contains("lvs_ipv6_addrlabel"));
    assert!(v6(&[("lvs_support", "false")]).is_ok());
}

#[test]
fn every_parameter_that_is_read_is_documented() {
    let code = include_str!("parameters.rs");
    let documented: Vec<&str> = documented().collect();
    for name in code.split("source.").skip(1).filter_map(|rest| {
        let (call, rest) = rest.split_once("(\"")?;
        ["text", "switch", "number"].contains(&call).then(|| rest.split('"').next())?
    }) {
        let internal = name.starts_with("CRM_meta") || name == "netmask";
        assert!(internal || documented.contains(&name), "{name} is not in metadata.xml");
    }
}

/// What people, scripts and line noise have put into parameters.
const NONSENSE: &[&str] = &[
    "",
    " ",
    "\n",
    "\t24",
    "-1",
    "0",
    "1",
    "24",
    "33",
    "129",
    "300",
    "4294967295",
    "4294967296",
    "1e9",
    "0x18",
    "٢٤",
    "+",
    "-",
    "/",
    ":",
    "::",
    "%",
    "eth0",
    "eth0:",
    ":web",
    "eth0:a:b",
    "fe80::1%eth0",
    "fe80::1",
    "192.0.2.2",
    "192.0.2.2/24",
    "0192.0.2.2",
    "192.0.2",
    "255.255.255.0",
    "255.0.255.0",
    "::ffff:192.0.2.2",
    "2001:db8::2",
    "true",
    "TRUE",
    "ja",
    "maybe",
    "forever",
    "$(reboot)",
    "`id`",
    "a\nb",
    "\u{fffd}",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "\0",
    "日本",
];

fn documented() -> impl Iterator<Item = &'static str> {
    let names = super::super::METADATA.split("<parameter name=\"").skip(1);
    names.filter_map(|rest| rest.split('"').next())
}

#[test]
fn nonsense_is_refused_in_one_line_that_names_the_parameter_or_taken_within_bounds() {
    let names: Vec<&str> =
        documented().chain(["CRM_meta_clone_max", "CRM_meta_interval", "netmask"]).collect();
    let mut refused = 0;
    let pairs = names.iter().flat_map(|name| NONSENSE.iter().map(move |value| (*name, *value)));
    let pairs: Vec<_> = pairs.collect();
    for base in [&[("ip", "192.0.2.2")][..], &[("ip", "2001:db8::2")], &[]] {
        for (number, first) in pairs.iter().enumerate() {
            // Each one alone, and with another one that is as bad.
            let second = pairs[(number * 7919) % pairs.len()];
            for bad in [&[*first][..], &[*first, second]] {
                match read(&[bad, base].concat()) {
                    Ok(read) => within_bounds(&read, bad),
                    Err(said) => {
                        refused += 1;
                        let (name, problem) =
                            said.strip_prefix("parameter ").unwrap().split_once(": ").unwrap();
                        let known = documented().chain(["CRM_meta_clone_max"]).any(|known| known == name);
                        assert!(known, "{said}");
                        assert!(!problem.is_empty() && !said.chars().any(char::is_control), "{said:?}");
                    }
                }
            }
        }
    }
    assert!(refused > 1000, "{refused}");
}

fn within_bounds(read: &Parameters, set: &[(&str, &str)]) {
    let max = if read.subject.ip.is_ipv4() { 32 } else { 128 };
    assert!(read.netmask.is_none_or(|length| (1..=max).contains(&length)), "{set:?}");
    assert!(read.count >= 1, "{set:?}");
    assert!(read.label.is_none() || read.subject.ip.is_ipv4(), "{set:?}");
    assert!(read.subject.nic.as_ref().is_none_or(|nic| !nic.contains(':')), "{set:?}");
}

#[test]
fn every_documented_parameter_has_a_type_that_pacemaker_knows_and_a_text() {
    for parameter in super::super::METADATA.split("<parameter ").skip(1) {
        let (head, _) = parameter.split_once("</parameter>").unwrap();
        let known = ["string", "integer", "boolean"]
            .iter()
            .any(|kind| head.contains(&format!("content type=\"{kind}\"")));
        assert!(known && head.contains("<longdesc lang=\"en\">") && head.contains("<shortdesc"), "{head}");
    }
}
