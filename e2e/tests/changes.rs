//! Interfaces that change under an address: it is told again from there, or another node has it, and is never on two.

use super::vip::{PATIENCE, Vip, holders};
use crate::{
    lab::{
        Cluster, Error, InterfacePlan, Node, Result, addresses::DATA, audit::boottime_us, judge::Verdict,
        run::until,
    },
    runner::Outcome,
};
use serde_json::{Value, json};
use std::time::Instant;

super::tests![
    while_owning_the_interface_is_renamed_and_the_address_is_told_again,
    while_owning_the_named_interface_is_renamed_and_another_node_takes_over,
    while_owning_the_interface_is_removed_and_its_successor_of_the_same_name_may_have_it,
    while_owning_the_interface_becomes_a_port_and_another_node_takes_over,
    while_owning_the_mtu_changes_and_the_address_is_told_again,
    while_owning_the_hardware_address_changes_and_the_client_believes_it,
    while_owning_the_nodes_own_address_is_removed_and_the_virtual_one_stays_or_is_back,
    while_owning_the_nodes_own_address_is_removed_and_with_it_the_subnet,
];

const ADDRESS: &str = "192.168.200.210";
const ADDRESS6: &str = "2001:db8::210";
/// One of a card of another make.
const MAC: &str = "02:00:00:00:aa:01";

/// It is announced once: whatever is said later is said for a reason.
fn spec() -> Value {
    json!({"addresses": [ADDRESS, ADDRESS6], "announcement": {"count": 1, "refreshIntervalSeconds": 0}})
}

fn on_eth1(addresses: &[&str]) -> Value {
    json!({"addresses": addresses, "interface": "eth1"})
}

fn ready<'a>(lab: &'a Cluster, spec: &Value) -> Result<(Vip<'a>, String)> {
    let vip = Vip::apply(lab, "web", spec)?;
    vip.wait_ready()?;
    let owner = vip.owner()?;
    Ok((vip, owner))
}

/// Does something to the owner's `eth1`, and gives the node a new one afterwards, however that ended.
fn changing(node: &Node, change: impl FnOnce() -> Outcome) -> Outcome {
    let outcome = change();
    node.unplug("eth1")?;
    node.plug(&InterfacePlan::new("eth1", &DATA))?;
    outcome
}

fn while_owning_the_interface_is_renamed_and_the_address_is_told_again(lab: &Cluster) -> Outcome {
    let (vip, owner) = ready(lab, &spec())?;
    let node = lab.node(&owner)?;
    changing(node, || {
        let verdict =
            told_after(lab, node, || node.exec(&["ip", "link", "set", "eth1", "name", "lan7"]).map(drop))?;
        until("the object names the interface", PATIENCE, || {
            Ok((vip.object()?["status"]["interface"] == "lan7").then_some(()))
        })?;
        for address in [ADDRESS, ADDRESS6] {
            assert_eq!(verdict.owners(address)?, [owner.as_str()]);
        }
        assert_eq!(holders(lab, ADDRESS)?, [owner.as_str()]);
        Ok(())
    })
}

fn while_owning_the_named_interface_is_renamed_and_another_node_takes_over(lab: &Cluster) -> Outcome {
    handed_over(lab, |node| node.exec(&["ip", "link", "set", "eth1", "name", "lan7"]).map(drop))
}

fn while_owning_the_interface_becomes_a_port_and_another_node_takes_over(lab: &Cluster) -> Outcome {
    let outcome = handed_over(lab, |node| {
        node.exec(&["ip", "link", "add", "bridge0", "type", "bridge", "forward_delay", "0"])?;
        node.exec(&["ip", "link", "set", "bridge0", "up"])?;
        node.exec(&["ip", "link", "set", "eth1", "master", "bridge0"]).map(drop)
    });
    for node in lab.nodes() {
        if node.exec(&["ip", "-oneline", "link"])?.contains("bridge0") {
            node.exec(&["ip", "link", "del", "bridge0"])?;
        }
    }
    outcome
}

