//! The exact fence on real nodes.

use std::{thread, time::Duration};

use super::vip::Vip;
use crate::{
    lab::{Cluster, Error, Node, Result, run::until, stage::Stage},
    runner::Outcome,
};

super::tests![
    the_fence_comes_with_the_first_address_and_leaves_nothing_with_the_last,
    the_fence_of_a_killed_agent_is_found_by_the_next_one,
    without_its_agent_no_node_answers_after_its_deadline,
];

/// How often an owner is stopped or killed.
const ROUNDS: usize = 4;
/// The rounds in which it is killed: few, since the kubelet waits longer each time before it starts one again.
const KILLED: [usize; 2] = [1, 3];
/// An answer may take so long from the node to the client, in microseconds.
const WAY_US: u64 = 300;
const PATIENCE: Duration = Duration::from_secs(10);

fn the_fence_comes_with_the_first_address_and_leaves_nothing_with_the_last(lab: &Cluster) -> Outcome {
    for node in lab.nodes() {
        until("the node says what its fence is", PATIENCE, || {
            let fence = lab.get(&["virtualipnode", node.name()])?["status"]["fence"].clone();
            if fence["kind"] == "Exact" { Ok(Some(())) } else { Err(Error::other(fence.to_string())) }
        })?;
        assert!(node.agent_get("/metrics")?.contains("virtualip_fence_exact 1"));
    }
    let before = lab.nodes().iter().map(Node::fence_traces).collect::<Result<Vec<_>>>()?;
    let vip = Vip::ready(lab, "web", &["192.168.200.200", "2001:db8::200"])?;
    let other = Vip::ready(lab, "other", &["192.168.200.201"])?;
    lab.node(&vip.owner()?)?.check_fenced()?;
    vip.delete()?;
    lab.node(&other.owner()?)?.check_fenced()?;
    other.delete()?;
    until("nothing of the fence is left", PATIENCE, || {
        let after = lab.nodes().iter().map(Node::fence_traces).collect::<Result<Vec<_>>>()?;
        Ok((after == before).then_some(()))
    })?;
    Ok(())
}

fn the_fence_of_a_killed_agent_is_found_by_the_next_one(lab: &Cluster) -> Outcome {
    let stage = Stage::dual(lab)?;
    let node = lab.node(&stage.owner)?;
    let old = node.kill_agent()?;
    node.check_fenced()?;
    node.wait_new_agent(old)?;
    lab.wait_agents_ready()?;
    let owner = stage.end()?.owner().to_owned();
    lab.node(&owner)?.check_fenced()?;
    Ok(())
}

/// At instants all over the time between two renewals.
fn without_its_agent_no_node_answers_after_its_deadline(lab: &Cluster) -> Outcome {
    let stage = Stage::dual(lab)?;
    let mut owner = stage.owner.clone();
    let mut ends = Vec::new();
    for round in 0..ROUNDS {
        let node = lab.node(&owner)?;
        // The kubelet, which would start a new agent, and kill one that does not move.
        node.stop_kubelet()?;
        thread::sleep(Duration::from_millis(618 * u64::try_from(round)? % 1_000));
        let killed = KILLED.contains(&round);
        let old = if killed { node.kill_agent()? } else { node.stop_agent()? };
        ends.push((owner.clone(), node.deadline_us()?));
        let next = stage.moved_from(&owner)?;
        node.continue_kubelet()?;
        if killed {
            node.wait_new_agent(old)?;
        } else {
            node.continue_agent()?;
        }
        lab.wait_agents_ready()?;
        owner = next;
    }
    let verdict = stage.end()?.verdict;
    for address in ["192.168.200.200", "2001:db8::200"] {
        let (names, seen) = (verdict.owners(address)?, verdict.of(address)?);
        let mut spare = Vec::new();
        for (((owner, deadline), name), seen) in ends.iter().zip(&names).zip(&seen.owners) {
            let last = verdict.report.start_boottime_us + seen.last_us;
            assert_eq!(owner, name);
            assert!(last < deadline + WAY_US, "{owner} answered {} us after its deadline", last - deadline);
            spare.push(deadline.saturating_sub(last));
        }
        eprintln!("    last answers before the deadline, in us: {spare:?}");
    }
    Ok(())
}
