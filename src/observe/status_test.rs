//! Facts in, the status that a person reads out.

use super::*;
use crate::api::VirtualIPSpec;
use k8s_openapi::jiff::Timestamp;

fn at(second: i64) -> Time {
    Time(Timestamp::from_second(second).unwrap())
}

fn vip() -> VirtualIP {
    let spec = VirtualIPSpec { addresses: vec!["192.0.2.9".to_owned()], ..VirtualIPSpec::default() };
    let mut vip = VirtualIP::new("web", spec);
    vip.metadata.generation = Some(2);
    vip
}

fn owner(node: &str) -> Owner {
    Owner {
        node: node.to_owned(),
        interface: Some("eth1".to_owned()),
        addresses: vec!["192.0.2.9/32".parse().unwrap()],
        since: Some(at(100)),
    }
}

fn owned_by(node: &str) -> Facts {
    Facts { owner: Some(owner(node)), moves: Some(3), ..Facts::default() }
}

/// Type, reason and message of the condition that is true.
fn says(vip: &VirtualIP, facts: &Facts) -> (String, String, String) {
    let status = status(vip, facts, &at(200)).unwrap();
    let kstatus = [types::READY, types::RECONCILING, types::STALLED];
    let mut true_ones =
        status.conditions.into_iter().filter(|c| kstatus.contains(&c.type_.as_str()) && c.status == "True");
    let condition = true_ones.next().unwrap();
    assert_eq!(true_ones.count(), 0, "exactly one of the three is true");
    (condition.type_, condition.reason, condition.message)
}

fn expect(facts: &Facts, type_: &str, reason: &str, message: &str) {
    expect_of(&vip(), facts, type_, reason, message);
}

fn expect_of(vip: &VirtualIP, facts: &Facts, type_: &str, reason: &str, message: &str) {
    assert_eq!(says(vip, facts), (type_.to_owned(), reason.to_owned(), message.to_owned()));
}

#[test]
fn an_owned_one_says_who_where_and_since_when() {
    let status = status(&vip(), &owned_by("n1"), &at(200)).unwrap();
    assert_eq!(status.node.as_deref(), Some("n1"));
    assert_eq!(status.interface.as_deref(), Some("eth1"));
    assert_eq!(status.addresses, ["192.0.2.9/32"]);
    assert_eq!((status.since, status.moves, status.observed_generation), (Some(at(100)), Some(3), Some(2)));
    expect(&owned_by("n1"), "Ready", "Owned", "n1 answers on eth1");
}

#[test]
fn a_status_that_says_it_all_is_not_written_again() {
    let mut vip = vip();
    let facts = owned_by("n1");
    vip.status = status(&vip, &facts, &at(200));
    assert_eq!(status(&vip, &facts, &at(300)), None);
}

#[test]
fn fractions_of_a_second_are_no_change() {
    let mut vip = vip();
    let mut facts = owned_by("n1");
    let fine = Time(Timestamp::new(100, 123_456_789).unwrap());
    facts.owner.as_mut().unwrap().since = Some(fine.clone());
    let written = serde_json::to_string(&status(&vip, &facts, &fine)).unwrap();
    vip.status = serde_json::from_str(&written).unwrap();
    assert_eq!(status(&vip, &facts, &fine), None);
}

#[test]
fn who_does_not_know_since_when_keeps_what_is_known_of_the_same_node() {
    let mut vip = vip();
    vip.status = status(&vip, &owned_by("n1"), &at(200));
    let forgetful = |node| {
        let owner = Owner { since: None, interface: Some("eth2".to_owned()), ..owner(node) };
        Facts { owner: Some(owner), ..Facts::default() }
    };
    let same = status(&vip, &forgetful("n1"), &at(300)).unwrap();
    assert_eq!((same.since, same.moves), (Some(at(100)), Some(3)));
    assert_eq!(status(&vip, &forgetful("n2"), &at(300)).unwrap().since, None);
}

#[test]
fn a_handover_and_an_update_are_under_way() {
    let facts = Facts { successor: Some("n2".to_owned()), ..owned_by("n1") };
    expect(&facts, "Reconciling", "HandingOver", "n1 hands over to n2");
    let facts = Facts { successor: Some("n1".to_owned()), ..owned_by("n1") };
    expect(&facts, "Ready", "Owned", "n1 answers on eth1");
    let mut vip = vip();
    vip.spec.addresses.push("2001:db8::9".to_owned());
    expect_of(&vip, &owned_by("n1"), "Reconciling", "Updating", "n1 changes its addresses to the spec's");
}

#[test]
fn the_order_of_addresses_does_not_matter() {
    let mut vip = vip();
    vip.spec.addresses = vec!["2001:db8::9".to_owned(), "192.0.2.9".to_owned()];
    let mut facts = owned_by("n1");
    facts.owner.as_mut().unwrap().addresses.push("2001:db8::9/128".parse().unwrap());
    expect_of(&vip, &facts, "Ready", "Owned", "n1 answers on eth1");
}

