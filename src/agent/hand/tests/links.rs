//! Interfaces that change while they carry an address: it is told again, or follows, or is given up; never silent.

use std::net::IpAddr;
use std::time::Duration;

use super::{Order, Rig, on, spec, wired};
use crate::agent::input::Input;
use crate::network::testing::{
    Ear, Host, address_in_ip, cable, in_namespace, ip, neighbour, sysctl, until_it_sends,
};
use crate::network::{Kernel, Mac, ndp, probe};
use crate::ownership::Event;

const VIP: &str = "192.0.2.9";
const VIP6: &str = "2001:db8::9";

/// Which hardware address the kernels behind the interface `far` of another machine answer for an address with.
fn asked_from(host: &Host, address: &'static str) -> Option<Mac> {
    host.run(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let links = Kernel::open().unwrap().links().await.unwrap();
            let far = links.by_name("far").unwrap();
            probe(far, address.parse().unwrap(), Duration::from_secs(1)).await.unwrap()
        })
    })
}

/// An address of each family on `name`, to which this other machine is connected: that is who has them, until they go.
async fn carries(host: &Host, name: &str) {
    ip(&format!("addr add 192.0.2.1/24 dev {name}"));
    ip(&format!("-6 addr add 2001:db8::1/64 dev {name} nodad"));
    let mut rig = Rig::new().await;
    let (up, trouble) = rig.set(&spec(&[VIP, VIP6])).await;
    assert_eq!((up.len(), trouble), (2, None));
    let link = rig.link_with(VIP).await;
    assert_eq!(link.name, name);
    for vip in [VIP, VIP6] {
        assert_eq!(asked_from(host, vip), link.mac, "{vip}");
    }
    rig.release().await;
    for vip in [VIP, VIP6] {
        assert_eq!(asked_from(host, vip), None, "{vip}");
    }
}

#[test]
fn a_veth_carries_addresses() {
    in_namespace(async || carries(&neighbour("near", "far"), "near").await);
}

#[test]
fn a_bridge_carries_addresses() {
    in_namespace(async || {
        let host = neighbour("near", "far");
        ip("link add bridge0 type bridge forward_delay 0");
        ip("link set near master bridge0");
        ip("link set bridge0 up");
        until_it_sends("bridge0");
        carries(&host, "bridge0").await;
    });
}

#[test]
fn a_macvlan_carries_addresses() {
    in_namespace(async || {
        let host = neighbour("near", "far");
        // Else the interface below it, on the same wire, answers as well.
        sysctl("ipv4/conf/all/arp_ignore", "1");
        ip("link add macvlan0 link near type macvlan mode bridge");
        ip("link set macvlan0 up");
        until_it_sends("macvlan0");
        carries(&host, "macvlan0").await;
    });
}

#[test]
fn solicitations_are_answered_after_the_link_flapped() {
    in_namespace(async || {
        let host = neighbour("near", "far");
        ip("-6 addr add 2001:db8::1/64 dev near nodad");
        let mut rig = Rig::new().await;
        rig.set(&on("near", &[VIP6])).await;
        let mac = rig.link("near").await.mac;
        for _ in 0..3 {
            host.ip("link set far down");
            host.run(|| {
                ip("link set far up");
                until_it_sends("far");
            });
            until_it_sends("near");
            assert_eq!(asked_from(&host, VIP6), mac, "after its carrier went and came");
        }
        // With the interface set down by hand the kernel forgets it, and the loop has it added again.
        ip("link set near down");
        while !matches!(rig.next().await, Input::Own(Event::Vanished { .. })) {}
        assert!(address_in_ip("near", "2001:db8::9/128").is_none());
        ip("link set near up");
        until_it_sends("near");
        rig.kernel_settles().await;
        while rig.set(&on("near", &[VIP6])).await.0.is_empty() {}
        host.run(|| until_it_sends("far"));
        assert_eq!(asked_from(&host, VIP6), mac, "after it was set down and up");
    });
}

#[test]
fn the_router_flag_is_what_the_interface_is_at_that_moment() {
    in_namespace(async || {
        cable("near", "near-x");
        ip("-6 addr add 2001:db8::1/64 dev near nodad");
        let mut ear = Ear::on("near-x").await;
        let mut rig = Rig::new().await;
        rig.set(&spec(&[VIP6])).await;
        let mac = rig.link("near").await.mac.unwrap();
        let vip = VIP6.parse().unwrap();
        assert_eq!(ear.advertisement_of(vip).await, ndp::advertisement(mac, vip, false));
        for (forwarding, router) in [("1", true), ("0", false)] {
            sysctl("ipv6/conf/near/forwarding", forwarding);
            rig.order(Order::Defend { key: rig.key.clone(), address: IpAddr::V6(vip) });
            while ear.advertisement_of(vip).await != ndp::advertisement(mac, vip, router) {}
        }
    });
}

