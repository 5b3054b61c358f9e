//! What may happen to an agent.

use crate::{
    lab::{
        Cluster, Node, Result,
        audit::boottime_us,
        deploy::{AGENTS, NAMESPACE},
        process::Process,
        run::until,
        stage::{PATIENCE, Stage, Vip, millis},
    },
    runner::Outcome,
};
use nix::sys::signal::Signal;
use std::{
    thread,
    time::{Duration, Instant},
};

super::tests![
    the_owners_pod_is_deleted_and_its_successor_does_not_take_the_address_back,
    the_owners_agent_is_killed_and_goes_on_or_is_replaced,
    the_owners_agent_is_stopped_for_10_s_and_another_takes_over,
    an_agent_that_wakes_after_its_address_went_elsewhere_stays_silent,
    a_rollout_restart_leaves_all_answered,
    an_agent_that_is_told_to_stop_ends_in_time_though_nobody_takes_over,
    an_agent_that_stops_leaves_what_no_other_node_can_have_to_its_next_one,
    agents_live_on_while_the_api_server_is_away,
    each_change_of_ownership_is_one_line_of_the_log_with_its_reason,
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

/// An agent that is told to stop hands over and ends within this time.
const STOPPING: Duration = Duration::from_secs(2);

/// The other agents are stopped, and the kubelets, which would kill them.
fn an_agent_that_is_told_to_stop_ends_in_time_though_nobody_takes_over(lab: &Cluster) -> Outcome {
    let stage = Stage::dual(lab)?;
    let owner = lab.node(&stage.owner)?;
    lab.nodes().iter().try_for_each(Node::stop_kubelet)?;
    let others = || lab.nodes().iter().filter(|node| node.name() != owner.name());
    others().try_for_each(|node| node.stop_agent().map(drop))?;
    let agent = owner.agent()?;
    agent.signal(Signal::SIGTERM)?;
    let told = Instant::now();
    until("the agent ends", PATIENCE, || Ok((!agent.is_alive()).then_some(())))?;
    let took = told.elapsed();
    stage.silent()?;
    others().try_for_each(Node::continue_agent)?;
    lab.nodes().iter().try_for_each(Node::continue_kubelet)?;
    lab.wait_agents_ready()?;
    stage.end()?;
    assert!(took < STOPPING, "it took {took:?}");
    Ok(())
}

/// As one that is killed does: so nobody notices if the next one comes in time. Here it does not, since the kubelet is stopped.
fn an_agent_that_stops_leaves_what_no_other_node_can_have_to_its_next_one(lab: &Cluster) -> Outcome {
    let node = lab.node("n1")?;
    let others = || lab.nodes().iter().filter(|other| other.name() != node.name());
    others().try_for_each(|other| lab.standby(other.name(), true))?;
    let stage = Stage::dual(lab)?;
    assert_eq!(stage.owner, node.name());
    node.stop_kubelet()?;
    let agent = node.agent()?;
    agent.signal(Signal::SIGTERM)?;
    until("the agent ends", PATIENCE, || Ok((!agent.is_alive()).then_some(())))?;
    let ended = boottime_us()?;
    stage.silent()?;
    node.continue_kubelet()?;
    lab.wait_agents_ready()?;
    let report = stage.end()?.verdict.report;
    others().try_for_each(|other| lab.standby(other.name(), false))?;
    for (address, seen) in &report.addresses {
        let silent = seen.silences.first().map(|silence| report.start_boottime_us + silence.start_us);
        assert!(
            silent.is_some_and(|at| at > ended),
            "{address} was silent at {silent:?}, the agent had ended at {ended}"
        );
    }
    Ok(())
}

/// Longer than the liveness probe takes to give up an agent.
const AWAY: Duration = Duration::from_secs(15);

fn agents_live_on_while_the_api_server_is_away(lab: &Cluster) -> Outcome {
    let agents = || lab.nodes().iter().map(Node::agent).collect::<Result<Vec<Process>>>();
    let before = agents()?;
    lab.control_plane().kill_api();
    thread::sleep(AWAY);
    for node in lab.nodes() {
        node.agent_get("/healthz")?;
    }
    lab.control_plane().start_api()?;
    lab.wait_agents_ready()?;
    assert_eq!(agents()?, before);
    Ok(())
}

fn each_change_of_ownership_is_one_line_of_the_log_with_its_reason(lab: &Cluster) -> Outcome {
    let stage = Stage::set(lab, vec![Vip::dual("told", 200)])?;
    let old = stage.owner.clone();
    lab.standby(&old, true)?;
    stage.moved()?;
    let new = stage.end()?.owner().to_owned();
    let told = |node: &str| -> Result<Vec<String>> {
        let log = lab.kubectl(&["logs", "-n", NAMESPACE, &lab.agent_pod(node)?])?;
        let about = log.lines().filter(|line| line.contains("this node") && line.contains("default/told"));
        Ok(about.map(str::to_owned).collect())
    };
    let says = |line: &str, words: [&str; 3]| words.iter().all(|word| line.contains(word));
    let (old, new) = (told(&old)?, told(&new)?);
    assert!(old.len() == 2 && new.len() == 1, "{old:?}, {new:?}");
    let addresses = "192.168.200.200, 2001:db8::200";
    assert!(says(&old[0], ["this node answers", addresses, "claimed"]), "{old:?}");
    assert!(says(&old[1], ["this node is silent", "INFO", "handed over"]), "{old:?}");
    assert!(says(&new[0], ["this node answers", addresses, "handed over"]), "{new:?}");
    Ok(())
}
