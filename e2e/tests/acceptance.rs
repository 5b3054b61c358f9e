//! The acceptance tests of those who wrote about IPaddr2 and Pacemaker, in the order of their write-ups. A test is one of their
//! sentences.

use super::vip::{Vip, holders};
use crate::{
    lab::{
        Cluster, Error, InterfacePlan, Result,
        addresses::DATA,
        run::until,
        stage::{PATIENCE, Stage},
    },
    runner::{LABEL, Outcome},
};
use serde_json::json;
use std::{thread, time::Duration};

super::tests![
    acceptance_a_host_address_is_in_ip_addr_and_by_its_label_in_ifconfig,
    acceptance_c_the_clients_arp_entry_is_the_owners_also_after_it_was_halted_and_came_back,
    acceptance_d1_nothing_is_placed_before_membership_is_known,
    acceptance_d2_the_address_is_on_the_owners_interface_and_on_no_other_node,
    acceptance_d3_d4_a_graceful_stop_moves_it_and_after_the_rejoin_it_stays,
    acceptance_d7_d8_the_survivor_of_a_hard_stop_has_it_and_keeps_it,
    acceptance_e1_interfaces_differ_per_node_and_none_is_named,
    acceptance_e2_without_an_interface_in_the_subnet_a_clear_failure_and_the_next_node_is_tried,
    acceptance_e3_on_an_interface_without_any_address_it_becomes_the_primary_one,
    acceptance_e4_a_ping_once_a_second_loses_at_most_one_packet,
    acceptance_e5_two_owners_never,
    acceptance_e6_moves_and_failures_are_shown,
    weak_spot_9_a_node_that_failed_once_is_tried_again,
];

const ADDRESS: &str = "192.168.200.210";
const NAME: &str = "vip.example.org";

fn acceptance_a_host_address_is_in_ip_addr_and_by_its_label_in_ifconfig(lab: &Cluster) -> Outcome {
    let owner = Vip::ready(lab, "web", &[ADDRESS])?.owner()?;
    let node = lab.node(&owner)?;
    assert!(node.exec(&["ip", "address", "show", "dev", "eth1"])?.contains(&format!("inet {ADDRESS}/32 ")));
    let listed = node.exec(&["ifconfig"])?;
    assert!(listed.contains("eth1:vip: ") && listed.contains(&format!("inet {ADDRESS} ")), "{listed}");
    Ok(())
}

fn acceptance_c_the_clients_arp_entry_is_the_owners_also_after_it_was_halted_and_came_back(
    lab: &Cluster,
) -> Outcome {
    // The client has mounts of its own: nobody else sees this file.
    let names = lab.dir().join("names");
    std::fs::write(&names, format!("127.0.0.1 localhost\n{ADDRESS} {NAME}\n"))?;
    lab.client_exec(&["mount", "--bind", &names.to_string_lossy(), "/etc/hosts"])?;
    let outcome = arp_follows(lab);
    lab.client_exec(&["umount", "/etc/hosts"])?;
    outcome
}

fn arp_follows(lab: &Cluster) -> Outcome {
    let vip = Vip::ready(lab, "web", &[ADDRESS])?;
    let owner = vip.owner()?;
    assert_eq!(holders(lab, ADDRESS)?, [owner.as_str()]);
    assert_eq!(neighbour(lab)?, lab.node(&owner)?.mac("eth1")?);
    lab.node(&owner)?.power_off()?;
    let new = vip.wait_moved(&owner)?;
    assert_eq!(neighbour(lab)?, lab.node(&new)?.mac("eth1")?);
    lab.node(&owner)?.power_on()?;
    lab.wait_nodes_ready()?;
    lab.wait_agents_ready()?;
    assert_eq!((vip.owner()?, holders(lab, ADDRESS)?), (new.clone(), vec![new.clone()]));
    assert_eq!(neighbour(lab)?, lab.node(&new)?.mac("eth1")?);
    Ok(())
}

