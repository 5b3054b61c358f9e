//! Messages between agents: who is answered, and what a person can do where they do not help.

use super::vip::Vip;
use crate::{
    lab::{
        Cluster, Error, Node, Result,
        addresses::{DATA, in_subnet, of_node},
        deploy::NAMESPACE,
        error::Doing,
    },
    runner::Outcome,
};
use std::{net::UdpSocket, process::Command, time::Duration};

super::tests![strangers_get_no_answer, a_node_that_is_off_is_closed_by_hand];

/// The agents' port.
const PORT: u16 = 7473;
/// How long an answer is waited for that must not come: everything here is on one machine.
const ANSWER: Duration = Duration::from_millis(300);

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