#[test]
fn nobody_answers_yet() {
    expect(&Facts::default(), "Reconciling", "Unknown", "no agent has taken it yet");
    let claiming = Facts { successor: Some("n2".to_owned()), ..Facts::default() };
    expect(&claiming, "Reconciling", "Claiming", "n2 takes the addresses");
    let failover = Facts { lost: Some("n1".to_owned()), ..claiming };
    expect(&failover, "Reconciling", "OwnerLost", "n1 is gone; n2 takes the addresses");
    let refused = Facts { error: Some("add 192.0.2.9: no buffer space".to_owned()), ..Facts::default() };
    expect(&refused, "Reconciling", "Error", "add 192.0.2.9: no buffer space; it is tried again");
}

#[test]
fn no_eligible_node_says_why_of_every_node() {
    let refusals =
        [("n1", "it is on standby"), ("n2", "it has no interface eth7"), ("n3", "it is on standby")];
    let refusals = refusals.map(|(node, why)| (node.to_owned(), why.to_owned())).into();
    let facts = Facts { refusals, ..Facts::default() };
    let why = "no node can have the addresses: n2: it has no interface eth7; n1, n3: it is on standby";
    expect(&facts, "Stalled", "NoEligibleNode", why);
}

#[test]
fn a_thousand_refusing_nodes_stay_readable() {
    let refusals = (0..1000).map(|n| (format!("n{n}"), "it is on standby".to_owned())).collect();
    let (.., message) = says(&vip(), &Facts { refusals, ..Facts::default() });
    assert!(message.ends_with("and 995 more: it is on standby") && message.len() < 200, "{message}");
}

#[test]
fn the_younger_of_two_with_one_address_names_the_older() {
    let conflicts = [("192.0.2.9".parse().unwrap(), VipKey::new("shop", "web"))].into();
    let message = "192.0.2.9 belongs to shop/web, which is older: change or delete one of them";
    let facts = Facts { conflicts, ..Facts::default() };
    expect(&facts, "Stalled", "AddressConflict", message);
    let mut vip = vip();
    vip.status = status(&vip, &facts, &at(200));
    let said = |vip: &VirtualIP| conflict_of(vip).map(|(status, reason, _)| (status, reason));
    assert_eq!(said(&vip), Some(("True".to_owned(), "OtherVirtualIP".to_owned())));
    vip.status = status(&vip, &owned_by("n1"), &at(300));
    assert_eq!(said(&vip), Some(("False".to_owned(), "NoConflict".to_owned())));
}

#[test]
fn an_unreadable_spec_waits_for_a_person() {
    let mut vip = vip();
    vip.spec.addresses = vec!["web.example.org".to_owned()];
    let message = "\"web.example.org\" is not an IPv4 or IPv6 address";
    expect_of(&vip, &Facts::default(), "Stalled", "InvalidSpec", message);
}

#[test]
fn deletion_waits_for_silence() {
    let mut vip = vip();
    vip.metadata.deletion_timestamp = Some(at(150));
    expect_of(&vip, &owned_by("n1"), "Reconciling", "Releasing", "n1 removes the addresses");
    expect_of(&vip, &Facts::default(), "Reconciling", "Releasing", "nobody answers any more");
}

/// Status, reason and message of the condition.
fn conflict_of(vip: &VirtualIP) -> Option<(String, String, String)> {
    let conditions = &vip.status.as_ref().unwrap().conditions;
    find(conditions, types::ADDRESS_CONFLICT).map(|c| (c.status.clone(), c.reason.clone(), c.message.clone()))
}

#[test]
fn a_foreign_host_is_named_and_its_end_is_told() {
    let foreigner = Foreigner { address: "192.0.2.9".parse().unwrap(), mac: "02:00:00:00:00:01".to_owned() };
    let facts = Facts { foreigners: vec![foreigner.clone()], ..owned_by("n1") };
    let mut vip = vip();
    vip.status = status(&vip, &facts, &at(200));
    let message = "a host outside the cluster (02:00:00:00:00:01) claims 192.0.2.9";
    let said = ("True".to_owned(), "ForeignHost".to_owned(), message.to_owned());
    assert_eq!(conflict_of(&vip), Some(said));
    vip.status = status(&vip, &owned_by("n1"), &at(300));
    assert_eq!(conflict_of(&vip).unwrap().0, "False");

    let before = Facts { foreigners: vec![foreigner], ..Facts::default() };
    let message = format!("{message}; no node takes it");
    assert_eq!(says(&self::vip(), &before), ("Stalled".to_owned(), "AddressConflict".to_owned(), message));
}

#[test]
fn what_a_node_could_not_do_is_said_with_its_name_and_ends() {
    let facts = Facts {
        shortcomings: vec![(reasons::LABEL_TOO_LONG, "n1: enp0s31f6 has no room".to_owned())],
        ..owned_by("n1")
    };
    let mut vip = vip();
    vip.status = status(&vip, &facts, &at(200));
    let degraded = |vip: &VirtualIP| {
        let conditions = &vip.status.as_ref().unwrap().conditions;
        let condition = find(conditions, types::DEGRADED).unwrap();
        (condition.status.clone(), condition.reason.clone(), condition.message.clone())
    };
    assert_eq!(degraded(&vip), ("True".into(), "LabelTooLong".into(), "n1: enp0s31f6 has no room".into()));
    vip.status = status(&vip, &owned_by("n1"), &at(300));
    assert_eq!(degraded(&vip), ("False".into(), "AsSpecified".into(), "all is as the spec says".into()));
}
