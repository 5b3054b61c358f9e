//! One instant: the owner's agent is stopped or killed, and another node takes over.

use super::lab::{
    Cluster, Node, Result,
    deploy::NAMESPACE,
    run::until,
    stage::{PATIENCE, Vip},
};
use serde::{Deserialize, Serialize};
use std::{thread, time::Duration};

/// Longer than the time between two renewals: the fault comes anywhere between them.
pub const SPREAD_US: usize = 1_100_000;
/// After this a signal has arrived, and no thread of the agent is on its way out of the kernel. Shorter than any right.
const ARRIVED: Duration = Duration::from_millis(50);

/// What becomes of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// SIGSTOP, and SIGCONT when another node answers.
    Stopped,
    /// SIGKILL; nothing starts it again before another node answers.
    Killed,
}

/// What happened.
#[derive(Clone, Debug)]
pub struct Instant {
    /// Whose agent it was.
    pub owner: String,
    /// Where its right came from, as the status said.
    pub source: String,
    /// What became of it.
    pub fate: Fate,
    /// What stood in its kernel when it was still, in microseconds of `CLOCK_BOOTTIME`.
    pub deadline_us: u64,
}

/// Lets it happen after `wait_us`, and says who has the addresses then. What was the owner's is whole again soon afterwards:
/// nobody waits for it.
///
/// # Errors
/// When nobody takes over.
pub fn happen(
    lab: &Cluster,
    vip: &Vip,
    owner: &str,
    fate: Fate,
    wait_us: usize,
) -> Result<(Instant, String)> {
    let node = lab.node(owner)?;
    let source = lab.right(owner)?["source"].as_str().unwrap_or_default().to_lowercase();
    // It would start a killed agent again at once, which then goes on with its right.
    node.stop_kubelet()?;
    thread::sleep(Duration::from_micros(u64::try_from(wait_us).unwrap_or_default()));
    match fate {
        Fate::Stopped => node.stop_agent()?,
        Fate::Killed => node.kill_agent()?,
    };
    thread::sleep(ARRIVED);
    let deadline_us = node.deadline_us()?;
    let next = until(&format!("another node than {owner} has {}", vip.name), PATIENCE, || {
        taken_over(lab.nodes().iter().filter(|node| node.name() != owner), vip)
    })?;
    node.continue_kubelet()?;
    match fate {
        Fate::Stopped => node.continue_agent()?,
        // A new pod starts at once; a container that ended several times would wait longer and longer.
        Fate::Killed => {
            let pod = lab.agent_pod(owner)?;
            lab.kubectl(&["delete", "-n", NAMESPACE, &pod, "--grace-period=0", "--force", "--wait=false"])?;
        }
    }
    Ok((Instant { owner: owner.to_owned(), source, fate, deadline_us }, next))
}

fn taken_over<'a>(others: impl Iterator<Item = &'a Node>, vip: &Vip) -> Result<Option<String>> {
    for node in others {
        let there = node.addresses()?;
        if vip.addresses.iter().all(|address| there.contains(address)) {
            return Ok(Some(node.name().to_owned()));
        }
    }
    Ok(None)
}
