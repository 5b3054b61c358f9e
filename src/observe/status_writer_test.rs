//! The writer against an API server that is a function: what it would see, and what its answers lead to.

use super::*;
use crate::api::VirtualIPSpec;
use crate::api::conditions::{Verdict, kstatus, reasons, update};
use crate::observe::api_fake::{Fake, Seen};
use crate::observe::{Facts, Foreigner, status};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

fn vip(name: &str, version: &str) -> VirtualIP {
    let mut vip = VirtualIP::new(name, VirtualIPSpec::default());
    vip.metadata.namespace = Some("shop".to_owned());
    vip.metadata.resource_version = Some(version.to_owned());
    vip
}

fn owned_by(node: &str) -> VirtualIPStatus {
    let mut status = VirtualIPStatus { node: Some(node.to_owned()), ..VirtualIPStatus::default() };
    let now = Time(Timestamp::from_second(1).unwrap());
    update(&mut status.conditions, &kstatus(Verdict::Ready, reasons::OWNED, ""), None, &now);
    status
}

/// A writer that runs against the fake until the value is dropped.
fn running(fake: &Fake) -> (StatusWriter, tokio::task::JoinSet<()>) {
    let writer = StatusWriter::default();
    let mut tasks = tokio::task::JoinSet::new();
    let (metrics, _) = crate::observe::metrics::registry();
    tasks.spawn(writer.clone().run(fake.client(), metrics, Urgent::default()));
    (writer, tasks)
}

fn node_of(seen: &Seen) -> &str {
    seen.body["status"]["node"].as_str().unwrap()
}

#[tokio::test]
async fn a_status_is_applied_to_the_version_it_was_computed_from() {
    let mut fake = Fake::answering([200]);
    let (writer, _tasks) = running(&fake);
    writer.write_virtual_ip(&vip("web", "17"), &owned_by("n1"));
    let seen = fake.next().await;
    assert_eq!(seen.method, "PATCH");
    assert!(seen.path.starts_with("/apis/virtualip.dev/v1alpha1/namespaces/shop/virtualips/web/status?"));
    assert!(
        seen.path.contains("fieldManager=virtualip") && seen.path.contains("force=true"),
        "{}",
        seen.path
    );
    assert_eq!(seen.body["metadata"]["resourceVersion"], "17");
    assert_eq!(node_of(&seen), "n1");
}

#[tokio::test]
async fn every_condition_that_a_status_may_have_is_written() {
    let mut fake = Fake::answering([200]);
    let (writer, _tasks) = running(&fake);
    let foreigner = Foreigner { address: "192.0.2.9".parse().unwrap(), mac: String::new() };
    let shortcomings = vec![(reasons::LABEL_TOO_LONG, "n1: no room".to_owned())];
    let facts = Facts { foreigners: vec![foreigner], shortcomings, ..Facts::default() };
    let web = vip("web", "17");
    writer.write_virtual_ip(&web, &status(&web, &facts, &Time(Timestamp::from_second(1).unwrap())).unwrap());
    let conditions = &fake.next().await.body["status"]["conditions"];
    let types: Vec<_> = conditions.as_array().unwrap().iter().map(|c| c["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["Ready", "Reconciling", "Stalled", "AddressConflict", "Degraded"]);
}

#[tokio::test]
async fn conditions_of_others_are_not_taken_over() {
    let mut fake = Fake::answering([200]);
    let (writer, _tasks) = running(&fake);
    let mut status = owned_by("n1");
    let mut foreign = status.conditions[0].clone();
    foreign.type_ = "Audited".to_owned();
    status.conditions.push(foreign);
    writer.write_virtual_ip(&vip("web", "17"), &status);
    let conditions = &fake.next().await.body["status"]["conditions"];
    let types: Vec<_> = conditions.as_array().unwrap().iter().map(|c| c["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["Ready", "Reconciling", "Stalled"]);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_waited_out_and_only_the_newest_is_written() {
    let mut fake = Fake::answering([503, 503, 200]);
    let (writer, _tasks) = running(&fake);
    writer.write_virtual_ip(&vip("web", "17"), &owned_by("n1"));
    assert_eq!(node_of(&fake.next().await), "n1");
    assert_eq!(node_of(&fake.next().await), "n1");
    writer.write_virtual_ip(&vip("web", "18"), &owned_by("n2"));
    assert_eq!(node_of(&fake.next().await), "n2");
}

#[tokio::test(start_paused = true)]
async fn an_outdated_status_is_forgotten() {
    let mut fake = Fake::answering([409, 200]);
    let (writer, _tasks) = running(&fake);
    writer.write_virtual_ip(&vip("web", "17"), &owned_by("n1"));
    fake.next().await;
    writer.write_virtual_ip(&vip("mail", "5"), &owned_by("n2"));
    let seen = fake.next().await;
    assert_eq!(node_of(&seen), "n2", "the outdated one was not tried again");
    assert!(fake.is_quiet_for(Duration::from_mins(1)).await);
}

#[tokio::test(start_paused = true)]
async fn the_same_status_of_the_same_version_is_written_once() {
    let mut fake = Fake::answering([200]);
    let (writer, _tasks) = running(&fake);
    writer.write_virtual_ip(&vip("web", "17"), &owned_by("n1"));
    fake.next().await;
    writer.write_virtual_ip(&vip("web", "17"), &owned_by("n1"));
    assert!(fake.is_quiet_for(Duration::from_mins(1)).await);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_api_server_does_not_hold_up_the_next_try() {
    let mut fake = Fake::answering([Fake::HANGS, 200]);
    let (writer, _tasks) = running(&fake);
    writer.write_virtual_ip(&vip("web", "17"), &owned_by("n1"));
    fake.next().await;
    assert_eq!(node_of(&fake.next().await), "n1");
}

#[tokio::test(start_paused = true)]
async fn who_has_nothing_more_to_say_withdraws() {
    let mut fake = Fake::answering([503, 200]);
    let (writer, _tasks) = running(&fake);
    let web = vip("web", "17");
    writer.write_virtual_ip(&web, &owned_by("n1"));
    fake.next().await;
    // The answer has come once another object was written.
    writer.write_node(
        &VirtualIPNode::new("n1", crate::api::VirtualIPNodeSpec::default()),
        &VirtualIPNodeStatus::default(),
    );
    assert!(fake.next().await.path.starts_with("/apis/virtualip.dev/v1alpha1/virtualipnodes/n1/status"));
    writer.withdraw(&Subject::VirtualIp(web.key()));
    assert!(fake.is_quiet_for(Duration::from_mins(1)).await);
}