#[test]
fn an_address_whose_interface_becomes_a_port_stays_and_is_told_until_another_node_has_it() {
    in_namespace(async || {
        announced_again_after(|| {
            ip("link add bridge0 type bridge");
            ip("link set bridge0 up");
            ip("link set near master bridge0");
        })
        .await;
    });
}

async fn announced_again_after(change: impl FnOnce()) {
    wired("near", "192.0.2.1/24");
    let mut rig = Rig::new().await;
    rig.set(&spec(&[VIP])).await;
    let ear = Ear::on("near-x").await;
    change();
    let told = tokio::spawn(ear.claim_of(VIP.parse().unwrap()));
    rig.until(|| told.is_finished()).await;
    let mac = rig.link_with(VIP).await.mac.unwrap();
    assert_eq!(told.await.unwrap().mac, mac);
}

#[test]
fn another_hardware_address_is_told() {
    in_namespace(async || {
        announced_again_after(|| drop(ip("link set near address 02:00:00:00:00:77"))).await;
    });
}

#[test]
fn another_mtu_is_told() {
    in_namespace(async || announced_again_after(|| drop(ip("link set near mtu 1400"))).await);
}

#[test]
fn another_name_is_told() {
    in_namespace(async || announced_again_after(|| drop(ip("link set near name other"))).await);
}

#[test]
fn a_carrier_that_comes_back_is_told() {
    in_namespace(async || {
        announced_again_after(|| {
            ip("link set near-x down");
            ip("link set near-x up");
            until_it_sends("near");
        })
        .await;
    });
}

#[test]
fn an_address_follows_its_subnet_into_a_bridge() {
    in_namespace(async || {
        wired("near", "192.0.2.1/24");
        let mut rig = Rig::new().await;
        rig.set(&spec(&[VIP, "192.0.2.10/24"])).await;
        ip("link add bridge0 type bridge");
        ip("link set bridge0 up");
        ip("addr del 192.0.2.1/24 dev near");
        ip("link set near master bridge0");
        ip("addr add 192.0.2.1/24 dev bridge0");
        rig.until(|| address_in_ip("bridge0", "192.0.2.9/32").is_some()).await;
        rig.until(|| address_in_ip("bridge0", "192.0.2.10/24").is_some()).await;
        assert!(address_in_ip("near", "192.0.2.9/32").is_none());
    });
}

#[test]
fn a_deleted_interface_is_told_and_its_successor_of_the_same_name_gets_the_address() {
    in_namespace(async || {
        wired("near", "192.0.2.1/24");
        let mut rig = Rig::new().await;
        rig.set(&on("near", &[VIP])).await;
        ip("link del near");
        loop {
            if let Input::Own(Event::Vanished { address, .. }) = rig.next().await {
                assert_eq!(address.to_string(), VIP);
                break;
            }
        }
        cable("near", "near-y");
        rig.kernel_settles().await;
        loop {
            let (up, _) = rig.set(&on("near", &[VIP])).await;
            if !up.is_empty() {
                break;
            }
        }
        assert!(address_in_ip("near", "192.0.2.9/32").is_some());
    });
}

#[test]
fn an_address_that_goes_with_its_primary_is_back_at_once() {
    in_namespace(async || {
        wired("near", "192.0.2.1/24");
        let mut rig = Rig::new().await;
        for promote in ["0", "1"] {
            sysctl("ipv4/conf/near/promote_secondaries", promote);
            let spec = spec(&["192.0.2.9/24", "192.0.2.10"]);
            rig.set(&spec).await;
            let start = std::time::Instant::now();
            ip("addr del 192.0.2.1/24 dev near");
            if promote == "0" {
                while !matches!(rig.next().await, Input::Own(Event::Vanished { .. })) {}
                rig.set(&super::on("near", &["192.0.2.9/24", "192.0.2.10"])).await;
            }
            println!("promote_secondaries={promote}: there again after {:?}", start.elapsed());
            assert!(address_in_ip("near", "192.0.2.9/24").is_some());
            assert!(address_in_ip("near", "192.0.2.10/32").is_some());
            rig.release().await;
            ip("addr add 192.0.2.1/24 dev near");
            rig.kernel_settles().await;
        }
    });
}