/// Pings the name, and gives the hardware address to which that went.
fn neighbour(lab: &Cluster) -> Result<String> {
    until(&format!("{NAME} answers"), PATIENCE, || {
        lab.client_exec(&["ping", "-c1", "-W1", NAME])?;
        let entry = lab.client_exec(&["ip", "neighbour", "show", ADDRESS, "dev", "eth0"])?;
        let mut words = entry.split_whitespace().skip_while(|word| *word != "lladdr");
        Ok(words.nth(1).map(str::to_owned))
    })
}

/// A node that cannot reach the API server does not know who else is there: its agent waits, however much it wants to.
fn acceptance_d1_nothing_is_placed_before_membership_is_known(lab: &Cluster) -> Outcome {
    let stage = Stage::dual(lab)?;
    let plane = lab.control_plane();
    plane.kill_api();
    let agents = lab.nodes().iter().map(|node| Ok((node, node.kill_agent()?))).collect::<Result<Vec<_>>>()?;
    for (node, old) in agents {
        node.wait_new_agent(old)?;
    }
    stage.silent()?;
    // As long as a lease: nobody shall become impatient.
    thread::sleep(Duration::from_secs(3));
    stage.silent()?;
    plane.start_api()?;
    stage.end()?;
    Ok(())
}

fn acceptance_d2_the_address_is_on_the_owners_interface_and_on_no_other_node(lab: &Cluster) -> Outcome {
    let vip = Vip::ready(lab, "web", &[ADDRESS])?;
    let owner = vip.owner()?;
    on_exactly(lab, &owner, "eth1")?;
    assert_eq!(vip.object()?["status"]["interface"], "eth1");
    Ok(())
}

fn acceptance_d3_d4_a_graceful_stop_moves_it_and_after_the_rejoin_it_stays(lab: &Cluster) -> Outcome {
    let vip = Vip::ready(lab, "web", &[ADDRESS])?;
    let owner = vip.owner()?;
    let mut new = String::new();
    let verdict = lab.watch_while(&[ADDRESS], || {
        standby(lab, &owner, true)?;
        new = vip.wait_moved(&owner)?;
        on_exactly(lab, &new, "eth1")?;
        standby(lab, &owner, false)?;
        vip.wait_ready()?;
        on_exactly(lab, &new, "eth1")
    })?;
    assert!(!verdict.ever_two());
    assert_eq!(verdict.owners(ADDRESS)?, [owner.as_str(), new.as_str()]);
    Ok(())
}

fn acceptance_d7_d8_the_survivor_of_a_hard_stop_has_it_and_keeps_it(lab: &Cluster) -> Outcome {
    let stage = Stage::dual(lab)?;
    let owner = stage.owner.clone();
    lab.node(&owner)?.power_off()?;
    let new = stage.moved()?;
    lab.node(&owner)?.power_on()?;
    lab.wait_nodes_ready()?;
    lab.wait_agents_ready()?;
    // Nobody prefers the first node: staying is worth more.
    let ending = stage.end()?;
    assert_eq!(ending.verdict.owners("192.168.200.200")?, [owner, new]);
    Ok(())
}

/// `eth1` here, `lan0` there.
fn acceptance_e1_interfaces_differ_per_node_and_none_is_named(lab: &Cluster) -> Outcome {
    let second = lab.node("n2")?;
    second.unplug("eth1")?;
    second.plug(&InterfacePlan::new("lan0", &DATA))?;
    let vip = Vip::ready(lab, "web", &[ADDRESS])?;
    for (node, interface) in [("n2", "lan0"), ("n3", "eth1"), ("n1", "eth1"), ("n2", "lan0")] {
        for other in ["n1", "n2", "n3"].into_iter().filter(|other| *other != node) {
            standby(lab, other, true)?;
        }
        until(&format!("{node} has it on {interface}"), PATIENCE, || {
            on_exactly(lab, node, interface)?;
            Ok((vip.object()?["status"]["interface"] == interface && vip.owner()? == node).then_some(()))
        })?;
        // The next one must be there before this one leaves.
        ["n1", "n2", "n3"].into_iter().try_for_each(|node| standby(lab, node, false))?;
    }
    Ok(())
}

