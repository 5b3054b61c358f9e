//! The figures that the README promises, measured on a cluster of three nodes on this machine.

mod crowd;
mod dead;
mod fence;
mod figures;
mod idle;
#[path = "../../lab/mod.rs"]
#[allow(dead_code, unused_imports)] // Each program uses its part of the lab.
mod lab;
mod many;
mod moves;
mod off;
mod quiet;
mod renewals;
mod steady;

use figures::Figures;
use lab::{
    Cluster, Plan, Result,
    error::{Doing, Error, chain},
    image::{release_binary, target},
};
use std::{fs, process::ExitCode, time::Instant};

fn main() -> ExitCode {
    lab::enter();
    match measure() {
        Ok(figures) => {
            print!("{}", figures.table());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bench: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// The parts of the benchmark, in their order.
const PARTS: [&str; 12] = [
    "size", "many", "handover", "moves", "base", "fence", "idle", "renewals", "steady", "quiet", "off",
    "dead",
];

/// Measures the parts that the command line names, or all of them. The file keeps what other parts have given before.
fn measure() -> Result<Figures> {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = asked.iter().find(|part| !PARTS.contains(&part.as_str())) {
        return Err(Error::other(format!("there is no part {unknown}, but {}", PARTS.join(", "))));
    }
    let wanted = |part: &str| asked.is_empty() || asked.iter().any(|asked| asked == part);
    let mut figures = Figures::default();
    if wanted("size") {
        let binary = match std::env::var_os("VIRTUALIP_BINARY") {
            Some(path) => path.into(),
            None => release_binary()?,
        };
        figures.note(
            "binary_mib",
            mebibytes(fs::metadata(&binary).doing(|| "look at the binary".into())?.len()),
        );
    }
    if wanted("many") {
        eprintln!("a thousand addresses on one node ...");
        many::measure(&mut figures)?;
    }
    if PARTS.into_iter().any(|part| part != "many" && wanted(part)) {
        on_a_cluster(&mut figures, wanted)?;
    }
    let file = target().join("bench.json");
    let before = if asked.is_empty() { None } else { fs::read_to_string(&file).ok() };
    fs::write(&file, figures.json(before.as_deref())).doing(|| format!("write {}", file.display()))?;
    eprintln!("written to {}", file.display());
    Ok(figures)
}

fn on_a_cluster(figures: &mut Figures, wanted: impl Fn(&str) -> bool) -> Result<()> {
    eprintln!("starting three nodes ...");
    let start = Instant::now();
    let lab = Cluster::start(&Plan::default())?;
    let started = start.elapsed();
    eprintln!("building the image, loading it and applying manifests/ ...");
    let image = lab.deploy()?.size()?;
    if wanted("size") {
        figures.note("cluster_start_s", started.as_secs_f64());
        figures.note("image_mib", mebibytes(image));
    }
    if wanted("handover") {
        moves::handovers(&lab, figures)?;
    }
    if wanted("moves") {
        moves::measure(&lab, figures)?;
    }
    if wanted("base") {
        moves::bases(&lab, figures)?;
    }
    if wanted("fence") {
        fence::measure(&lab, figures)?;
    }
    if wanted("idle") {
        idle::measure(&lab, figures)?;
    }
    if wanted("renewals") {
        renewals::measure(&lab, figures)?;
    }
    if wanted("steady") {
        steady::measure(&lab, figures)?;
    }
    if wanted("quiet") {
        quiet::measure(&lab, figures)?;
    }
    if wanted("off") {
        off::measure(&lab, figures)?;
    }
    if wanted("dead") {
        dead::measure(&lab, figures)?;
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss)] // Sizes of files are far below 2^52.
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
