use super::*;
use crate::api::InterfaceChoice;
use crate::network::testing::link;

fn spec(addresses: &[&str]) -> VirtualIPSpec {
    VirtualIPSpec { addresses: addresses.iter().map(|&a| a.to_owned()).collect(), ..VirtualIPSpec::default() }
}

fn spots(spec: &VirtualIPSpec, labels: &[(&str, &str)], links: Vec<Link>) -> Vec<Result<Spot, Unfit>> {
    let labels = labels.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    let links = Links::new(links);
    Target::all(spec, &labels).iter().map(|target| target.spot(&links)).collect()
}

#[test]
fn a_bare_address_is_a_host_address_unless_the_subnets_prefix_is_wanted() {
    let links = || vec![link(2, "eth0", "192.0.2.1/24")];
    let mut spec = spec(&["192.0.2.9", "192.0.2.8/28"]);
    let nets = |spec: &VirtualIPSpec| {
        let found = spots(spec, &[], links());
        found.into_iter().map(|spot| spot.unwrap().net.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(nets(&spec), ["192.0.2.9/32", "192.0.2.8/28"]);
    spec.address_options = Some(AddressOptions { prefix: PrefixPolicy::Auto, ..AddressOptions::default() });
    assert_eq!(nets(&spec), ["192.0.2.9/24", "192.0.2.8/28"]);
}

#[test]
fn a_prefix_that_cannot_be_found_is_refused_with_what_to_write() {
    let mut spec = spec(&["198.51.100.9"]);
    spec.interface = Some("eth0".to_owned());
    spec.address_options = Some(AddressOptions { prefix: PrefixPolicy::Auto, ..AddressOptions::default() });
    let refused = spots(&spec, &[], vec![link(2, "eth0", "192.0.2.1/24")]).remove(0).unwrap_err();
    assert!(refused.to_string().contains("no subnet that contains 198.51.100.9"), "{refused}");
}

#[test]
fn the_first_entry_for_the_node_whose_interface_is_there_counts() {
    let choice = |name: &str, rack: Option<&str>| InterfaceChoice {
        name: name.to_owned(),
        node_selector: rack.map(|rack| ("rack".to_owned(), rack.to_owned())).into_iter().collect(),
    };
    let mut spec = spec(&["192.0.2.9"]);
    spec.interfaces = vec![choice("eth9", None), choice("eth2", Some("7")), choice("eth1", Some("8"))];
    let links = || vec![link(2, "eth1", "192.0.2.1/24"), link(3, "eth2", "10.0.0.1/8")];
    let on = |labels: &[(&str, &str)]| spots(&spec, labels, links()).remove(0).map(|spot| spot.link);
    assert_eq!(on(&[("rack", "7")]), Ok(3));
    assert_eq!(on(&[("rack", "8")]), Ok(2));
    assert_eq!(on(&[]), Err(Unfit::NotFound { name: "eth9".to_owned() }));
    spec.interfaces = vec![choice("eth1", Some("7"))];
    assert_eq!(spots(&spec, &[], links()).remove(0).map(|spot| spot.link), Err(Unfit::NotNamed));
}

#[test]
fn where_a_label_has_no_room_the_address_goes_without() {
    let mut spec = spec(&["192.0.2.9"]);
    spec.address_options =
        Some(AddressOptions { label: Some("frontend".to_owned()), ..AddressOptions::default() });
    let label =
        |name: &str| spots(&spec, &[], vec![link(2, name, "192.0.2.1/24")]).remove(0).unwrap().setup.label;
    assert_eq!(label("eth0"), Label::Named("eth0:frontend".to_owned()));
    assert_eq!(label("enp0s31f6"), Label::Suffixed);
    let refused = Manner::of(&spec, &BTreeMap::new()).label_refused(&link(2, "enp0s31f6", "")).unwrap();
    assert!(refused.contains("use one of at most 5"), "{refused}");
}

#[test]
fn options_become_what_the_kernel_is_told() {
    let mut spec = spec(&["192.0.2.9/24"]);
    let setup = |options: AddressOptions| {
        spec.address_options = Some(options);
        spots(&spec, &[], vec![link(2, "eth0", "192.0.2.1/24")]).remove(0).unwrap().setup
    };
    let mut setup = setup;
    assert_eq!(setup(AddressOptions::default()), Setup { lifetime: None, ..Setup::leased(1) });
    let found = setup(AddressOptions {
        broadcast: "192.0.2.127".to_owned(),
        prefix_route: false,
        source_address: SourceAddress::Allowed,
        duplicate_address_detection: true,
        ..AddressOptions::default()
    });
    assert_eq!(found.broadcast, Broadcast::Is("192.0.2.127".parse().unwrap()));
    assert_eq!((found.prefix_route, found.preferred, found.detect), (false, None, true));
}

#[test]
fn an_interface_without_any_address_is_awaited_only_with_a_prefix() {
    let down = Link { up: false, carrier: false, ..link(2, "eth1", "") };
    let awaited = |address: &str, interface: Option<&str>, link: &Link| {
        let spec = VirtualIPSpec { interface: interface.map(str::to_owned), ..spec(&[address]) };
        let target = Target::all(&spec, &BTreeMap::new()).remove(0);
        target.awaited(&Links::new(vec![link.clone()])).is_some()
    };
    assert!(awaited("192.0.2.9/24", Some("eth1"), &down));
    assert!(!awaited("192.0.2.9", Some("eth1"), &down));
    assert!(!awaited("192.0.2.9/24", None, &down));
    let busy = Link { addresses: vec!["10.0.0.1/8".parse().unwrap()], ..down };
    assert!(!awaited("192.0.2.9/24", Some("eth1"), &busy));
}

#[test]
fn no_label_is_no_shortcoming_however_long_the_name() {
    let mut spec = spec(&["192.0.2.9"]);
    spec.address_options =
        Some(AddressOptions { label: Some("None".to_owned()), ..AddressOptions::default() });
    let target = Target::all(&spec, &[].into()).remove(0);
    for name in ["eth0", "enp129s0f1np1"] {
        let links = Links::new(vec![link(2, name, "192.0.2.1/24")]);
        assert_eq!(target.spot(&links).unwrap().setup.label, Label::Plain);
        assert_eq!(target.manner.label_refused(links.by_name(name).unwrap()), None);
    }
}
