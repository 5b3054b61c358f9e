//! The acceptance tests of those who wrote about IPaddr2 and Pacemaker, in the order of their write-ups. A test is one of their
//! sentences.

use super::vip::{Vip, holders};
use crate::{
    lab::{
        Cluster, Error, InterfacePlan, Node, Result,
        addresses::DATA,
        run::until,
        stage::{PATIENCE, Stage},
    },
    runner::{LABEL, Outcome},
};
use serde_json::{Value, json};
use std::{thread, time::Duration};

super::tests![
    acceptance_a_host_address_is_in_ip_addr_and_in_ifconfig_only_with_a_label,
    acceptance_c_the_clients_arp_entry_is_the_owners_also_after_it_was_halted_and_came_back,
    acceptance_d1_nothing_is_placed_before_membership_is_known,
    acceptance_d2_the_address_is_on_the_owners_interface_and_on_no_other_node,
    acceptance_d3_d4_a_graceful_stop_moves_it_and_after_the_rejoin_it_stays,
    acceptance_d7_d8_the_survivor_of_a_hard_stop_has_it_and_keeps_it,
    acceptance_e1_interfaces_differ_per_node_and_none_is_named,
    acceptance_e2_without_an_interface_in_the_subnet_a_clear_failure_and_the_next_node_is_tried,
    acceptance_e3_on_an_interface_without_any_address_even_down_it_becomes_the_primary_one,
    acceptance_e4_a_ping_once_a_second_loses_at_most_one_packet,
    acceptance_e5_two_owners_never,
    acceptance_e6_moves_are_shown,
    acceptance_e6_failures_are_counted_by_node,
    weak_spot_9_a_node_that_failed_once_is_tried_again,
];

const ADDRESS: &str = "192.168.200.210";
const NAME: &str = "vip.example.org";

fn acceptance_a_host_address_is_in_ip_addr_and_in_ifconfig_only_with_a_label(lab: &Cluster) -> Outcome {
    let vip = Vip::ready(lab, "web", &[ADDRESS])?;
    let owner = vip.owner()?;
    let node = lab.node(&owner)?;
    let verdict = lab.watch_while(&[ADDRESS], || {
        for (label, shown) in [("None", None), ("web", Some("eth1:web: ")), ("vip", Some("eth1:vip: "))] {
            let spec = json!({"addresses": [ADDRESS], "addressOptions": {"label": label}});
            let vip = Vip::apply(lab, "web", &spec)?;
            until(&format!("the address has the label {label}"), PATIENCE, || {
                let listed = node.exec(&["ifconfig"])?;
                let there = listed.contains(&format!("inet {ADDRESS} "));
                let fine = shown.map_or(!there, |shown| there && listed.contains(shown));
                if fine { Ok(Some(())) } else { Err(Error::other(listed)) }
            })?;
            until("it is in ip addr", PATIENCE, || on_exactly(lab, &owner, "eth1").map(Some))?;
            vip.wait_ready()?;
        }
        Ok(())
    })?;
    assert!(!verdict.ever_two());
    assert_eq!(verdict.owners(ADDRESS)?, [owner]);
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
        lab.standby(&owner, true)?;
        new = vip.wait_moved(&owner)?;
        on_exactly(lab, &new, "eth1")?;
        lab.standby(&owner, false)?;
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
            lab.standby(other, true)?;
        }
        until(&format!("{node} has it on {interface}"), PATIENCE, || {
            on_exactly(lab, node, interface)?;
            Ok((vip.object()?["status"]["interface"] == interface && vip.owner()? == node).then_some(()))
        })?;
        // The next one must be there before this one leaves.
        ["n1", "n2", "n3"].into_iter().try_for_each(|node| lab.standby(node, false))?;
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

/// And when it goes, the interface is left as it was found.
fn acceptance_e3_on_an_interface_without_any_address_even_down_it_becomes_the_primary_one(
    lab: &Cluster,
) -> Outcome {
    let node = lab.node("n2")?;
    // The other interface on the same wire would answer as well.
    node.exec(&["sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1"])?;
    let outcome = ["up", "down"].into_iter().try_for_each(|state| primary(lab, state));
    node.exec(&["sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=0"])?;
    outcome
}

