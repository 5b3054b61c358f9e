//! How long nobody answers when an address moves, or is taken away by hand.

use super::{
    figures::Figures,
    lab::{
        Cluster, Node, Result,
        audit::boottime_us,
        error::Error,
        run::until,
        stage::{Ending, PATIENCE, Stage, Vip, settled},
    },
};
use serde_json::json;
use std::{net::IpAddr, thread, time::Duration};

/// The client asks for each address this often.
const PACE: Duration = Duration::from_micros(500);

/// And this often where less than a millisecond is to be seen.
const FINE_PACE: Duration = Duration::from_micros(200);

const HANDOVERS: usize = 50;
/// In this time a handover that was asked for is over.
const PATCHED: Duration = Duration::from_millis(300);
const POWER_OFFS: usize = 10;
const KILLS: usize = 5;
const REPAIRS: usize = 10;
const BASES: usize = 10;

/// What all moves together showed.
#[derive(Debug, Default)]
struct Tally {
    two: Duration,
    moves: u32,
    announced_first: u32,
}

/// Measures graceful handovers of one address: of several each would be asked for less often.
///
/// # Errors
/// When the address does not move, or two hosts answer.
pub fn handovers(lab: &Cluster, figures: &mut Figures) -> Result<()> {
    let mut tally = Tally::default();
    let handovers = repeated(HANDOVERS, "handover", || {
        // To look who has it takes a processor of this machine for some milliseconds each time: that comes afterwards.
        let there = |node: &Node| {
            lab.standby(node.name(), true)?;
            thread::sleep(PATCHED);
            Ok(())
        };
        let stage = Stage::set_at(
            lab,
            vec![Vip { name: "web".to_owned(), addresses: vec![[192, 168, 200, 200].into()] }],
            FINE_PACE,
        )?;
        moved(stage, &mut tally, there, |node| lab.standby(node.name(), false))
    })?;
    figures.note_spans("handover", &handovers);
    tally.note(figures, "handover_");
    Ok(())
}

/// Measures all other moves.
///
/// # Errors
/// When an address does not move, or two hosts answer.
pub fn measure(lab: &Cluster, figures: &mut Figures) -> Result<()> {
    let mut tally = Tally::default();
    let repairs = repeated(REPAIRS, "repair", || repaired(lab, &mut tally))?;
    figures.note_spans("repair_by_hand", &repairs);
    let power_offs = repeated(POWER_OFFS, "power-off", || {
        moved(stage(lab)?, &mut tally, Node::power_off, Node::power_on)
    })?;
    figures.note_spans("power_off", &power_offs);
    let kills = repeated(KILLS, "killing of all programs", || {
        moved(stage(lab)?, &mut tally, Node::kill_programs, Node::start_programs)
    })?;
    figures.note_spans("killed_programs", &kills);
    tally.note(figures, "");
    Ok(())
}

/// How long nobody answers for an address when the node's own one in its subnet is removed.
///
/// # Errors
/// When it does not stay on its node, or two hosts answer.
pub fn bases(lab: &Cluster, figures: &mut Figures) -> Result<()> {
    let mut tally = Tally::default();
    for promote in ["0", "1"] {
        let what = format!("base address removed, promote_secondaries {promote},");
        let bases = repeated(BASES, &what, || without_base(lab, &mut tally, promote))?;
        figures.note_spans(&format!("base_address_removed_promote_{promote}"), &bases);
    }
    if tally.two.is_zero() {
        Ok(())
    } else {
        Err(Error::other(format!("two hosts answered, for {:?}", tally.two)))
    }
}

/// What `once` gives each time.
///
/// # Errors
/// Its first.
pub fn repeated(
    times: usize,
    what: &str,
    mut once: impl FnMut() -> Result<Duration>,
) -> Result<Vec<Duration>> {
    (1..=times)
        .map(|turn| {
            let span = once()?;
            eprintln!("{what} {turn} of {times}: {:.1} ms", span.as_secs_f64() * 1000.0);
            Ok(span)
        })
        .collect()
}

/// One move away from the owner, which is whole again afterwards.
fn moved(
    stage: Stage<'_>,
    tally: &mut Tally,
    fault: impl FnOnce(&Node) -> Result<()>,
    undo: impl FnOnce(&Node) -> Result<()>,
) -> Result<Duration> {
    let lab = stage.lab();
    let node = lab.node(&stage.owner)?;
    let since = boottime_us()?;
    fault(node)?;
    stage.moved()?;
    let ending = stage.end()?;
    undo(node)?;
    lab.wait_nodes_ready()?;
    lab.wait_agents_ready()?;
    tally.moves += 1;
    match lab.status_before_announcement(&ending, since)? {
        None => tally.announced_first += 1,
        Some(early) => eprintln!("    {early}"),
    }
    Ok(tally.add(&ending))
}

fn repaired(lab: &Cluster, tally: &mut Tally) -> Result<Duration> {
    let stage = stage(lab)?;
    let node = lab.node(&stage.owner)?;
    node.exec(&["ip", "address", "del", "192.168.200.200/32", "dev", "eth1"])?;
    let address = IpAddr::from([192, 168, 200, 200]);
    until("the address is back", PATIENCE, || Ok(node.addresses()?.contains(&address).then_some(())))?;
    let ending = stage.end()?;
    Ok(tally.add(&ending))
}

/// The owner loses its own address in the subnet, with which a kernel that does not promote takes along all others there.
fn without_base(lab: &Cluster, tally: &mut Tally, promote: &str) -> Result<Duration> {
    const ADDRESS: &str = "192.168.200.210";
    let manifest = json!({
        "apiVersion": "virtualip.dev/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": "base", "namespace": "default"},
        "spec": {"addresses": [format!("{ADDRESS}/24")], "interface": "eth1"},
    });
    lab.apply(&manifest.to_string())?;
    let vip = Vip { name: "base".to_owned(), addresses: vec![[192, 168, 200, 210].into()] };
    let node = lab.node(&settled(lab, &vip)?)?;
    node.promote_secondaries(promote)?;
    let watch = lab.watch_at(&[ADDRESS], PACE)?;
    node.remove_base_address()?;
    settled(lab, &vip)?;
    thread::sleep(Duration::from_millis(300));
    let verdict = watch.stop()?;
    // It is the first of the subnet now, and shall not take the base address along.
    node.promote_secondaries("1")?;
    node.restore_base_address()?;
    if verdict.owners(ADDRESS)? != [node.name()] {
        return Err(Error::other(format!(
            "it did not stay on {}: {:?}",
            node.name(),
            verdict.owners(ADDRESS)?
        )));
    }
    lab.kubectl(&["delete", "virtualip", "base", "--timeout=60s"])?;
    tally.two += verdict.two_owner_time();
    Ok(verdict.longest_silence())
}

fn stage(lab: &Cluster) -> Result<Stage<'_>> {
    Stage::set_at(lab, vec![Vip::dual("web", 200)], PACE)
}

impl Tally {
    fn note(&self, figures: &mut Figures, prefix: &str) {
        let announced_first = f64::from(self.announced_first) / f64::from(self.moves.max(1));
        figures.note(&format!("{prefix}first_announcement_before_status_ratio"), announced_first);
        figures.note(&format!("{prefix}two_owner_ms"), self.two.as_secs_f64() * 1000.0);
    }

    fn add(&mut self, ending: &Ending) -> Duration {
        self.two += ending.verdict.two_owner_time();
        ending.verdict.longest_silence()
    }
}