fn handed_over(lab: &Cluster, change: impl FnOnce(&Node) -> Result<()>) -> Outcome {
    let (vip, owner) = ready(lab, &on_eth1(&[ADDRESS, ADDRESS6]))?;
    let node = lab.node(&owner)?;
    changing(node, || {
        let (mut new, start) = (String::new(), Instant::now());
        let verdict = lab.watch_while(&[ADDRESS, ADDRESS6], || {
            change(node)?;
            new = vip.wait_moved(&owner)?;
            eprintln!("    {new} has it after {:.1?}", start.elapsed());
            vip.wait_ready()?;
            answered_by(lab, lab.node(&new)?)
        })?;
        assert!(!verdict.ever_two());
        lab.seen().silence(verdict.longest_silence());
        eprintln!(
            "    all is well after {:.1?}, longest silence {:.1?}",
            start.elapsed(),
            verdict.longest_silence()
        );
        for address in [ADDRESS, ADDRESS6] {
            assert_eq!(verdict.owners(address)?, [owner.as_str(), new.as_str()]);
            assert_eq!(holders(lab, address)?, [new.as_str()]);
        }
        Ok(())
    })
}

fn while_owning_the_interface_is_removed_and_its_successor_of_the_same_name_may_have_it(
    lab: &Cluster,
) -> Outcome {
    let (vip, owner) = ready(lab, &on_eth1(&[ADDRESS, ADDRESS6]))?;
    let node = lab.node(&owner)?;
    let mut new = String::new();
    let verdict = lab.watch_while(&[ADDRESS, ADDRESS6], || {
        node.unplug("eth1")?;
        new = vip.wait_moved(&owner)?;
        vip.wait_ready()?;
        node.plug(&InterfacePlan::new("eth1", &DATA))?;
        let others = lab.nodes().iter().filter(|other| other.name() != owner);
        others.map(|other| lab.standby(other.name(), true)).collect::<Result<Vec<_>>>()?;
        until("it is back where it was", PATIENCE, || Ok((vip.owner()? == owner).then_some(())))?;
        vip.wait_ready()?;
        answered_by(lab, node)
    })?;
    assert!(!verdict.ever_two());
    for address in [ADDRESS, ADDRESS6] {
        let owners = verdict.owners(address)?;
        assert_eq!((owners.first(), owners.last()), (Some(&owner), Some(&owner)), "{owners:?}");
        assert!(owners.contains(&new));
    }
    Ok(())
}

fn while_owning_the_mtu_changes_and_the_address_is_told_again(lab: &Cluster) -> Outcome {
    let (_, owner) = ready(lab, &spec())?;
    let node = lab.node(&owner)?;
    changing(node, || {
        let verdict =
            told_after(lab, node, || node.exec(&["ip", "link", "set", "eth1", "mtu", "1400"]).map(drop))?;
        assert_eq!(verdict.owners(ADDRESS)?, [owner.as_str()]);
        Ok(())
    })
}

/// By the client's kernel, whose entries are fresh: it asks nobody.
fn while_owning_the_hardware_address_changes_and_the_client_believes_it(lab: &Cluster) -> Outcome {
    let (vip, owner) = ready(lab, &json!({"addresses": [ADDRESS, ADDRESS6]}))?;
    let node = lab.node(&owner)?;
    changing(node, || {
        answered_by(lab, node)?;
        let verdict = lab.watch_while(&[ADDRESS, ADDRESS6], || {
            node.exec(&["ip", "link", "set", "eth1", "address", MAC])?;
            [ADDRESS, ADDRESS6].iter().try_for_each(|address| is_at(lab, address, MAC))?;
            vip.wait_ready()
        })?;
        for address in [ADDRESS, ADDRESS6] {
            assert_eq!(verdict.owners(address)?, [owner.as_str(), MAC]);
            let told = verdict.of(address)?.announcements.iter();
            assert!(told.map(|told| &told.mac).any(|mac| mac == MAC), "{address}");
        }
        assert_eq!(vip.owner()?, owner);
        Ok(())
    })
}

