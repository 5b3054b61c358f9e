//! Messages between agents: who is answered, and what a person can do where they do not help.

use super::{
    outages::unnoticed,
    vip::{PATIENCE, Vip},
};
use crate::{
    lab::{
        Cluster, Error, Node, Result,
        addresses::{DATA, in_subnet, of_node},
        deploy::NAMESPACE,
        error::Doing,
        run::until,
        stage::Stage,
    },
    runner::Outcome,
};
use serde_json::Value;
use std::{net::UdpSocket, process::Command, thread, time::Duration};

super::tests![
    every_agent_has_witnesses_and_kubectl_shows_them,
    a_renewal_is_told_to_the_node_and_its_witnesses_and_is_no_news_to_others,
    strangers_get_no_answer,
    the_keys_are_deleted_and_replaced_and_nobody_notices,
    a_closed_port_leaves_the_lease_alone_and_the_status_says_why,
    the_api_server_is_killed_for_10_s_a_witness_is_silent_and_nobody_on_the_wire_notices,
    the_api_server_hangs_for_10_s_a_witness_is_silent_and_nobody_on_the_wire_notices,
    a_node_that_is_off_is_closed_by_hand,
];

/// The agents' Secret.
pub(super) const KEYS: &str = "virtualip-keys";
/// The agents' port.
const PORT: u16 = 7473;
/// Before the name of a node that is told of a renewal.
const TOLD: &str = "told.virtualip.dev/";
/// An owner renews its Lease several times meanwhile.
const LISTENING: &str = "5s";
/// How long the API server is away: more than three times the lease.
const OUTAGE: Duration = Duration::from_secs(10);
/// Longer than agents sign with a former key after an unexpected change.
const KEYS_SETTLE: Duration = Duration::from_secs(12);
/// How long an answer is waited for that must not come: everything here is on one machine.
const ANSWER: Duration = Duration::from_millis(300);

fn every_agent_has_witnesses_and_kubectl_shows_them(lab: &Cluster) -> Outcome {
    lab.wait_source("Both")?;
    let wide = lab.kubectl(&["get", "vipnode", "-o", "wide"])?;
    assert!(wide.contains("SOURCE") && wide.contains("3 of 3 witnesses answer"), "{wide}");
    for node in lab.nodes() {
        let shown = lab.right(node.name())?;
        assert_eq!((&shown["answering"], &shown["needed"]), (&3.into(), &2.into()), "{shown}");
        assert_eq!(figure(node, "right_source{source=\"both\"}")?, 1);
        assert!(figure(node, "promise_round_trip_seconds_count")? > 0);
    }
    Ok(())
}

/// What keeps the cost of a node the same however many there are: of its renewals the API server tells few, and not everybody who
/// has to know who owns what.
fn a_renewal_is_told_to_the_node_and_its_witnesses_and_is_no_news_to_others(lab: &Cluster) -> Outcome {
    lab.wait_source("Both")?;
    for node in lab.nodes().iter().map(Node::name) {
        let lease = lab.get(&["lease", &format!("node.{node}"), "-n", NAMESPACE])?;
        let labels = lease["metadata"]["labels"].as_object().ok_or("a renewal has no labels")?;
        let told: Vec<&str> = labels.keys().filter_map(|label| label.strip_prefix(TOLD)).collect();
        assert_eq!(Value::from(told), lab.right(node)?["witnesses"], "the node is its own witness: {lease}");
    }
    // Whoever owns something renews every second.
    let owner = Vip::ready(lab, "web", &["192.168.200.231"])?.owner()?;
    let witness =
        lab.nodes().iter().map(Node::name).find(|node| *node != owner).ok_or("it has no witness")?;
    let (told, news) = thread::scope(|scope| {
        let news = scope.spawn(|| heard(lab, "!virtualip.dev/renewal"));
        (heard(lab, &format!("{TOLD}{witness}")), news.join())
    });
    let (told, news) = (told?, news.map_err(|_| "the thread has panicked")??);
    assert!(!news.contains("/node."), "renewals are no news: {news}");
    assert!(told.matches(&format!("/node.{owner}\n")).count() > 1, "{witness} is its witness: {told}");
    Ok(())
}

