//! Addresses that are there before their owner is silent, behind shut gates.

use std::net::IpAddr;
use std::time::Duration;

use super::{Order, Rig, spec};
use crate::agent::input::Input;
use crate::agent::target::Target;
use crate::api::VirtualIPSpec;
use crate::network::fence::Gates;
use crate::network::testing::{Host, in_namespace, ip};
use crate::ownership::Event;

use super::fenced::{VIP, fencing, is_found, lifetime, on_node};

/// A hand behind the fence, with a right, and its gates.
async fn rig() -> (Rig, Gates) {
    let fencing = fencing();
    let gates = fencing.gates().unwrap();
    let rig = Rig::behind(fencing).await;
    rig.right_for(Duration::from_mins(1));
    (rig, gates)
}

fn vip() -> IpAddr {
    VIP.parse().unwrap()
}

fn expect(rig: &Rig) {
    rig.order(Order::Expect { targets: Target::all(&spec(&[VIP]), &[].into()), soon: true });
}

/// A client, and a node on which the address is there behind its shut gate.
async fn ready() -> (Host, Rig, Gates) {
    let client = on_node();
    let (mut rig, gates) = rig().await;
    gates.shut([&vip()]);
    expect(&rig);
    rig.until(|| lifetime().is_some()).await;
    (client, rig, gates)
}

#[test]
fn what_is_expected_is_there_and_silent_and_goes_if_it_does_not_come() {
    in_namespace(async || {
        let (client, mut rig, gates) = ready().await;
        assert!(!is_found(&client));
        rig.until(|| lifetime().is_none()).await;
        gates.open([&vip()]).unwrap();
        assert_eq!(rig.set(&spec(&[VIP])).await, ([vip()].into(), None));
        assert!(is_found(&client), "and comes later");
    });
}

#[test]
fn what_is_expected_comes_with_its_gate() {
    in_namespace(async || {
        let (client, mut rig, gates) = ready().await;
        gates.open([&vip()]).unwrap();
        assert_eq!(rig.set(&spec(&[VIP])).await, ([vip()].into(), None));
        // Longer than it would be there if it had not come.
        assert!(is_found(&client));
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(is_found(&client));
    });
}

/// Behind an open gate it would answer while its owner does; and what is another's is not touched.
#[test]
fn nothing_is_there_before_its_time_without_a_shut_gate_or_where_somebody_has_it() {
    in_namespace(async || {
        let _client = on_node();
        let (mut rig, gates) = rig().await;
        expect(&rig);
        rig.release().await;
        assert_eq!(lifetime(), None);
        gates.shut([&vip()]);
        ip(&format!("addr add {VIP}/24 dev near"));
        expect(&rig);
        rig.release().await;
        assert_eq!(lifetime(), None);
    });
}

#[test]
fn the_loop_is_not_told_again_what_it_knows_from_the_gates() {
    in_namespace(async || {
        let _client = on_node();
        let (mut rig, gates) = rig().await;
        rig.set(&spec(&[VIP])).await;
        while !matches!(rig.next().await, Input::Trouble { .. }) {}
        gates.shut([&vip()]);
        let targets = Target::all(&VirtualIPSpec::default(), &[].into());
        rig.order(Order::Set { key: rig.key.clone(), targets, told: true });
        while !matches!(rig.next().await, Input::Trouble { .. }) {}
        assert_eq!(lifetime(), None);
        gates.open([&vip()]).unwrap();
        // The next word is of the next order.
        rig.order(Order::Set {
            key: rig.key.clone(),
            targets: Target::all(&spec(&[VIP]), &[].into()),
            told: false,
        });
        let up = loop {
            if let Input::Own(Event::Kernel { up, .. }) = rig.next().await {
                break up;
            }
        };
        assert_eq!(up, [vip()].into());
    });
}
