//! Builds the program where no BPF compiler is, and looks what becomes of that: the build says so and goes on, the binary says
//! so, and its agents choose the kernel's lifetimes, say why, and move an address all the same.

#[path = "../lab/mod.rs"]
#[allow(dead_code, unused_imports)] // Each program uses its part of the lab.
mod lab;

use lab::{
    Cluster, Error, Plan, Result,
    image::{Image, STATIC, cargo, target},
    program,
    run::{command, finish, piped, run, spelled, until},
    stage::{PATIENCE, Stage},
};
use std::{path::PathBuf, process::ExitCode};

/// What stands in for clang.
const NO_COMPILER: &str = "no-compiler";

fn main() -> ExitCode {
    program::main("without-bpf", all)
}

/// Whether all was well: what is not is an error.
fn all() -> Result<bool> {
    let binary = build()?;
    let version = run(command(&[binary.to_string_lossy().as_ref(), "--version"]))?;
    says(&version, "no exact fence")?;
    let lab = Cluster::start(&Plan::default())?;
    lab.deploy_image(|name| Image::around(name, &binary))?;
    for node in lab.nodes() {
        let fence = until("the node says what its fence is", PATIENCE, || {
            let fence = lab.get(&["virtualipnode", node.name()])?["status"]["fence"].take();
            Ok(fence.is_object().then_some(fence))
        })?;
        says(&fence.to_string(), "\"Lifetime\"")?;
        says(&fence.to_string(), "this binary was built without the fence: install clang")?;
        says(&node.agent_get("/metrics")?, "virtualip_fence_exact 0\n")?;
    }
    let stage = Stage::dual(&lab)?;
    lab.node(&stage.owner)?.power_off()?;
    stage.moved()?;
    stage.end().map(|_| true)
}

/// The binary of a build that finds no compiler, in a folder of its own.
fn build() -> Result<PathBuf> {
    let dir = target().join("without-bpf");
    eprintln!("building without a BPF compiler (some minutes the first time) ...");
    let mut cargo = cargo(&["build", "--bin", "virtualip", "--target", STATIC, "--target-dir"]);
    cargo.arg(&dir).env("CLANG", NO_COMPILER);
    let spelled = spelled(&cargo);
    let child = piped(cargo).spawn().map_err(|error| Error::other(format!("{spelled}: {error}")))?;
    let output = finish(child, &spelled)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(Error::other(format!("{spelled}: {said}")));
    }
    says(
        &said,
        "this build has no exact fence, only the kernel's address lifetimes: no-compiler cannot be run",
    )?;
    Ok(dir.join(STATIC).join("debug/virtualip"))
}

fn says(text: &str, what: &str) -> Result<()> {
    if text.contains(what) {
        let line = text.lines().find(|line| line.contains(what)).unwrap_or_default();
        println!("{}", line.trim());
        return Ok(());
    }
    Err(Error::other(format!("nothing says {what:?}: {text}")))
}