/// Which Leases with such labels are written within some seconds, as whoever watches them hears.
fn heard(lab: &Cluster, labels: &str) -> Result<String> {
    let plane = lab.control_plane();
    let mut kubectl = plane.kubectl_command();
    kubectl.args(["get", "leases", "-n", NAMESPACE, "--watch-only", "-o", "name", "--selector", labels]);
    kubectl.args(["--request-timeout", LISTENING]);
    let output = plane.host.output_in_network(kubectl)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Deleted, then replaced by one with other keys: agents accept each other's datagrams all the time.
fn the_keys_are_deleted_and_replaced_and_nobody_notices(lab: &Cluster) -> Outcome {
    let stage = Stage::dual(lab)?;
    lab.wait_source("Both")?;
    let unknown = || {
        let of = |node| figure(node, "datagrams_rejected_total{reason=\"unknown_key\"}");
        lab.nodes().iter().map(of).sum::<Result<u64>>()
    };
    let (before, first) = (unknown()?, keys(lab)?);
    lab.kubectl(&["delete", "secret", KEYS, "-n", NAMESPACE])?;
    let second = until("the agents make the Secret again", PATIENCE, || {
        keys(lab).map(|now| (now["current"] != first["current"]).then_some(now))
    })?;
    assert_eq!(second["previous"], first["current"], "what was signed with is still accepted");
    thread::sleep(KEYS_SETTLE);
    let replaced = format!(r#"{{"data": {{"current": {}, "next": {}}}}}"#, first["next"], second["next"]);
    lab.kubectl(&["patch", "secret", KEYS, "-n", NAMESPACE, "--patch", &replaced])?;
    thread::sleep(KEYS_SETTLE);
    lab.wait_source("Both")?;
    assert_eq!(unknown()?, before, "every datagram was understood");
    unnoticed(stage)
}

fn a_closed_port_leaves_the_lease_alone_and_the_status_says_why(lab: &Cluster) -> Outcome {
    let stage = Stage::dual(lab)?;
    lab.wait_source("Both")?;
    let owner = lab.node(&stage.owner)?;
    let rules =
        "table inet closed { chain in { type filter hook input priority -200; udp dport 7473 drop; }; }";
    owner.exec(&["nft", rules])?;
    let outcome = until("the Lease alone is left, and the status says why", PATIENCE, || {
        let shown = lab.right(owner.name())?;
        let why = shown["message"].as_str().unwrap_or_default().to_owned();
        Ok((shown["source"] == "Lease" && why.contains(": no answer from UDP 10.77.0.")).then_some(()))
    });
    owner.exec(&["nft", "delete table inet closed"])?;
    outcome?;
    lab.wait_source("Both")?;
    unnoticed(stage)
}

fn the_api_server_is_killed_for_10_s_a_witness_is_silent_and_nobody_on_the_wire_notices(
    lab: &Cluster,
) -> Outcome {
    let plane = lab.control_plane();
    away(
        lab,
        || {
            plane.kill_api();
            Ok(())
        },
        || plane.start_api(),
    )
}

fn the_api_server_hangs_for_10_s_a_witness_is_silent_and_nobody_on_the_wire_notices(
    lab: &Cluster,
) -> Outcome {
    let plane = lab.control_plane();
    away(lab, || plane.stop_api(), || plane.continue_api())
}

/// For half of that time one of the owner's two witnesses is silent: the one that it asks first.
fn away(lab: &Cluster, fault: impl FnOnce() -> Result<()>, undo: impl FnOnce() -> Result<()>) -> Outcome {
    let stage = Stage::dual(lab)?;
    lab.wait_source("Both")?;
    let witness = lab.nodes().iter().find(|node| node.name() != stage.owner);
    fault()?;
    thread::sleep(OUTAGE / 2);
    witness.map(Node::stop_agent).transpose()?;
    thread::sleep(OUTAGE / 2);
    witness.map(Node::continue_agent).transpose()?;
    undo()?;
    lab.control_plane().wait_ready()?;
    lab.wait_source("Both")?;
    unnoticed(stage)
}

fn strangers_get_no_answer(lab: &Cluster) -> Outcome {
    for (index, node) in lab.nodes().iter().enumerate() {
        let rejected =
            |reason: &str| figure(node, &format!("datagrams_rejected_total{{reason=\"{reason}\"}}"));
        let before = (rejected("malformed")?, rejected("oversized")?, rejected("unknown_key")?);
        let address = in_subnet(DATA[0], of_node(index))?.addr();
        // One that looks like ours, signed with another key, is the best that a stranger can do.
        let ours = [b"VIP\x01kkkk\x01".as_slice(), &[7; 100]].concat();
        lab.client().in_network(move || {
            let socket = UdpSocket::bind("0.0.0.0:0").doing(|| "open a socket".into())?;
            socket.set_read_timeout(Some(ANSWER)).doing(|| "set a timeout".into())?;
            for datagram in [&b""[..], b"hello?", &ours, &[0; 1400]] {
                socket.send_to(datagram, (address, PORT)).doing(|| format!("send to {address}"))?;
            }
            match socket.recv_from(&mut [0; 100]) {
                Ok((_, from)) => Err(Error::other(format!("{from} has answered a stranger"))),
                Err(_) => Ok(()),
            }
        })?;
        let after = (rejected("malformed")?, rejected("oversized")?, rejected("unknown_key")?);
        assert_eq!(after, (before.0 + 2, before.1 + 1, before.2 + 1), "they arrived: {before:?}");
    }
    Ok(())
}

fn a_node_that_is_off_is_closed_by_hand(lab: &Cluster) -> Outcome {
    let vip = Vip::ready(lab, "web", &["192.168.200.231"])?;
    let owner = vip.owner()?;
    assert!(
        close(lab, &[&owner])?.contains("--i-know-it-is-off"),
        "nothing is done without the confirmation"
    );
    lab.node(&owner)?.power_off()?;
    let said = close(lab, &[&owner, "--i-know-it-is-off"])?;
    // The others close it as well, as soon as they may: it is a matter of who is first.
    assert!(said.starts_with(&format!("node {owner} ")) && said.contains("closed"), "{said}");
    let lease = lab.get(&["lease", &format!("node.{owner}"), "-n", NAMESPACE])?;
    assert_eq!(lease["spec"]["holderIdentity"], "");
    let by_hand = &lease["metadata"]["annotations"]["virtualip.dev/closed-by-hand"];
    assert_eq!(by_hand == "i-know-it-is-off", said.contains("is closed"), "{lease}");
    vip.wait_moved(&owner)?;
    assert!(close(lab, &["n9", "--i-know-it-is-off"])?.contains("there is no Lease node.n9"));
    lab.repair()?;
    Ok(())
}

/// The data of the agents' Secret.
fn keys(lab: &Cluster) -> Result<Value> {
    Ok(lab.get(&["secret", KEYS, "-n", NAMESPACE])?["data"].take())
}

/// What `virtualip close-node` says, to an administrator.
fn close(lab: &Cluster, words: &[&str]) -> Result<String> {
    let plane = lab.control_plane();
    let mut command = Command::new(env!("CARGO_BIN_EXE_virtualip"));
    command.arg("close-node").args(words).env("KUBECONFIG", plane.kubeconfig());
    let output = plane.host.output_in_network(command)?;
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// A figure of a node's agent, by its name without the prefix.
fn figure(node: &Node, name: &str) -> Result<u64> {
    let metrics = node.agent_get("/metrics")?;
    let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("virtualip_{name} ")));
    line.and_then(|value| value.parse().ok())
        .ok_or_else(|| Error::other(format!("{name} is no figure of {}", node.name())))
}
