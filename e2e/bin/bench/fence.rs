//! What the fence costs for each packet, as the kernel's own statistics of BPF programs say.

use super::{
    figures::Figures,
    lab::{
        Cluster, Result,
        error::{Doing, Error},
        stage::{Stage, Vip},
    },
};
use aya::{
    programs::loaded_programs,
    sys::{Stats, enable_stats},
};
use std::{fs, os::fd::AsRawFd};

/// So many packets to a `VirtualIP`, and as many answers. Most packets of a node cost less: they are for no guarded address.
const PACKETS: &str = "20000";

/// Measures it.
///
/// # Errors
/// When the kernel keeps no such statistics.
pub fn measure(lab: &Cluster, figures: &mut Figures) -> Result<()> {
    eprintln!("counting what the fence costs for each packet ...");
    let stage = Stage::set(lab, vec![Vip::dual("web", 200)])?;
    let told =
        |error: &dyn std::error::Error| Error::other(format!("no statistics of BPF programs: {error}"));
    let _counting = enable_stats(Stats::RunTime).map_err(|error| told(&error))?;
    let before = counted()?;
    lab.client().run(&["ping", "-q", "-f", "-c", PACKETS, "192.168.200.200"])?;
    let after = counted()?;
    stage.end()?;
    let (nanos, runs) = (after.0 - before.0, after.1 - before.1);
    figures.note("fence_ns_per_packet", f64::from(small(nanos)) / f64::from(small(runs).max(1)));
    Ok(())
}

/// Nanoseconds and runs of all programs of the fence, on all nodes.
fn counted() -> Result<(u64, u64)> {
    let mut sum = (0, 0);
    for program in loaded_programs().filter_map(std::result::Result::ok) {
        if !program.name_as_str().is_some_and(|name| name.starts_with("vip_fence_")) {
            continue;
        }
        let fd = program.fd().map_err(|error| Error::other(error.to_string()))?;
        let file = format!("/proc/self/fdinfo/{}", std::os::fd::AsFd::as_fd(&fd).as_raw_fd());
        let text = fs::read_to_string(&file).doing(|| format!("read {file}"))?;
        let number = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|number| number.trim().parse::<u64>().ok()).unwrap_or_default()
        };
        sum = (sum.0 + number("run_time_ns:"), sum.1 + number("run_cnt:"));
    }
    Ok(sum)
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
