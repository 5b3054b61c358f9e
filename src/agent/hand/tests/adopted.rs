//! Addresses of a former life: they stay as they are, or become what the spec says by now.

use futures::StreamExt;

use super::{Rig, spec, wired};
use crate::agent::hand::Order;
use crate::api::{AddressOptions, SourceAddress, VirtualIPSpec};
use crate::network::testing::{address_in_ip, in_namespace, ip};
use crate::network::{Change, Monitor, Setup, Spot};

const VIP: &str = "192.0.2.137/28";

fn with(options: AddressOptions) -> VirtualIPSpec {
    VirtualIPSpec { address_options: Some(options), ..spec(&[VIP, "2001:db8::9/64"]) }
}

/// What an agent does that finds what the one before it has put there.
async fn after_restart() -> Rig {
    let rig = Rig::new().await;
    for there in rig.kernel.marked().await.unwrap() {
        let spot = Spot { link: there.link, net: there.address, setup: Setup::permanent() };
        rig.order(Order::Adopt { key: rig.key.clone(), spot });
    }
    rig.order(Order::Adopted);
    rig
}

/// Puts it there as `before` says, and gives the agent's next life, with the kernel's changes since.
async fn put_there(before: &VirtualIPSpec) -> (Rig, Monitor) {
    wired("near", "192.0.2.1/24");
    ip("-6 addr add 2001:db8::1/64 dev near nodad");
    let (up, trouble) = Rig::new().await.set(before).await;
    assert_eq!((up.len(), trouble), (2, None));
    let changes = Monitor::open().unwrap();
    (after_restart().await, changes)
}

/// Whether an address was removed, if only for a moment.
async fn disturbed(mut changes: Monitor) -> bool {
    ip("addr add 198.51.100.1/24 dev near");
    loop {
        match changes.next().await.unwrap() {
            Change::AddressGone { .. } | Change::Resync => return true,
            Change::AddressSeen { address, .. } if address.to_string() == "198.51.100.1/24" => return false,
            _ => {}
        }
    }
}

#[test]
fn nothing_is_disturbed_where_the_spec_is_as_it_was() {
    in_namespace(async || {
        let options = || AddressOptions {
            label: Some("web".to_owned()),
            broadcast: "192.0.2.255".to_owned(),
            prefix_route: false,
            ..AddressOptions::default()
        };
        let (mut rig, changes) = put_there(&with(options())).await;
        rig.set(&with(options())).await;
        rig.kernel_settles().await;
        rig.set(&with(options())).await;
        assert!(!disturbed(changes).await);
    });
}

#[test]
fn nothing_is_disturbed_before_it_is_known_what_is_wanted() {
    in_namespace(async || {
        let options = || AddressOptions { label: Some("web".to_owned()), ..AddressOptions::default() };
        let (mut rig, changes) = put_there(&with(options())).await;
        rig.kernel_settles().await;
        rig.set(&with(options())).await;
        assert!(!disturbed(changes).await);
    });
}

/// The address in `ip` after the spec was changed to these options while no agent was running.
fn changed_to(
    address: &'static str,
    options: AddressOptions,
    fine: impl Fn(&serde_json::Value) -> bool + Send + 'static,
) {
    in_namespace(async move || {
        let (mut rig, _) = put_there(&with(AddressOptions::default())).await;
        let (up, trouble) = rig.set(&with(options)).await;
        assert_eq!((up.len(), trouble), (2, None));
        rig.order(Order::Extend);
        rig.until(|| address_in_ip("near", address).is_some_and(|seen| fine(&seen))).await;
        assert_eq!(rig.kernel.marked().await.unwrap().len(), 2, "it has its mark");
    });
}

#[test]
fn a_label_that_was_changed_meanwhile_is_applied() {
    let options = AddressOptions { label: Some("web".to_owned()), ..AddressOptions::default() };
    changed_to(VIP, options, |seen| seen["label"] == "near:web");
}

#[test]
fn a_broadcast_address_that_was_changed_meanwhile_is_applied() {
    let options = AddressOptions { broadcast: "None".to_owned(), ..AddressOptions::default() };
    changed_to(VIP, options, |seen| seen.get("broadcast").is_none());
}

#[test]
fn a_route_that_was_switched_off_meanwhile_goes() {
    let options = AddressOptions { prefix_route: false, ..AddressOptions::default() };
    let routes = || ip("route show dev near") + &ip("-6 route show dev near");
    changed_to(VIP, options.clone(), move |_| !routes().contains("192.0.2.128/28"));
    changed_to("2001:db8::9/64", options, |seen| seen["noprefixroute"] == true);
}

#[test]
fn a_source_address_that_was_allowed_meanwhile_is_one() {
    let options = AddressOptions { source_address: SourceAddress::Allowed, ..AddressOptions::default() };
    changed_to("2001:db8::9/64", options, |seen| seen["preferred_life_time"] != 0);
}
