//! What it costs an agent that a thousand addresses live on: the released program, on a node that has them all.

use super::{
    figures::Figures,
    idle::processor_time,
    lab::{Cluster, Node, Result, error::Error, run::until},
};
use serde_json::json;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::Range,
    thread,
    time::Duration,
};

const ADDRESSES: u32 = 1_000;
/// So many a `VirtualIP` may have.
const EACH: u32 = 16;
/// How long a thousand may take to come through the API server.
const PATIENCE: Duration = Duration::from_mins(2);
/// After this nothing is left of the beginning: first announcements, statuses.
const REST: Duration = Duration::from_secs(40);
/// As long as the kernel keeps one of a thousand: each is renewed in it.
const COUNT: Duration = Duration::from_secs(100);

/// Measures it for each family, as the difference to the same agent with as many `VirtualIP`s of one address.
///
/// # Errors
/// When they do not all come up on that node.
pub fn measure(lab: &Cluster, figures: &mut Figures) -> Result<()> {
    let [owner, others @ ..] = lab.nodes() else { return Err(Error::other("the lab has no nodes")) };
    others.iter().try_for_each(|node| lab.standby(node.name(), true))?;
    let alone = busy(lab, owner, IpAddr::from(Ipv4Addr::new(10, 88, 0, 1)), (ADDRESSES.div_ceil(EACH), 1))?;
    for (name, first) in [
        ("thousand_addresses", IpAddr::from(Ipv4Addr::new(10, 88, 0, 1))),
        ("thousand_ipv6_addresses", IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1))),
    ] {
        let busy = busy(lab, owner, first, (ADDRESSES, EACH))?;
        figures.note(&format!("{name}_renewed_core_percent"), busy - alone);
        figures.note(&format!("{name}_agent_core_percent"), busy);
    }
    others.iter().try_for_each(|node| lab.standby(node.name(), false))
}

/// Percent of a core of the agent while the node has so many addresses, which nobody hears of any more.
fn busy(lab: &Cluster, node: &Node, first: IpAddr, (addresses, each): (u32, u32)) -> Result<f64> {
    eprintln!(
        "measuring {} with {addresses} addresses from {first} on over {} s ...",
        node.name(),
        COUNT.as_secs()
    );
    lab.delete_virtualips(Duration::from_mins(2))?;
    let items: Vec<_> = (0..addresses)
        .step_by(each as usize)
        .map(|start| manifest(first, start..addresses.min(start + each)))
        .collect();
    lab.apply(&json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string())?;
    let last = nth(first, addresses - 1);
    until(&format!("{addresses} addresses are up"), PATIENCE, || {
        let there = node.addresses()?;
        let up = (0..addresses).filter(|n| there.contains(&nth(first, *n))).count();
        if up == addresses as usize { Ok(Some(last)) } else { Err(Error::other(format!("{up} are up"))) }
    })?;
    thread::sleep(REST);
    let agent = node.agent()?.pid;
    let before = processor_time(agent)?;
    thread::sleep(COUNT);
    let busy = processor_time(agent)?.saturating_sub(before);
    lab.delete_virtualips(Duration::from_mins(2))?;
    Ok(busy.as_secs_f64() * 100.0 / COUNT.as_secs_f64())
}

fn manifest(first: IpAddr, some: Range<u32>) -> serde_json::Value {
    json!({
        "apiVersion": "virtualip.dev/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": format!("many-{}", some.start), "namespace": "default"},
        "spec": {
            "addresses": some.map(|n| nth(first, n)).collect::<Vec<_>>(),
            "interface": "eth1",
            // Another figure.
            "announcement": {"refreshIntervalSeconds": 0},
            "conflictDetection": "None",
        },
    })
}

fn nth(first: IpAddr, n: u32) -> IpAddr {
    match first {
        IpAddr::V4(first) => Ipv4Addr::from_bits(first.to_bits() + n).into(),
        IpAddr::V6(first) => Ipv6Addr::from_bits(first.to_bits() + u128::from(n)).into(),
    }
}
