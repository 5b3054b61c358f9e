//! Where an address belongs, with the interfaces of a real kernel.

use crate::network::{
    Kernel, Unfit,
    testing::{cable, in_namespace, ip, sysctl, until_it_sends},
};

async fn found(address: &str, named: Option<&str>) -> Result<String, Unfit> {
    let links = Kernel::open().unwrap().links().await.unwrap();
    links.find(address.parse().unwrap(), named).map(|link| link.name.clone())
}

#[test]
fn longest_prefix_of_what_is_up() {
    in_namespace(async || {
        for (name, address) in [("wide", "10.0.0.1/8"), ("mid", "10.1.0.1/16"), ("idle", "10.1.2.1/24")] {
            cable(name, &format!("{name}-x"));
            ip(&format!("addr add {address} dev {name}"));
        }
        ip("-6 addr add 2001:db8:1::1/64 dev mid nodad");
        ip("link set idle down");
        assert_eq!(found("10.1.2.9", None).await.unwrap(), "mid");
        assert_eq!(found("10.9.9.9", None).await.unwrap(), "wide");
        assert_eq!(found("2001:db8:1::9", None).await.unwrap(), "mid");
        ip("link set idle up");
        until_it_sends("idle");
        assert_eq!(found("10.1.2.9", None).await.unwrap(), "idle");
        assert_eq!(
            found("192.0.2.1", None).await.unwrap_err(),
            Unfit::NoSubnet { address: "192.0.2.1".parse().unwrap() }
        );
        assert_eq!(found("192.0.2.1", Some("wide")).await.unwrap(), "wide");
    });
}

#[test]
fn a_longer_prefix_without_carrier_is_not_passed_over() {
    in_namespace(async || {
        cable("wide", "wide-x");
        cable("near", "near-x");
        ip("addr add 10.0.0.1/8 dev wide");
        ip("addr add 10.1.2.1/24 dev near");
        ip("link set near-x down");
        assert_eq!(found("10.1.2.9", None).await.unwrap_err(), Unfit::NoCarrier { name: "near".into() });
    });
}

#[test]
fn ports_loopback_and_what_does_no_arp_are_never_chosen() {
    in_namespace(async || {
        for name in ["port", "quiet"] {
            cable(name, &format!("{name}-x"));
            ip(&format!("addr add 10.1.2.1/24 dev {name}"));
        }
        ip("addr add 10.1.2.1/24 dev lo");
        ip("link set quiet arp off");
        ip("link add bridge0 type bridge");
        ip("link set port master bridge0");
        ip("link set bridge0 up");
        until_it_sends("bridge0");
        assert!(matches!(found("10.1.2.9", None).await, Err(Unfit::NoSubnet { .. })));
        assert_eq!(found("10.1.2.9", Some("port")).await.unwrap_err(), Unfit::Port { name: "port".into() });
        assert_eq!(
            found("10.1.2.9", Some("quiet")).await.unwrap_err(),
            Unfit::NoArp { name: "quiet".into() }
        );
        assert_eq!(found("10.1.2.9", Some("lo")).await.unwrap_err(), Unfit::Loopback { name: "lo".into() });
        assert_eq!(
            found("10.1.2.9", Some("eth7")).await.unwrap_err(),
            Unfit::NotFound { name: "eth7".into() }
        );
        ip("addr add 10.1.2.1/16 dev bridge0");
        assert_eq!(found("10.1.2.9", None).await.unwrap(), "bridge0");
    });
}

#[test]
fn our_own_addresses_and_host_addresses_are_no_subnets() {
    in_namespace(async || {
        cable("near", "near-x");
        let kernel = Kernel::open().unwrap();
        let near = kernel.links().await.unwrap().by_name("near").unwrap().index;
        kernel.add(near, "10.1.2.1/24".parse().unwrap(), 60).await.unwrap();
        ip("addr add 10.1.2.9/32 dev near");
        assert!(matches!(found("10.1.2.9", None).await, Err(Unfit::NoSubnet { .. })));
        let addresses = &kernel.links().await.unwrap().by_name("near").unwrap().addresses.clone();
        assert!(addresses.contains(&"10.1.2.9/32".parse().unwrap()));
        assert!(!addresses.contains(&"10.1.2.1/24".parse().unwrap()));
    });
}

#[test]
fn a_link_local_address_needs_a_name() {
    in_namespace(async || {
        cable("near", "near-x");
        assert!(matches!(found("fe80::2", None).await, Err(Unfit::Ambiguous { .. })));
        assert_eq!(found("fe80::2", Some("near")).await.unwrap(), "near");
    });
}

#[test]
fn a_snapshot_says_what_ip_says() {
    in_namespace(async || {
        cable("near", "near-x");
        ip("link set near address 02:00:5e:10:00:01 mtu 1400");
        sysctl("ipv6/conf/near/forwarding", "1");
        sysctl("ipv4/conf/near/arp_ignore", "2");
        let links = Kernel::open().unwrap().links().await.unwrap();
        let near = links.by_name("near").unwrap();
        assert_eq!(near.mac.unwrap().to_string(), "02:00:5e:10:00:01");
        assert_eq!((near.mtu, near.router, near.arp_ignore), (1400, true, 2));
        assert_eq!(
            (near.up, near.carrier, near.loopback, near.no_arp, near.port),
            (true, true, false, false, false)
        );
        assert_eq!(links.by_index(near.index), Some(near));
        assert!(links.by_name("lo").unwrap().loopback);
    });
}

#[test]
fn where_ipv6_is_disabled_no_ipv6_address_fits() {
    in_namespace(async || {
        cable("near", "near-x");
        sysctl("ipv6/conf/near/disable_ipv6", "1");
        assert_eq!(
            found("2001:db8::1", Some("near")).await.unwrap_err(),
            Unfit::NoIpv6 { name: "near".into() }
        );
        assert_eq!(found("192.0.2.1", Some("near")).await.unwrap(), "near");
    });
}

#[test]
fn on_a_point_to_point_address_the_peers_prefix_is_on_link() {
    in_namespace(async || {
        cable("near", "near-x");
        ip("addr add 192.0.2.1 peer 10.0.0.1/24 dev near");
        assert_eq!(found("10.0.0.9", None).await.unwrap(), "near");
        assert!(matches!(found("192.0.2.9", None).await, Err(Unfit::NoSubnet { .. })));
    });
}
