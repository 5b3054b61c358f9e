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
    let documented: Vec<&str> = super::super::METADATA
        .split("<parameter name=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    for name in code.split("source.").skip(1).filter_map(|rest| {
        let (call, rest) = rest.split_once("(\"")?;
        ["text", "switch", "number"].contains(&call).then(|| rest.split('"').next())?
    }) {
        let internal = name.starts_with("CRM_meta") || name == "netmask";
        assert!(internal || documented.contains(&name), "{name} is not in metadata.xml");
    }
}