fn acceptance_e2_without_an_interface_in_the_subnet_a_clear_failure_and_the_next_node_is_tried(
    lab: &Cluster,
) -> Outcome {
    let elsewhere = "203.0.113.10";
    let vip = Vip::apply(lab, "elsewhere", &json!({"addresses": [elsewhere]}))?;
    let message = vip.wait_reason("NoEligibleNode")?;
    assert!(message.contains(&format!("no interface has a subnet that contains {elsewhere}")), "{message}");
    assert!(holders(lab, elsewhere)?.is_empty());
    // One after the other has the subnet and loses it: each time the next one is tried.
    for name in ["n3", "n2"] {
        let node = lab.node(name)?;
        node.plug(&InterfacePlan::new("extra0", &["203.0.113.0/24"]))?;
        vip.wait_ready()?;
        assert_eq!(holders(lab, elsewhere)?, [name]);
        node.unplug("extra0")?;
        vip.wait_reason("NoEligibleNode")?;
        assert!(holders(lab, elsewhere)?.is_empty());
    }
    Ok(())
}

fn acceptance_e3_on_an_interface_without_any_address_it_becomes_the_primary_one(lab: &Cluster) -> Outcome {
    let node = lab.node("n2")?;
    node.plug(&InterfacePlan::new("bare0", &[]))?;
    let spec = json!({"addresses": ["203.0.113.10/24"], "interface": "bare0"});
    let vip = Vip::apply(lab, "bare", &spec)?;
    vip.wait_ready()?;
    assert_eq!(holders(lab, "203.0.113.10")?, ["n2"]);
    let shown = node.exec(&["ip", "-4", "-oneline", "address", "show", "dev", "bare0"])?;
    assert!(shown.contains("inet 203.0.113.10/24") && !shown.contains("secondary"), "{shown}");
    assert!(node.exec(&["ip", "route"])?.contains("203.0.113.0/24 dev bare0"));
    Ok(())
}

/// While it is handed over twice: to empty the node, and because the agent is stopped.
fn acceptance_e4_a_ping_once_a_second_loses_at_most_one_packet(lab: &Cluster) -> Outcome {
    let vip = Vip::ready(lab, "web", &[ADDRESS])?;
    let owner = vip.owner()?;
    let words = ["-i1", "-c8", "-W1", ADDRESS].map(str::to_owned);
    let client = std::sync::Arc::clone(lab.client());
    let ping = thread::spawn(move || {
        let words: Vec<_> = std::iter::once("ping".to_owned()).chain(words).collect();
        client.output(&words)
    });
    standby(lab, &owner, true)?;
    let second = vip.wait_moved(&owner)?;
    standby(lab, &owner, false)?;
    lab.kubectl(&["delete", "-n", crate::lab::deploy::NAMESPACE, &lab.agent_pod(&second)?])?;
    vip.wait_moved(&second)?;
    let said = ping.join().map_err(|_| "the pinging thread died")??;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    println!("{}", said.lines().rev().nth(1).unwrap_or_default());
    let received = said.lines().find_map(|line| {
        line.split(", ").find_map(|part| part.strip_suffix(" received")?.parse::<u32>().ok())
    });
    assert!(received.is_some_and(|received| received >= 7), "{said}");
    Ok(())
}

/// A crash of the stack, a partition, a link that flaps, a restart of the daemon: one after the other, under one observer.
fn acceptance_e5_two_owners_never(lab: &Cluster) -> Outcome {
    let stage = Stage::dual(lab)?;
    let mut owner = stage.owner.clone();
    for fault in ["crash of the stack", "partition", "link flap", "daemon restart"] {
        let node = lab.node(&owner)?;
        match fault {
            "crash of the stack" => node.kill_programs()?,
            "partition" => node.cut_off()?,
            "link flap" => node.flap("eth1", 5)?,
            _ => node.kill_agent().and_then(|old| node.wait_new_agent(old)).map(drop)?,
        }
        if matches!(fault, "crash of the stack" | "partition") {
            stage.moved_from(&owner)?;
        }
        node.repair()?;
        lab.wait_nodes_ready()?;
        lab.wait_agents_ready()?;
        owner = stage.settled()?;
        println!("after {fault}: {owner}");
    }
    stage.end()?;
    Ok(())
}

