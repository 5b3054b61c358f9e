//! Interfaces that are down and have no address.

use super::{Order, Rig, on};
use crate::network::testing::{address_in_ip, cable, in_namespace, ip, until_it_sends};

fn state() -> String {
    ip("link show near")
}

/// An interface that was found down, and a hand that has set it up.
async fn set_up() -> Rig {
    cable("near", "near-x");
    ip("link set near down");
    let mut rig = Rig::new().await;
    let near = rig.link("near").await.index;
    rig.order(Order::Prepare([near].into()));
    rig.until(|| state().contains("state UP")).await;
    rig
}

#[test]
fn one_is_set_up_its_address_is_the_primary_one_and_it_is_left_as_found() {
    in_namespace(async || {
        cable("near", "near-x");
        ip("link set near down");
        let before = state();
        let mut rig = Rig::new().await;
        let (up, trouble) = rig.set(&on("near", &["192.0.2.9/24"])).await;
        assert!(up.is_empty() && trouble.unwrap().contains("is down"));
        let near = rig.link("near").await.index;
        rig.order(Order::Prepare([near].into()));
        rig.until(|| state().contains("state UP")).await;
        until_it_sends("near");
        while rig.set(&on("near", &["192.0.2.9/24"])).await.0.is_empty() {}
        let seen = address_in_ip("near", "192.0.2.9/24").unwrap();
        assert!(seen.get("secondary").is_none(), "{seen}");
        assert!(ip("route show").contains("192.0.2.0/24 dev near"));
        rig.release().await;
        rig.order(Order::Prepare([].into()));
        rig.until(|| !state().contains("UP")).await;
        let same = |text: &str| {
            text.replace("<BROADCAST,MULTICAST,M-DOWN>", "").replace("<BROADCAST,MULTICAST>", "")
        };
        assert_eq!(same(&state()), same(&before), "nothing is left on it, not even a note");
    });
}

#[test]
fn one_that_somebody_has_given_an_address_to_meanwhile_stays_up() {
    in_namespace(async || {
        let _former = set_up().await;
        ip("addr add 192.0.2.1/24 dev near");
        let mut rig = Rig::new().await;
        rig.order(Order::Prepare([].into()));
        rig.set(&on("near", &["192.0.2.9"])).await;
        assert!(state().contains("state UP"));
    });
}

#[test]
fn the_next_life_of_the_agent_knows_which_ones_it_set_up() {
    in_namespace(async || {
        std::mem::forget(set_up().await);
        let mut next = Rig::new().await;
        next.order(Order::Prepare([].into()));
        next.until(|| !state().contains("UP")).await;
    });
}
