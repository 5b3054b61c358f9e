//! What a `VirtualIP` may ask for besides an owner, on the nodes of a cluster.

use super::vip::{PATIENCE, Vip, holders};
use crate::{
    lab::{Cluster, Error, InterfacePlan, Node, Result, addresses::DATA, run::until},
    runner::{LABEL, Outcome},
};
use serde_json::json;

super::tests![
    with_when_not_owner_loopback_every_node_has_the_address_and_one_answers,
    an_interface_is_chosen_by_the_labels_of_the_node,
];

const ADDRESS: &str = "192.168.200.212";
/// What direct routing needs: no answer for an address on the loopback interface, and no question in its name.
const QUIET: [&str; 2] = ["arp_ignore=1", "arp_announce=2"];
const LOUD: [&str; 2] = ["arp_ignore=0", "arp_announce=0"];

/// The load balancer's address: its owner takes the requests, the other nodes accept what it sends on to them.
fn with_when_not_owner_loopback_every_node_has_the_address_and_one_answers(lab: &Cluster) -> Outcome {
    lab.nodes().iter().try_for_each(|node| set(node, QUIET))?;
    let outcome = loopback(lab);
    lab.nodes().iter().try_for_each(|node| set(node, LOUD))?;
    outcome
}

fn loopback(lab: &Cluster) -> Outcome {
    let v6 = "2001:db8::212";
    let both = [ADDRESS, v6];
    let watch = lab.watch(&both)?;
    let vip = Vip::apply(lab, "balanced", &json!({"addresses": both, "whenNotOwner": "Loopback"}))?;
    vip.wait_ready()?;
    let first = vip.owner()?;
    both.iter().try_for_each(|address| spread(lab, address, &first))?;
    lab.standby(&first, true)?;
    let second = vip.wait_moved(&first)?;
    // The node that gave it up is one of the others now.
    both.iter().try_for_each(|address| spread(lab, address, &second))?;
    let verdict = watch.stop()?;
    assert!(!verdict.ever_two());
    for address in both {
        assert_eq!(verdict.owners(address)?, [first.as_str(), second.as_str()], "{address}");
    }
    // A node that would answer for it is told of, and does without.
    let careless = lab.nodes().iter().find(|node| node.name() != second).ok_or("a lab of one node")?;
    set(careless, LOUD)?;
    let message = vip.wait_condition("Degraded", "LoopbackUnsafe")?;
    let said = message.strip_prefix(&format!("{}: on interface ", careless.name()));
    assert!(said.is_some_and(|said| said.contains("arp_ignore is 0 and arp_announce is 0")), "{message}");
    until(&format!("{} is without {ADDRESS}", careless.name()), PATIENCE, || {
        Ok((!holders(lab, ADDRESS)?.contains(&careless.name().to_owned())).then_some(()))
    })?;
    set(careless, QUIET)?;
    vip.wait_condition("Degraded", "AsSpecified")?;
    spread(lab, ADDRESS, &second)?;
    vip.delete()?;
    until("no node has it any more", PATIENCE, || {
        let left = [holders(lab, ADDRESS)?, holders(lab, v6)?].concat();
        if left.is_empty() { Ok(Some(())) } else { Err(Error::other(format!("{left:?}"))) }
    })?;
    Ok(())
}

/// Waits until the owner has the address on `eth1` alone, and each other node on `lo` alone.
fn spread(lab: &Cluster, address: &str, owner: &str) -> Result<()> {
    until(&format!("{address} is on {owner}, and on lo elsewhere"), PATIENCE, || {
        for node in lab.nodes() {
            let interface = if node.name() == owner { "eth1" } else { "lo" };
            let shown = node.exec(&["ip", "-oneline", "address", "show", "to", address])?;
            let on: Vec<_> = shown.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
            if on != [interface] {
                return Err(Error::other(format!("{}: {on:?}", node.name())));
            }
        }
        Ok(Some(()))
    })
}

fn set(node: &Node, settings: [&str; 2]) -> Result<()> {
    let all = settings.map(|setting| format!("net.ipv4.conf.all.{setting}"));
    node.exec(&["sysctl", "-qw", &all[0], &all[1]]).map(drop)
}

/// On the second node the interface has another name, and the first has no entry.
fn an_interface_is_chosen_by_the_labels_of_the_node(lab: &Cluster) -> Outcome {
    let second = lab.node("n2")?;
    second.unplug("eth1")?;
    second.plug(&InterfacePlan::new("lan0", &DATA))?;
    for (node, value) in [("n2", "lan"), ("n3", "eth")] {
        lab.kubectl(&["label", "node", node, &format!("{LABEL}={value}")])?;
    }
    let choice = |name: &str, value: &str| json!({"name": name, "nodeSelector": {LABEL: value}});
    let interfaces = json!([choice("eth9", "lan"), choice("lan0", "lan"), choice("eth1", "eth")]);
    let watch = lab.watch(&[ADDRESS])?;
    lab.standby("n3", true)?;
    let vip = Vip::apply(lab, "chosen", &json!({"addresses": [ADDRESS], "interfaces": interfaces}))?;
    vip.wait_ready()?;
    on(lab, &vip, "n2", "lan0")?;
    lab.standby("n3", false)?;
    lab.standby("n2", true)?;
    vip.wait_moved("n2")?;
    on(lab, &vip, "n3", "eth1")?;
    lab.standby("n3", true)?;
    let message = vip.wait_reason("NoEligibleNode")?;
    assert!(message.contains("n1: no entry of spec.interfaces is for its labels"), "{message}");
    lab.kubectl(&["label", "node", "n1", &format!("{LABEL}=eth")])?;
    vip.wait_ready()?;
    on(lab, &vip, "n1", "eth1")?;
    let verdict = watch.stop()?;
    assert!(!verdict.ever_two());
    assert_eq!(verdict.owners(ADDRESS)?, ["n2", "n3", "n1"]);
    Ok(())
}

fn on(lab: &Cluster, vip: &Vip, node: &str, interface: &str) -> Result<()> {
    until(&format!("{node} has it on {interface}"), PATIENCE, || {
        let shown = lab.node(node)?.exec(&["ip", "-oneline", "address", "show", "dev", interface])?;
        let status = &vip.object()?["status"];
        let said = status["node"] == node && status["interface"] == interface;
        let there = shown.contains(&format!("inet {ADDRESS}/32 ")) && holders(lab, ADDRESS)? == [node];
        if said && there { Ok(Some(())) } else { Err(Error::other(format!("{status}; {shown}"))) }
    })
}