/// IPaddr2's weak spot 3: with `promote_secondaries` 0 the kernel takes it along.
fn while_owning_the_nodes_own_address_is_removed_and_the_virtual_one_stays_or_is_back(
    lab: &Cluster,
) -> Outcome {
    for promote in ["0", "1"] {
        let (vip, owner) = ready(lab, &on_eth1(&[&format!("{ADDRESS}/24"), ADDRESS6]))?;
        let node = lab.node(&owner)?;
        without_own_address(&vip, node, promote, || {
            let verdict = lab.watch_while(&[ADDRESS, ADDRESS6], || {
                node.remove_base_address()?;
                until("it is there", PATIENCE, || {
                    let shown = node.exec(&["ip", "-oneline", "address", "show", "to", ADDRESS])?;
                    Ok(shown.contains(&format!("{ADDRESS}/24")).then_some(()))
                })?;
                answered_by(lab, node)?;
                vip.wait_ready()
            })?;
            for address in [ADDRESS, ADDRESS6] {
                assert_eq!(verdict.owners(address)?, [owner.as_str()], "promote_secondaries={promote}");
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Nothing says any more that the wire is the right one, where the interface is not named.
fn while_owning_the_nodes_own_address_is_removed_and_with_it_the_subnet(lab: &Cluster) -> Outcome {
    for promote in ["0", "1"] {
        let (vip, owner) = ready(lab, &json!({"addresses": [format!("{ADDRESS}/24")]}))?;
        let node = lab.node(&owner)?;
        without_own_address(&vip, node, promote, || {
            let mut new = String::new();
            let verdict = lab.watch_while(&[ADDRESS], || {
                node.remove_base_address()?;
                new = vip.wait_moved(&owner)?;
                vip.wait_ready()?;
                answered_by_v4(lab, lab.node(&new)?)
            })?;
            assert!(!verdict.ever_two());
            assert_eq!(verdict.owners(ADDRESS)?, [owner.as_str(), new.as_str()]);
            Ok(())
        })?;
    }
    Ok(())
}

fn without_own_address(vip: &Vip<'_>, node: &Node, promote: &str, work: impl FnOnce() -> Outcome) -> Outcome {
    node.promote_secondaries(promote)?;
    let outcome = work();
    // The virtual one is the first of the subnet now: it shall not take the node's along.
    node.promote_secondaries("1")?;
    node.restore_base_address()?;
    vip.delete()?;
    node.promote_secondaries("0")?;
    outcome
}

/// Waits until the owner has announced both addresses after the change, and gives what the client saw and heard.
fn told_after(
    lab: &Cluster,
    node: &Node,
    change: impl FnOnce() -> Result<()>,
) -> std::result::Result<Verdict, Box<dyn std::error::Error>> {
    let mut since = 0;
    let verdict = lab.watch_while(&[ADDRESS, ADDRESS6], || {
        let before = announcements(node)?;
        since = boottime_us()?;
        change()?;
        until("it is announced again", PATIENCE, || {
            let now = announcements(node)?;
            Ok(now.iter().zip(&before).all(|(now, before)| now > before).then_some(()))
        })?;
        answered_by(lab, node)
    })?;
    assert!(!verdict.ever_two());
    for address in [ADDRESS, ADDRESS6] {
        let heard = verdict.of(address)?.announcements.iter();
        let heard: Vec<u64> = heard.map(|told| verdict.report.start_boottime_us + told.at_us).collect();
        assert!(heard.iter().any(|at| *at >= since), "{address}: {heard:?}, since {since}");
    }
    Ok(verdict)
}

/// How many the node has sent, of each family.
fn announcements(node: &Node) -> Result<[u64; 2]> {
    let metrics = node.agent_get("/metrics")?;
    let count = |protocol: &str| {
        let name = format!("virtualip_announcements_total{{protocol=\"{protocol}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
        line.and_then(|count| count.parse().ok()).unwrap_or_default()
    };
    Ok([count("arp"), count("na")])
}

/// The client reaches both addresses, and at this node.
fn answered_by(lab: &Cluster, node: &Node) -> Result<()> {
    answered_by_v4(lab, node)?;
    lab.client_exec(&["ping", "-c1", "-W5", ADDRESS6])?;
    is_at(lab, ADDRESS6, &node.mac("eth1")?)
}

fn answered_by_v4(lab: &Cluster, node: &Node) -> Result<()> {
    lab.client_exec(&["ping", "-c1", "-W5", ADDRESS])?;
    is_at(lab, ADDRESS, &node.mac("eth1")?)
}

/// Waits until that is what the client's kernel believes.
fn is_at(lab: &Cluster, address: &str, mac: &str) -> Result<()> {
    until(&format!("{address} is at {mac}"), PATIENCE, || {
        let entry = lab.client_exec(&["ip", "neighbour", "show", address, "dev", "eth0"])?;
        if entry.contains(mac) { Ok(Some(())) } else { Err(Error::other(entry)) }
    })
}
