//! How long nobody answers when the owner's power goes, where rights come from witnesses; and the same with keepalived, on the
//! same nodes and the same wire, whose advertisements come as often as we ask for promises.

use super::{
    figures::Figures,
    lab::{
        Cluster, Node, Result,
        keepalived::Keepalived,
        run::until,
        stage::{PATIENCE, Stage, Vip, alone},
    },
    moves::repeated,
};
use std::{net::IpAddr, thread, time::Duration};

const TIMES: usize = 20;
/// Between two advertisements of keepalived.
const ADVERT: Duration = Duration::from_millis(100);
/// How long the client asks on: a second answer might come late.
const AFTERWARDS: Duration = Duration::from_millis(500);

/// What an agent says of its right when that stands on its witnesses.
const PROMISES_ALONE: &str = "virtualip_right_source{source=\"witness\"} 1";

/// Measures both.
///
/// # Errors
/// When nobody takes over, or two of our nodes answer.
pub fn measure(lab: &Cluster, figures: &mut Figures) -> Result<()> {
    lab.use_source("witness")?;
    let ours = repeated(TIMES, "power-off with witnesses", || ours(lab))?;
    figures.note_spans("witness_power_off", &ours);
    let vip = Vip::dual("web", 200);
    lab.kubectl(&["delete", &vip.object(), "--timeout=60s"])?;
    let keepalived = Keepalived::start(lab, &vip.addresses, ADVERT)?;
    let mut two = Duration::ZERO;
    let theirs =
        repeated(TIMES, "power-off with keepalived", || theirs(lab, &keepalived, &vip.addresses, &mut two))?;
    figures.note_spans("keepalived_power_off", &theirs);
    figures.note("keepalived_two_owner_ms", two.as_secs_f64() * 1000.0);
    keepalived.stop(lab, &vip.addresses)?;
    lab.use_source("both")
}

/// [`Stage::end`] fails where two ever answered.
fn ours(lab: &Cluster) -> Result<Duration> {
    let stage = Stage::dual(lab)?;
    lab.wait_source("witness")?;
    let owner = lab.node(&stage.owner)?;
    // On a busy machine it may just have gone back to both; the status says so a moment later.
    until(&format!("{} lives on promises alone", owner.name()), PATIENCE, || {
        Ok(owner.agent_get("/metrics")?.contains(PROMISES_ALONE).then_some(()))
    })?;
    owner.power_off()?;
    stage.moved()?;
    let ending = stage.end()?;
    whole(lab, owner)?;
    Ok(ending.verdict.longest_silence())
}

fn theirs(
    lab: &Cluster,
    keepalived: &Keepalived,
    addresses: &[IpAddr],
    two: &mut Duration,
) -> Result<Duration> {
    keepalived.run()?;
    let old = alone(lab, addresses)?;
    // Until the others have heard it.
    thread::sleep(ADVERT * 10);
    let watch = lab.watch(&addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>())?;
    let owner = lab.node(&old)?;
    owner.power_off()?;
    until("another node has the addresses", PATIENCE, || {
        Ok(lab.nodes_with(addresses)?.iter().any(|node| *node != old).then_some(()))
    })?;
    thread::sleep(AFTERWARDS);
    let verdict = watch.stop()?;
    *two += verdict.two_owner_time();
    whole(lab, owner)?;
    Ok(verdict.longest_silence())
}

/// The node's power is back, and it is whole again.
fn whole(lab: &Cluster, node: &Node) -> Result<()> {
    node.power_on()?;
    lab.wait_nodes_ready()?;
    lab.wait_agents_ready()
}
