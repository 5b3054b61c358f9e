//! The figures that the README promises, measured on a cluster of three nodes on this machine.

mod audit;
mod fence;
mod figures;
#[path = "../../lab/mod.rs"]
#[allow(dead_code, unused_imports)] // Each program uses its part of the lab.
mod lab;
mod many;
mod moves;
mod steady;

use figures::Figures;
use lab::{
    Cluster, Plan, Result,
    error::{Doing, chain},
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

fn measure() -> Result<Figures> {
    let mut figures = Figures::default();
    let binary = match std::env::var_os("VIRTUALIP_BINARY") {
        Some(path) => path.into(),
        None => release_binary()?,
    };
    figures.note("binary_mib", mebibytes(fs::metadata(&binary).doing(|| "look at the binary".into())?.len()));
    eprintln!("a thousand addresses on one node ...");
    many::measure(&mut figures)?;
    eprintln!("starting three nodes ...");
    let start = Instant::now();
    let lab = Cluster::start(&Plan::default())?;
    figures.note("cluster_start_s", start.elapsed().as_secs_f64());
    eprintln!("building the image, loading it and applying manifests/ ...");
    figures.note("image_mib", mebibytes(lab.deploy()?.size()?));
    moves::measure(&lab, &mut figures)?;
    fence::measure(&lab, &mut figures)?;
    steady::measure(&lab, &mut figures)?;
    let file = target().join("bench.json");
    fs::write(&file, figures.json()).doing(|| format!("write {}", file.display()))?;
    eprintln!("written to {}", file.display());
    Ok(figures)
}

#[allow(clippy::cast_precision_loss)] // Sizes of files are far below 2^52.
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
