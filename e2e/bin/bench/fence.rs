//! What the fence costs for each packet: the very programs on the owner's interface, run by the kernel
//! (`BPF_PROG_TEST_RUN`), less what such a run costs by itself.

mod frames;

use super::{
    figures::Figures,
    lab::{
        Cluster, Node, Result,
        error::Error,
        stage::{Stage, Vip},
    },
};
use aya::programs::{SchedClassifier, TestRun, TestRunOptions, loaded_programs};
use frames::{about, unjudged};
use std::net::IpAddr;

/// The least of so many measurements counts: what else runs here only adds to them.
const TIMES: usize = 7;
const PACKETS: u32 = 500_000;

/// Addresses that nobody has.
const OTHERS: [&str; 2] = ["192.168.200.7", "2001:db8::7"];

/// "Go on with the programs behind": what the fence says of what may pass.
const PASSES: u32 = u32::MAX;

/// Measures it.
///
/// # Errors
/// When the programs are not there, or stop what they should let pass.
pub fn measure(lab: &Cluster, figures: &mut Figures) -> Result<()> {
    eprintln!("counting what the fence costs for each packet ...");
    let vip = Vip::dual("web", 200);
    let stage = Stage::set(lab, vec![vip.clone()])?;
    let node = lab.node(&stage.owner)?;
    let programs = [standing(node, "egress")?, standing(node, "ingress")?];
    let others: Vec<IpAddr> = OTHERS.iter().filter_map(|address| address.parse().ok()).collect();
    let itself = most(&programs, &[unjudged()])?;
    figures.note("fence_run_itself_ns", itself);
    let judged = |addresses: &[IpAddr]| -> Result<f64> {
        let frames: Vec<_> = addresses.iter().flat_map(|address| about(*address)).collect();
        Ok((most(&programs, &frames)? - itself).max(0.0))
    };
    figures.note("fence_ns_per_packet_of_others", judged(&others)?);
    figures.note("fence_ns_per_packet", judged(&vip.addresses)?);
    stage.end().map(drop)
}

/// The program that stands there.
fn standing(node: &Node, way: &str) -> Result<SchedClassifier> {
    let shown = node.exec(&["tc", "filter", "show", "dev", "eth1", way])?;
    let words: Vec<&str> = shown.split_whitespace().collect();
    let id = words.windows(2).find(|pair| pair[0] == "id").and_then(|pair| pair[1].parse::<u32>().ok());
    let missing = || Error::other(format!("no program on the {way} of {}: {shown}", node.name()));
    let id = id.ok_or_else(missing)?;
    let mut loaded = loaded_programs().filter_map(std::result::Result::ok);
    let program = loaded.find(|program| program.id() == id).ok_or_else(missing)?;
    SchedClassifier::from_program_info(program, "fence".into())
        .map_err(|error| Error::other(format!("the fence on {} cannot be run: {error}", node.name())))
}

/// What the dearest of these frames costs in one of the programs, in nanoseconds.
fn most(programs: &[SchedClassifier], frames: &[Vec<u8>]) -> Result<f64> {
    let mut most: f64 = 0.0;
    for (program, frame) in
        programs.iter().flat_map(|program| frames.iter().map(move |frame| (program, frame)))
    {
        most = most.max(least(program, frame)?);
    }
    Ok(most)
}

fn least(program: &SchedClassifier, frame: &[u8]) -> Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..TIMES {
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        options.repeat = PACKETS;
        let run = program.test_run(options).map_err(|error| Error::other(format!("no test run: {error}")))?;
        if run.return_value != PASSES {
            return Err(Error::other(format!("the fence stops a packet while the right lasts: {frame:x?}")));
        }
        // The kernel gives the mean.
        least = least.min(run.duration.as_secs_f64() * 1e9);
    }
    Ok(least)
}
