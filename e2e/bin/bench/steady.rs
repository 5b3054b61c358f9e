//! What the agents cost when nothing happens.

use super::{
    figures::Figures,
    lab::{
        Cluster, Result,
        error::{Doing, Error},
        stage::Vip,
    },
};
use std::{fs, thread, time::Duration};

const MANY: u8 = 50;
/// After this nothing is left of the beginning: nodes that own nothing renew slowly by then.
const REST: Duration = Duration::from_secs(20);
/// So many ticks are a second, on every Linux (`USER_HZ`).
const TICKS: f64 = 100.0;
/// How long is counted.
const COUNT: Duration = Duration::from_secs(30);

/// Measures API writes with one and with many `VirtualIP`s, and the agents' processor time and memory with many.
///
/// # Errors
/// When one of them gets no node.
pub fn measure(lab: &Cluster, figures: &mut Figures) -> Result<()> {
    let (writes, _) = load(lab, 1)?;
    figures.note("api_writes_per_s_with_1_vip", writes);
    let (writes, millicores) = load(lab, MANY)?;
    figures.note(&format!("api_writes_per_s_with_{MANY}_vips"), writes);
    figures.note(&format!("agent_cpu_millicores_with_{MANY}_vips"), millicores);
    let most = lab.nodes().iter().map(|node| resident_kib(node.agent()?.pid)).collect::<Result<Vec<_>>>()?;
    let most = most.into_iter().max().unwrap_or_default();
    figures.note(&format!("agent_rss_mib_with_{MANY}_vips"), f64::from(most) / 1024.0);
    lab.delete_virtualips(Duration::from_mins(1))
}

/// API writes a second of all agents, and the processor time of the one that needs most, in thousandths of a core.
fn load(lab: &Cluster, vips: u8) -> Result<(f64, f64)> {
    eprintln!("counting API writes over {} s with {vips} VirtualIPs ...", COUNT.as_secs());
    lab.delete_virtualips(Duration::from_mins(1))?;
    let all: String = (0..vips).map(|i| Vip::dual(&format!("web-{i}"), 200 + i).manifest()).collect();
    lab.apply(&all)?;
    lab.kubectl(&["wait", "virtualips", "--all", "--for=condition=Ready", "--timeout=120s"])?;
    thread::sleep(REST);
    let used = || lab.nodes().iter().map(|node| ticks(node.agent()?.pid)).collect::<Result<Vec<_>>>();
    let (before, ticks_before) = (lab.agents_writes()?.len(), used()?);
    thread::sleep(COUNT);
    let ticks = used()?.into_iter().zip(ticks_before).map(|(after, before)| after - before).max();
    let writes = u32::try_from(lab.agents_writes()?.len() - before).unwrap_or(u32::MAX);
    let millicores = f64::from(ticks.unwrap_or_default()) * 1000.0 / TICKS / COUNT.as_secs_f64();
    Ok((f64::from(writes) / COUNT.as_secs_f64(), millicores))
}

/// Processor time of a process, within and without the kernel.
fn ticks(pid: u32) -> Result<u32> {
    let file = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&file).doing(|| format!("read {file}"))?;
    // The name may contain anything: fields are counted after its closing parenthesis.
    let fields = text.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks: Vec<u32> = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    if ticks.len() == 2 { Ok(ticks.iter().sum()) } else { Err(Error::other(format!("{file} has no times"))) }
}

fn resident_kib(pid: u32) -> Result<u32> {
    let file = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&file).doing(|| format!("read {file}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| Error::other(format!("{file} has no VmRSS")))
}
