//! Fifty of them.

use super::vip::{PATIENCE, holders, manifest};
use crate::{
    lab::{Cluster, Error, Result, run::until},
    runner::{LABEL, Outcome},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

super::tests![
    fifty_are_spread_evenly_and_those_of_a_lost_node_as_well,
    the_writes_to_the_api_server_do_not_grow_with_their_number,
];

const COUNT: usize = 50;

/// A node that is late to claim in its turn, on a busy machine, leaves its share to the others, where it stays.
const ATTEMPTS: usize = 3;

fn fifty_are_spread_evenly_and_those_of_a_lost_node_as_well(lab: &Cluster) -> Outcome {
    for attempt in 1.. {
        match spread_and_lost(lab)? {
            Ok(()) => break,
            Err(uneven) if attempt == ATTEMPTS => return Err(uneven.into()),
            Err(uneven) => eprintln!("    {uneven}"),
        }
        lab.delete_virtualips(Duration::from_mins(1))?;
        lab.repair()?;
    }
    Ok(())
}

/// Ends early, with how they were spread, where that was not evenly. All else must be right at the first attempt.
fn spread_and_lost(lab: &Cluster) -> Result<std::result::Result<(), String>> {
    let addresses: Vec<_> = (0..COUNT).map(address).collect();
    let watch = lab.watch(&addresses)?;
    apply(lab, 0..COUNT, &json!({}))?;
    let spread = spread_over(lab, &["n1", "n2", "n3"])?;
    lab.node("n2")?.power_off()?;
    let rest = spread_over(lab, &["n1", "n3"])?;
    let verdict = watch.stop()?;
    assert!(!verdict.ever_two());
    for (number, address) in addresses.iter().enumerate() {
        let name = name(number);
        let (before, after) = (&spread[&name], &rest[&name]);
        assert!(before == after || before == "n2", "{name} moved from {before} to {after} without need");
        let mut owners = vec![before.as_str()];
        owners.extend((before != after).then_some(after.as_str()));
        assert_eq!(verdict.owners(address)?, owners, "{name}");
        assert_eq!(holders(lab, address)?, [after.as_str()], "{name}");
    }
    Ok(evenly(&spread, &["n1", "n2", "n3"]).and_then(|()| evenly(&rest, &["n1", "n3"])))
}

/// Waits until all of them are Ready on these nodes, and gives who has which.
fn spread_over(lab: &Cluster, nodes: &[&str]) -> Result<BTreeMap<String, String>> {
    until(&format!("all are Ready on {nodes:?}"), PATIENCE, || {
        let owners = owners(&lab.get(&["virtualips"])?)?;
        let there = owners.values().filter(|owner| nodes.contains(&owner.as_str())).count();
        if (owners.len(), there) == (COUNT, COUNT) {
            return Ok(Some(owners));
        }
        Err(Error::other(format!("{} are Ready, {there} on {nodes:?}", owners.len())))
    })
}

/// How many more one node may have than another: one that is slow to claim in its turn leaves some to the next.
const UNEVEN: usize = 4;

fn evenly(owners: &BTreeMap<String, String>, nodes: &[&str]) -> std::result::Result<(), String> {
    let counts: Vec<_> =
        nodes.iter().map(|node| owners.values().filter(|owner| owner == node).count()).collect();
    let difference = counts.iter().max().zip(counts.iter().min()).map_or(0, |(max, min)| max - min);
    if difference <= UNEVEN { Ok(()) } else { Err(format!("not spread evenly: {counts:?} on {nodes:?}")) }
}

/// The owner of each that is Ready.
fn owners(list: &Value) -> Result<BTreeMap<String, String>> {
    let items = list["items"].as_array().ok_or_else(|| Error::other("kubectl printed no list"))?;
    let is_ready = |item: &&Value| {
        let conditions = item["status"]["conditions"].as_array();
        conditions.is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let owner = |item: &Value| (text(&item["metadata"]["name"]), text(&item["status"]["node"]));
    Ok(items.iter().filter(is_ready).map(owner).collect())
}

/// For how long writes are counted.
const COUNTED: Duration = Duration::from_secs(30);
/// A window that begins a moment earlier may contain one more of each periodic write: of the agents', the kubelets' and the
/// controllers'.
const BOUNDARY: u128 = 8;

/// Each node that owns something renews its own Lease. All are on one node here, so that only their number differs.
fn the_writes_to_the_api_server_do_not_grow_with_their_number(lab: &Cluster) -> Outcome {
    lab.kubectl(&["label", "node", "n1", &format!("{LABEL}=true")])?;
    let here = json!({"placement": {"nodeSelector": {LABEL: "true"}}});
    let (mut writes, mut within) = (Vec::new(), COUNTED);
    for count in [0..1, 1..COUNT] {
        let up_to = count.end;
        apply(lab, count, &here)?;
        until("all are Ready", PATIENCE, || {
            Ok((owners(&lab.get(&["virtualips"])?)?.len() == up_to).then_some(()))
        })?;
        // Events and statuses of the beginning are still being written.
        settled(lab)?;
        let start = Instant::now();
        let before = written(lab)?;
        thread::sleep(COUNTED);
        let after = written(lab)?;
        // At least COUNTED; more by the time that reading took.
        within = start.elapsed();
        writes
            .push(after.iter().map(|(what, n)| (what.clone(), n - before.get(what).unwrap_or(&0))).collect());
    }
    let totals: Vec<u64> = writes.iter().map(|w: &BTreeMap<String, u64>| w.values().sum()).collect();
    println!("writes in {COUNTED:?} with 1 and with {COUNT}: {totals:?}");
    let [one, fifty] = totals[..] else { return Err("two counts were made".into()) };
    let as_many = u128::from(one) * within.as_millis() / COUNTED.as_millis();
    assert!(one > 0 && u128::from(fifty) <= as_many + BOUNDARY, "{writes:?}, the latter within {within:?}");
    Ok(())
}

/// Waits until a second passes in which no status and no Event was written.
fn settled(lab: &Cluster) -> Result<()> {
    let mut before = None;
    until("the statuses come to rest", PATIENCE, || {
        let mut now = written(lab)?;
        now.retain(|what, _| !what.contains("leases"));
        let rest = before.as_ref() == Some(&now);
        before = Some(now);
        thread::sleep(Duration::from_secs(1));
        Ok(rest.then_some(()))
    })
}

/// How many writes the API server has done so far, by verb and resource, of the kinds of objects that agents write.
fn written(lab: &Cluster) -> Result<BTreeMap<String, u64>> {
    let metrics = lab.kubectl(&["get", "--raw", "/metrics"])?;
    let mut written = BTreeMap::new();
    for line in metrics.lines().filter(|line| line.starts_with("apiserver_request_total{")) {
        let label = |name: &str| {
            let (_, rest) = line.split_once(&format!("{name}=\"")).unwrap_or_default();
            rest.split('"').next().unwrap_or_default().to_owned()
        };
        let ours = ["leases", "virtualips", "virtualipnodes", "events"].contains(&label("resource").as_str());
        if ours && ["POST", "PUT", "PATCH", "APPLY", "DELETE"].contains(&label("verb").as_str()) {
            let count =
                line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok()).unwrap_or_default();
            *written.entry(format!("{} {}", label("verb"), label("resource"))).or_default() += count;
        }
    }
    Ok(written)
}

/// Applies those with these numbers, all with the same addition to their spec.
fn apply(lab: &Cluster, numbers: std::ops::Range<usize>, more: &Value) -> Result<()> {
    let items = numbers.map(|number| {
        let mut spec = more.clone();
        spec["addresses"] = json!([address(number)]);
        manifest(&name(number), &spec)
    });
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items.collect::<Vec<_>>()});
    lab.apply(&list.to_string()).map(drop)
}

fn name(number: usize) -> String {
    format!("many-{number:02}")
}

fn address(number: usize) -> String {
    format!("192.168.200.{}", 100 + number)
}
