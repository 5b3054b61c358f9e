//! The lab when its own process dies: nothing is left of it.

use crate::{
    lab::{
        Cluster, Error,
        process::{Process, in_network_of, recorded},
        run::until,
        state::State,
    },
    runner::Outcome,
};
use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use std::{
    env, fs,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

super::tests![a_lab_whose_process_is_killed_or_interrupted_leaves_nothing];

const PATIENCE: Duration = Duration::from_mins(1);

/// Another lab, beside the one of the tests: killed outright, and by Ctrl-C, which everything in the foreground hears.
fn a_lab_whose_process_is_killed_or_interrupted_leaves_nothing(_: &Cluster) -> Outcome {
    for (signal, foreground) in [(Signal::SIGKILL, false), (Signal::SIGINT, true)] {
        let mut child = another()?;
        let (state, processes) = until("another lab boots", PATIENCE, || Ok(booted(child.id())))?;
        let pid = Pid::from_raw(child.id().cast_signed());
        if foreground { killpg(pid, signal) } else { kill(pid, signal) }?;
        child.wait()?;
        until("its janitor cleaned up", PATIENCE, || Ok((!state.dir().exists()).then_some(())))?;
        until(&format!("nothing that {signal} left runs any more"), PATIENCE, || {
            let left: Vec<_> = processes.iter().filter(|(process, _)| process.is_alive()).collect();
            if left.is_empty() { Ok(Some(())) } else { Err(Error::other(format!("{left:?}"))) }
        })?;
        assert!(!has_groups(state.dir())?, "{signal} left control groups");
    }
    Ok(())
}

/// This same program, which boots a cluster for the test that it is told to run.
fn another() -> std::io::Result<Child> {
    let mut another = Command::new(env::current_exe()?);
    another
        .args(["--exact", "the_client_reaches_every_node_in_both_families"])
        .env_remove("VIRTUALIP_E2E_RUNS");
    another.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn()
}

/// A process, and its command line.
type Running = (Process, Vec<String>);

/// The lab of this process and all that runs on its hosts, once programs run on a node.
fn booted(owner: u32) -> Option<(State, Vec<Running>)> {
    let is_its = |lab: &State| lab.owner().is_some_and(|process| process.pid == owner);
    let state = State::all().into_iter().find(is_its)?;
    let on = |host: &str| {
        let init = recorded(&state.host(host).join("init"))?;
        Some(in_network_of(init.pid)).filter(|processes| processes.len() > 1)
    };
    let processes = ["control-plane", "n1"].map(on);
    let all = processes.into_iter().collect::<Option<Vec<_>>>()?;
    Some((state, all.concat()))
}

/// Whether a hierarchy of control groups, or the only one, has one of the lab in this directory.
fn has_groups(lab: &Path) -> std::io::Result<bool> {
    let name = lab.file_name().unwrap_or_default();
    let mount = Path::new("/sys/fs/cgroup");
    let mut hierarchies = vec![mount.to_owned()];
    for entry in fs::read_dir(mount)? {
        hierarchies.push(entry?.path());
    }
    Ok(hierarchies.iter().any(|hierarchy| hierarchy.join(name).exists()))
}