fn primary(lab: &Cluster, state: &str) -> Outcome {
    let address = "203.0.113.10";
    let node = lab.node("n2")?;
    node.plug(&InterfacePlan::new("bare0", &[]))?;
    node.exec(&["ip", "link", "set", "bare0", state])?;
    let found = left(node)?;
    assert_eq!(found["flags"].as_array().is_some_and(|flags| flags.contains(&"UP".into())), state == "up");
    let spec = json!({"addresses": [format!("{address}/24")], "interface": "bare0"});
    let verdict = lab.watch_while(&[address], || {
        let vip = Vip::apply(lab, "bare", &spec)?;
        vip.wait_ready()?;
        let shown = node.exec(&["ip", "-4", "-oneline", "address", "show", "dev", "bare0"])?;
        assert!(shown.contains(&format!("inet {address}/24")) && !shown.contains("secondary"), "{shown}");
        assert!(node.exec(&["ip", "route"])?.contains("203.0.113.0/24 dev bare0"));
        assert_eq!(holders(lab, address)?, ["n2"]);
        // Long enough that the client is answered often.
        thread::sleep(Duration::from_millis(300));
        vip.delete()
    })?;
    assert!(!verdict.ever_two());
    assert_eq!(verdict.owners(address)?, ["n2"]);
    until("the interface is as it was found", PATIENCE, || {
        let now = left(node)?;
        if now == found { Ok(Some(())) } else { Err(Error::other(format!("{now}, not {found}"))) }
    })?;
    node.unplug("bare0")?;
    Ok(())
}

/// What may have been changed on the interface: whether it is up, its notes, its addresses.
fn left(node: &Node) -> Result<Value> {
    let shown = node.exec(&["ip", "-json", "address", "show", "dev", "bare0"])?;
    let mut all: Value = serde_json::from_str(&shown)
        .map_err(|source| Error::Json { what: "what ip says of bare0".into(), source })?;
    let mut link = all[0].take();
    // The kernel's own, which it may be asking about still.
    for address in link["addr_info"].as_array_mut().into_iter().flatten() {
        address.as_object_mut().map(|address| address.remove("tentative"));
    }
    let notes = node.exec(&["cat", "/sys/class/net/bare0/ifalias"])?;
    Ok(json!({"flags": link["flags"], "ifalias": notes, "addresses": link["addr_info"], "mtu": link["mtu"]}))
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
    lab.standby(&owner, true)?;
    let second = vip.wait_moved(&owner)?;
    lab.standby(&owner, false)?;
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

fn acceptance_e6_moves_are_shown(lab: &Cluster) -> Outcome {
    let vip = Vip::ready(lab, "web", &[ADDRESS])?;
    let first = vip.owner()?;
    lab.standby(&first, true)?;
    let second = vip.wait_moved(&first)?;
    lab.standby(&first, false)?;
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

/// As `crm_mon -f` counts them. The node is tried again and again, since no other one may have it.
fn acceptance_e6_failures_are_counted_by_node(lab: &Cluster) -> Outcome {
    lab.kubectl(&["label", "node", "n2", &format!("{LABEL}=true")])?;
    let node = lab.node("n2")?;
    node.exec(&["sysctl", "-qw", "net.ipv6.conf.eth1.disable_ipv6=1"])?;
    let spec = json!({"addresses": ["2001:db8::210"], "interface": "eth1", "placement": {"nodeSelector": {LABEL: "true"}}});
    let counted = Vip::apply(lab, "web6", &spec).and_then(|_| {
        until("kubectl counts how often n2 failed", PATIENCE, || {
            let described = lab.kubectl(&["describe", "vip", "web6"])?;
            let failed = |line: &&str| line.contains("Error") && line.contains("n2 cannot answer");
            let line = described.lines().find(failed).filter(|line| line.contains("(x")).map(str::to_owned);
            if line.is_some() { Ok(line) } else { Err(Error::other(described)) }
        })
    });
    node.exec(&["sysctl", "-qw", "net.ipv6.conf.eth1.disable_ipv6=0"])?;
    node.exec(&["ip", "address", "replace", "2001:db8::12/64", "dev", "eth1", "nodad"])?;
    println!("{}", counted?);
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

/// As `inet A/32 scope global` on that interface of that node, and nowhere else.
fn on_exactly(lab: &Cluster, node: &str, interface: &str) -> Result<()> {
    let shown = lab.node(node)?.exec(&["ip", "-oneline", "address", "show", "dev", interface])?;
    let with = holders(lab, ADDRESS)?;
    if with == [node] && shown.contains(&format!("inet {ADDRESS}/32 scope global")) {
        return Ok(());
    }
    Err(Error::other(format!("{with:?} have it; {interface} of {node} has {shown}")))
}
