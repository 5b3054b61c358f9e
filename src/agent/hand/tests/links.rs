//! Interfaces that change while they carry an address: it is told again, or follows, or is given up; never silent.

use super::{Rig, on, spec, wired};
use crate::agent::input::Input;
use crate::network::testing::{Ear, address_in_ip, cable, in_namespace, ip, sysctl, until_it_sends};
use crate::ownership::Event;

const VIP: &str = "192.0.2.9";

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