fn acceptance_e6_moves_and_failures_are_shown(lab: &Cluster) -> Outcome {
    let vip = Vip::ready(lab, "web", &[ADDRESS])?;
    let first = vip.owner()?;
    standby(lab, &first, true)?;
    let second = vip.wait_moved(&first)?;
    standby(lab, &first, false)?;
    lab.node(&second)?.power_off()?;
    let third = vip.wait_moved(&second)?;
    vip.wait_ready()?;
    let row = lab.kubectl(&["get", "vip", "web", "-o", "wide"])?;
    let line = row.lines().nth(1).unwrap_or_default();
    assert!(line.split_whitespace().any(|word| word == "2"), "two moves in {row}");
    // The summary: who had it, in order, and why each lost it.
    let uid = lab.kubectl(&["get", "vip/web", "-o", "jsonpath={.metadata.uid}"])?;
    let about = format!("--field-selector=involvedObject.uid={uid}");
    let told = until("the Events tell the whole story", PATIENCE, || {
        let said = lab.kubectl(&[
            "get",
            "events",
            &about,
            "-o",
            "jsonpath={range .items[*]}{.reason}: {.message}{\"\\n\"}{end}",
        ])?;
        let all = [&first, &second, &third].iter().all(|node| said.contains(&format!("{node} answers")));
        if all { Ok(Some(said)) } else { Err(Error::other(said)) }
    })?;
    println!("{told}");
    Ok(())
}

/// Under Pacemaker a start that failed bans the node for ever. Here the reason goes, and so does the ban.
fn weak_spot_9_a_node_that_failed_once_is_tried_again(lab: &Cluster) -> Outcome {
    lab.kubectl(&["label", "node", "n2", &format!("{LABEL}=true")])?;
    let spec = json!({"addresses": [ADDRESS], "placement": {"nodeSelector": {LABEL: "true"}}});
    let node = lab.node("n2")?;
    node.exec(&["sysctl", "-qw", "net.ipv6.conf.eth1.disable_ipv6=1"])?;
    let spec6 = json!({"addresses": ["2001:db8::210"], "interface": "eth1", "placement": {"nodeSelector": {LABEL: "true"}}});
    let (vip, vip6) = (Vip::apply(lab, "web", &spec)?, Vip::apply(lab, "web6", &spec6)?);
    vip.wait_ready()?;
    let refused = vip6.wait_reason("Error");
    node.exec(&["sysctl", "-qw", "net.ipv6.conf.eth1.disable_ipv6=0"])?;
    node.exec(&["ip", "address", "replace", "2001:db8::12/64", "dev", "eth1", "nodad"])?;
    println!("{}", refused?);
    vip6.wait_ready()?;
    assert_eq!(holders(lab, "2001:db8::210")?, ["n2"]);
    // The same for one that ran there: the interface fails three times, and three times it is tried again.
    for _ in 0..3 {
        node.interface_down("eth1")?;
        vip.wait_reason("NoEligibleNode")?;
        node.interface_up("eth1")?;
        vip.wait_ready()?;
        assert_eq!(holders(lab, ADDRESS)?, ["n2"]);
    }
    Ok(())
}

fn standby(lab: &Cluster, node: &str, standby: bool) -> Result<()> {
    let patch = json!({"spec": {"standby": standby}}).to_string();
    lab.kubectl(&["patch", "vipnode", node, "--type", "merge", "-p", &patch]).map(drop)
}

/// As `inet A/32 scope global` on that interface of that node, and nowhere else.
fn on_exactly(lab: &Cluster, node: &str, interface: &str) -> Result<()> {
    let shown = lab.node(node)?.exec(&["ip", "-oneline", "address", "show", "dev", interface])?;
    let with = holders(lab, ADDRESS)?;
    if with == [node] && shown.contains(&format!("inet {ADDRESS}/32 scope global")) {
        return Ok(());
    }
    Err(Error::other(format!("{with:?} have it; {interface} of {node} has {shown}")))
}
