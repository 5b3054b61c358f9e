//! A node dies that had a thousand addresses: how long nobody answers for them, where rights come from witnesses.

use super::{
    crowd,
    figures::Figures,
    lab::{
        Cluster, Result,
        error::Error,
        run::until,
        stage::{PATIENCE, Vip},
    },
};
use std::{net::IpAddr, thread, time::Duration};

/// `VirtualIP`s, and addresses of each.
const SHAPES: [(u16, u16); 2] = [(1000, 1), (63, 16)];
/// The client asks for so many of them, evenly chosen: it asks for a thousand addresses a second in all, and for all of
/// a thousand so rarely that a silence would look half a second longer than it was.
const ASKED: usize = 50;
/// How often it asks for each.
const PACE: Duration = Duration::from_millis(50);
/// How long the client asks before it and after it: a second answer might come late.
const AROUND: Duration = Duration::from_millis(500);
/// For so long nobody looks but the client: listing a thousand addresses takes the processors from those who add them.
const UNSEEN: Duration = Duration::from_secs(4);

/// Measures it.
///
/// # Errors
/// When not all addresses are taken over, or two hosts answer for one.
pub fn measure(lab: &Cluster, figures: &mut Figures) -> Result<()> {
    lab.use_source("witness")?;
    for (count, each) in SHAPES {
        let silences = dies(lab, &crowd::vips(count, each))?;
        figures.note_spans(&format!("dead_node_{count}_vips_of_{each}"), &silences);
    }
    lab.use_source("both")
}

/// How long each address was not answered.
fn dies(lab: &Cluster, vips: &[Vip]) -> Result<Vec<Duration>> {
    let [owner, others @ ..] = lab.nodes() else { return Err(Error::other("the lab has no nodes")) };
    eprintln!("{} gets {} VirtualIPs ...", owner.name(), vips.len());
    crowd::part(lab)?;
    others.iter().try_for_each(|node| lab.standby(node.name(), true))?;
    crowd::gather(lab, vips)?;
    others.iter().try_for_each(|node| lab.standby(node.name(), false))?;
    lab.wait_source("witness")?;
    let addresses: Vec<IpAddr> = vips.iter().flat_map(|vip| vip.addresses.clone()).collect();
    let asked = addresses.iter().step_by(addresses.len().div_ceil(ASKED));
    eprintln!("{} is powered off ...", owner.name());
    let watch = lab.watch_at(&asked.map(IpAddr::to_string).collect::<Vec<_>>(), PACE)?;
    thread::sleep(AROUND);
    owner.power_off()?;
    thread::sleep(UNSEEN);
    until("other nodes have all addresses", PATIENCE, || {
        let mut there = Vec::new();
        for node in others {
            there.extend(node.addresses()?);
        }
        Ok(addresses.iter().all(|address| there.contains(address)).then_some(()))
    })?;
    thread::sleep(AROUND);
    let verdict = watch.stop()?;
    if verdict.ever_two() {
        return Err(Error::other(format!("two hosts answered, for {:?}", verdict.two_owner_time())));
    }
    owner.power_on()?;
    lab.wait_nodes_ready()?;
    lab.wait_agents_ready()?;
    crowd::part(lab)?;
    let silences = verdict.report.addresses.values();
    Ok(silences.map(|address| Duration::from_micros(address.longest_silence_us)).collect())
}
