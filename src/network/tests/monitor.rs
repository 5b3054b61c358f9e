//! What happens to addresses and interfaces is told, once.

use futures::StreamExt;
use ipnet::IpNet;
use rtnetlink::{packet_core::NLM_F_CREATE, packet_route::RouteNetlinkMessage};

use crate::network::{
    Change, Kernel, Monitor, Setup, Spot,
    request::configuration,
    testing::{cable, in_namespace, ip},
};

async fn opened() -> (Kernel, u32, Monitor) {
    cable("near", "near-x");
    let kernel = Kernel::open().unwrap();
    let near = kernel.links().await.unwrap().by_name("near").unwrap().index;
    (kernel, near, Monitor::open().unwrap())
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

/// The next change that concerns this address, or is a resync.
async fn next_about(changes: &mut Monitor, wanted: IpNet) -> Change {
    loop {
        let change = changes.next().await.unwrap();
        match &change {
            Change::AddressSeen { address, .. } | Change::AddressGone { address, .. }
                if *address == wanted =>
            {
                return change;
            }
            Change::Resync => return change,
            _ => {}
        }
    }
}

#[test]
fn an_address_deleted_by_hand_is_told() {
    in_namespace(async || {
        let (kernel, link, mut changes) = opened().await;
        for address in ["192.0.2.5/32", "2001:db8::5/128"].map(net) {
            kernel.add(link, address, 60).await.unwrap();
            // The kernel tells of a new IPv6 address a little later, or never if it went before that.
            let seen = Change::AddressSeen { link, address, marked: true };
            assert_eq!(next_about(&mut changes, address).await, seen);
            ip(&format!("addr del {address} dev near"));
            let gone = Change::AddressGone { link, address, marked: true };
            assert_eq!(next_about(&mut changes, address).await, gone);
        }
    });
}

#[test]
fn renewals_are_not_told() {
    in_namespace(async || {
        let (kernel, link, mut changes) = opened().await;
        let address = net("192.0.2.5/32");
        kernel.add(link, address, 60).await.unwrap();
        assert!(matches!(next_about(&mut changes, address).await, Change::AddressSeen { .. }));
        for lifetime in 61..=70 {
            kernel.renew(link, address, lifetime).await.unwrap();
        }
        kernel.remove(link, address).await.unwrap();
        assert!(matches!(next_about(&mut changes, address).await, Change::AddressGone { .. }));
    });
}

#[test]
fn what_comes_by_the_connection_for_renewals_is_not_even_heard_and_all_else_is() {
    in_namespace(async || {
        let (kernel, link, mut changes) = opened().await;
        changes.deaf_to(&kernel);
        let (unheard, address) = (net("192.0.2.4/32"), net("192.0.2.5/32"));
        let news = configuration("near", kernel.mark, link, unheard, &Setup::leased(60));
        let outcome = kernel.batch.change([RouteNetlinkMessage::NewAddress(news)], NLM_F_CREATE).await;
        outcome.unwrap().remove(0).unwrap();
        kernel.add(link, address, 60).await.unwrap();
        let mut told = Vec::new();
        while told.last() != Some(&Change::AddressSeen { link, address, marked: true }) {
            told.push(changes.next().await.unwrap());
        }
        assert!(!told.contains(&Change::AddressSeen { link, address: unheard, marked: true }), "{told:?}");
        ip("addr replace 192.0.2.4/32 dev near");
        let taken = Change::AddressSeen { link, address: unheard, marked: false };
        assert_eq!(next_about(&mut changes, unheard).await, taken);
        kernel.remove(link, address).await.unwrap();
        assert!(matches!(next_about(&mut changes, address).await, Change::AddressGone { .. }));
    });
}

#[test]
fn a_mark_that_somebody_takes_away_is_told() {
    in_namespace(async || {
        let (kernel, link, mut changes) = opened().await;
        let address = net("192.0.2.5/32");
        kernel.add(link, address, 60).await.unwrap();
        assert_eq!(
            next_about(&mut changes, address).await,
            Change::AddressSeen { link, address, marked: true }
        );
        ip("addr replace 192.0.2.5/32 dev near");
        assert_eq!(
            next_about(&mut changes, address).await,
            Change::AddressSeen { link, address, marked: false }
        );
    });
}

#[test]
fn a_lost_carrier_and_a_deleted_interface_are_told() {
    in_namespace(async || {
        let (kernel, _, mut changes) = opened().await;
        ip("link set near-x down");
        loop {
            while changes.next().await.unwrap() != Change::Links {}
            if !kernel.links().await.unwrap().by_name("near").unwrap().carrier {
                break;
            }
        }
        ip("link del near");
        loop {
            while changes.next().await.unwrap() != Change::Links {}
            if kernel.links().await.unwrap().by_name("near").is_none() {
                break;
            }
        }
    });
}

#[test]
fn a_port_that_leaves_its_bridge_is_no_deleted_interface() {
    in_namespace(async || {
        let (kernel, link, mut changes) = opened().await;
        ip("link add bridge0 type bridge");
        ip("link set near master bridge0");
        let address = net("192.0.2.5/32");
        kernel.add(link, address, 60).await.unwrap();
        assert!(matches!(next_about(&mut changes, address).await, Change::AddressSeen { .. }));
        ip("link set near nomaster");
        // Had the address been forgotten with the port, its renewal would be told.
        kernel.renew(link, address, 60).await.unwrap();
        kernel.remove(link, address).await.unwrap();
        assert!(matches!(next_about(&mut changes, address).await, Change::AddressGone { .. }));
    });
}

#[test]
fn what_was_missed_becomes_a_resync_and_then_all_goes_on() {
    in_namespace(async || {
        let (kernel, link, changes) = opened().await;
        drop(changes);
        let mut changes = Monitor::with_buffer(16 << 10).unwrap();
        let spot = |n| Spot { link, net: net(&format!("10.0.0.{n}/32")), setup: Setup::permanent() };
        let many: Vec<_> = (1..=250).map(spot).collect();
        kernel.add_all(&many, 60).await.unwrap();
        while changes.next().await.unwrap() != Change::Resync {}
        assert_eq!(kernel.marked().await.unwrap().len(), 250);
        let address = net("192.0.2.5/32");
        kernel.add(link, address, 60).await.unwrap();
        assert_eq!(
            next_about(&mut changes, address).await,
            Change::AddressSeen { link, address, marked: true }
        );
    });
}
