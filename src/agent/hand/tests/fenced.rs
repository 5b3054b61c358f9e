//! Lifetimes behind the exact fence, which are longer than the right, and without it, which are shorter.

use std::net::IpAddr;
use std::thread::sleep;
use std::time::Duration;

use super::{Order, Rig, spec, wired};
use crate::agent::fencing::Fencing;
use crate::agent::input::Input;
use crate::network::testing::{Host, address_in_ip, in_namespace, ip, neighbour, own_bpf_file_system};
use crate::network::{Kernel, Setup, Spot, probe};
use crate::ownership::Event;

pub(super) const VIP: &str = "192.0.2.9";

/// As a renewal of a Lease of 3 s gives.
const RIGHT: Duration = Duration::from_millis(2_700);

/// Longer than the fence goes without a look at it.
const LOOK: Duration = Duration::from_millis(1_100);

pub(super) fn fencing() -> Fencing {
    Fencing::open(&Kernel::open().unwrap()).0
}

/// A hand behind the fence, with a right that has just begun and an address.
async fn rig() -> Rig {
    let mut rig = Rig::behind(fencing()).await;
    rig.right_for(RIGHT);
    assert_eq!(rig.set(&spec(&[VIP])).await.1, None);
    rig
}

/// The next life's hand, which has found the address that the former one left, and has no right yet.
async fn successor(former: Rig) -> Rig {
    drop(former);
    // The runtime drops what it runs when it is asked to run something else.
    tokio::task::yield_now().await;
    let next = Rig::behind(fencing()).await;
    let marked = next.kernel.marked().await.unwrap();
    let spot = Spot { link: marked[0].link, net: marked[0].address, setup: Setup::permanent() };
    next.order(Order::Adopt { key: next.key.clone(), spot });
    next.order(Order::Adopted);
    next
}

/// For how many whole seconds the kernel has it.
pub(super) fn lifetime() -> Option<u64> {
    address_in_ip("near", &format!("{VIP}/32"))?["valid_life_time"].as_u64()
}

/// Whether the host at the other end of `near` finds the address.
pub(super) fn is_found(client: &Host) -> bool {
    client.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let links = Kernel::open().unwrap().links().await.unwrap();
            let far = links.by_name("far").unwrap();
            let found = probe(far, VIP.parse::<IpAddr>().unwrap(), Duration::from_millis(200)).await;
            found.unwrap().is_some()
        })
    })
}

pub(super) fn on_node() -> Host {
    own_bpf_file_system();
    let client = neighbour("near", "far");
    ip("addr add 192.0.2.1/24 dev near");
    client
}

/// Nothing else of a node fits between a filter and its place.
fn spoil_the_fence() {
    for qdisc in ["del dev near clsact", "add dev near ingress"] {
        let words = ["qdisc"].into_iter().chain(qdisc.split(' '));
        assert!(std::process::Command::new("tc").args(words).status().unwrap().success());
    }
}

#[test]
fn the_kernel_has_an_address_for_longer_than_the_right_and_the_fence_ends_it() {
    in_namespace(async || {
        let client = on_node();
        let rig = rig().await;
        let given = lifetime().unwrap();
        assert!((3..=6).contains(&given), "{given}");
        assert!(is_found(&client));
        // Nobody lives who could do anything.
        drop(rig);
        sleep(RIGHT);
        assert!(!is_found(&client));
        assert!(lifetime().is_some(), "only the kernel's lifetime, which is to tidy up, runs on");
    });
}

#[test]
fn a_successor_finds_address_and_fence_and_goes_on_when_it_has_a_right() {
    in_namespace(async || {
        let client = on_node();
        let former = rig().await;
        former.right_for(RIGHT * 2);
        let mut next = successor(former).await;
        sleep(LOOK);
        let before = lifetime().unwrap();
        // What it is told before it has a right of its own gives the kernel nothing.
        next.order(Order::Extend);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(lifetime().unwrap() <= before);
        assert!(is_found(&client), "under the right of the one before");
        next.right_for(RIGHT * 4);
        next.order(Order::Extend);
        next.until(|| lifetime().unwrap() > before).await;
        sleep(RIGHT * 2);
        assert!(is_found(&client), "under its own");
    });
}

#[test]
fn where_the_fence_is_taken_away_for_good_lifetimes_end_before_the_right() {
    in_namespace(async || {
        let _client = on_node();
        let mut rig = rig().await;
        assert!(lifetime().unwrap() > 2);
        spoil_the_fence();
        sleep(LOOK);
        rig.right_for(RIGHT);
        rig.order(Order::Extend);
        rig.until(|| lifetime().unwrap() <= 2).await;
    });
}

#[test]
fn a_fence_that_somebody_took_away_is_there_again_at_once() {
    in_namespace(async || {
        let _client = on_node();
        let mut rig = rig().await;
        assert!(
            std::process::Command::new("tc")
                .args(["qdisc", "del", "dev", "near", "clsact"])
                .status()
                .unwrap()
                .success()
        );
        let before = std::time::Instant::now();
        // Nobody extends anything: the hand hears of it from the kernel.
        rig.until(|| filters("near").contains("0x7669")).await;
        println!("{:?}", before.elapsed());
    });
}

#[test]
fn what_no_lifetime_without_a_fence_fits_for_goes_with_the_fence() {
    in_namespace(async || {
        let _client = on_node();
        let mut rig = rig().await;
        spoil_the_fence();
        sleep(LOOK);
        rig.right_for(Duration::from_millis(1_200));
        rig.order(Order::Extend);
        while !matches!(rig.next().await, Input::Own(Event::Vanished { .. })) {}
        assert_eq!(lifetime(), None);
    });
}

/// It is on another network, but nobody says that this is another wire.
#[test]
fn where_another_interface_answers_as_well_the_fence_stands_there_too() {
    in_namespace(async || {
        let _client = on_node();
        let other = neighbour("beside", "far");
        ip("addr add 198.51.100.1/24 dev beside");
        let mut rig = rig().await;
        assert!(lifetime().unwrap() > 2);
        assert!(is_found(&other), "arp_ignore is 0 there");
        rig.right_for(Duration::from_millis(100));
        sleep(Duration::from_millis(100));
        assert!(!is_found(&other));
        assert!(lifetime().is_some());
        rig.release().await;
        rig.until(|| ["near", "beside"].iter().all(|link| filters(link).is_empty())).await;
    });
}

/// Whoever finds the fence of a former life finds it there as well.
#[test]
fn a_successor_keeps_the_fence_where_another_interface_answers() {
    in_namespace(async || {
        let _client = on_node();
        wired("beside", "198.51.100.1/24");
        let mut next = successor(rig().await).await;
        next.right_for(RIGHT * 2);
        let before = lifetime().unwrap();
        next.order(Order::Extend);
        next.until(|| lifetime().unwrap() > before).await;
        assert!(filters("beside").contains("0x7669"));
    });
}

fn filters(link: &str) -> String {
    let output = std::process::Command::new("tc").args(["filter", "show", "dev", link, "egress"]).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}
