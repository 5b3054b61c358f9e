//! What may happen to an agent.

use crate::{
    lab::{
        Cluster,
        deploy::{AGENTS, NAMESPACE},
        stage::{PATIENCE, Stage, Vip, millis},
    },
    runner::Outcome,
};
use std::{thread, time::Duration};

super::tests![
    the_owners_pod_is_deleted_and_its_successor_does_not_take_the_address_back,
    the_owners_agent_is_killed_and_goes_on_or_is_replaced,
    the_owners_agent_is_stopped_for_10_s_and_another_takes_over,
    an_agent_that_wakes_after_its_address_went_elsewhere_stays_silent,
    a_rollout_restart_leaves_all_answered,
];

fn the_owners_pod_is_deleted_and_its_successor_does_not_take_the_address_back(lab: &Cluster) -> Outcome {
    let stage = Stage::dual(lab)?;
    lab.kubectl(&["delete", "-n", NAMESPACE, &lab.agent_pod(&stage.owner)?])?;
    let new = stage.moved()?;
    lab.wait_agents_ready()?;
    assert_eq!(stage.end()?.owner(), new);
    Ok(())
}

fn the_owners_agent_is_killed_and_goes_on_or_is_replaced(lab: &Cluster) -> Outcome {
    let stage = Stage::dual(lab)?;
    let (owner, node) = (stage.owner.clone(), lab.node(&stage.owner)?);
    let old = node.kill_agent()?;
    node.wait_new_agent(old)?;
    lab.wait_agents_ready()?;
    let ending = stage.end()?;
    let silence = ending.verdict.longest_silence();
    let how = if ending.owner() == owner { "it went on" } else { "another node took over" };
    eprintln!("    {how}");
    assert!(silence < PATIENCE);
    Ok(())
}

fn the_owners_agent_is_stopped_for_10_s_and_another_takes_over(lab: &Cluster) -> Outcome {
    let stage = Stage::dual(lab)?;
    let node = lab.node(&stage.owner)?;
    let old = node.stop_agent()?;
    let new = stage.moved()?;
    // So long that the kubelet kills it before it is continued.
    thread::sleep(Duration::from_secs(10));
    if node.agent().is_ok_and(|now| now == old) {
        node.continue_agent()?;
    }
    lab.wait_agents_ready()?;
    assert_eq!(stage.end()?.owner(), new);
    Ok(())
}

/// The kubelet, which would kill the agent, is stopped, too.
fn an_agent_that_wakes_after_its_address_went_elsewhere_stays_silent(lab: &Cluster) -> Outcome {
    let stage = Stage::dual(lab)?;
    let node = lab.node(&stage.owner)?;
    node.stop_kubelet()?;
    let old = node.stop_agent()?;
    let new = stage.moved()?;
    node.continue_agent()?;
    lab.wait_agents_ready()?;
    let ending = stage.end()?;
    node.continue_kubelet()?;
    assert_eq!(node.agent()?, old, "it was never killed");
    assert_eq!(ending.owner(), new);
    Ok(())
}

fn a_rollout_restart_leaves_all_answered(lab: &Cluster) -> Outcome {
    let vips = (0..6).map(|i| Vip::dual(&format!("web-{i}"), 200 + i)).collect();
    let stage = Stage::set(lab, vips)?;
    lab.kubectl(&["rollout", "restart", AGENTS, "-n", NAMESPACE])?;
    lab.wait_agents_ready()?;
    let silence = stage.end()?.verdict.longest_silence();
    eprintln!("    longest silence of six: {:.1} ms", millis(silence));
    Ok(())
}
