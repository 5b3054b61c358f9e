//! The overlay that lets the agents run before ordinary programs.

use crate::{
    lab::{
        Cluster, Error, Node, Result,
        deploy::{manifests, overlay},
        run::until,
    },
    runner::Outcome,
};
use std::{fs, time::Duration};

super::tests![with_the_overlay_the_loop_runs_before_ordinary_programs_and_its_memory_stays];

/// `SCHED_OTHER` and `SCHED_RR`, with their real-time priorities, as in proc(5).
const ORDINARY: (u32, u32) = (0, 0);
const URGENT: (u32, u32) = (2, 2);
const PATIENCE: Duration = Duration::from_secs(10);

fn with_the_overlay_the_loop_runs_before_ordinary_programs_and_its_memory_stays(lab: &Cluster) -> Outcome {
    lab.on_every_node(|node| treated(node, ORDINARY, false))?;
    let applied = lab
        .kubectl(&["apply", "-k", &overlay("realtime")])
        .and_then(|_| lab.wait_agents_ready())
        .and_then(|()| lab.on_every_node(|node| treated(node, URGENT, true)));
    // The other tests want what ships.
    lab.kubectl(&["apply", "-k", &manifests()])?;
    lab.wait_agents_ready()?;
    applied?;
    lab.on_every_node(|node| treated(node, ORDINARY, false))?;
    Ok(())
}

/// The kernel says how the agent is treated, and the agent's metrics say the same; its loop measures how late it is.
fn treated(node: &Node, scheduling: (u32, u32), locked: bool) -> Result<()> {
    until(&format!("the loop of {} is scheduled as {scheduling:?}", node.name()), PATIENCE, || {
        let pid = node.agent()?.pid;
        // A kernel with shares of real-time (`CONFIG_RT_GROUP_SCHED`) gives a pod's control group none.
        let scheduling = if gets_real_time(pid)? { scheduling } else { ORDINARY };
        let seen = (loop_scheduling(pid)?, locked_kib(pid)? > 0);
        if seen != (scheduling, locked) {
            return Err(Error::other(format!("the kernel says {seen:?}")));
        }
        let metrics = node.agent_get("/metrics")?;
        let says = |name: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|number| number.parse::<f64>().ok()).unwrap_or(-1.0)
        };
        let flag = |on: bool| if on { "1" } else { "0" };
        for line in [
            format!("virtualip_loop_realtime {}", flag(scheduling == URGENT)),
            format!("virtualip_memory_locked {}", flag(locked)),
        ] {
            if !metrics.lines().any(|seen| seen == line) {
                return Err(Error::other(format!("no {line}")));
            }
        }
        let (count, sum) =
            (says("virtualip_loop_lateness_seconds_count"), says("virtualip_loop_lateness_seconds_sum"));
        if count < 1.0 {
            return Err(Error::other("the loop does not measure how late it is"));
        }
        eprintln!(
            "    {} {scheduling:?}: {:.3} ms late on average of {count}",
            node.name(),
            sum / count * 1e3
        );
        Ok(Some(()))
    })
}

/// Whether the control group of a process may run anything in real time; where groups have no such shares, all may.
fn gets_real_time(pid: u32) -> Result<bool> {
    let file = format!("/proc/{pid}/cgroup");
    let groups = fs::read_to_string(&file).map_err(|error| Error::other(format!("{file}: {error}")))?;
    let path = groups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|controller| controller == "cpu").then_some(path)
    });
    let share = path.map(|path| fs::read_to_string(format!("/sys/fs/cgroup/cpu{path}/cpu.rt_runtime_us")));
    Ok(share.and_then(std::result::Result::ok).is_none_or(|share| share.trim() != "0"))
}

/// Policy and real-time priority of the thread with the loop.
fn loop_scheduling(pid: u32) -> Result<(u32, u32)> {
    let tasks = format!("/proc/{pid}/task");
    let threads = fs::read_dir(&tasks).map_err(|error| Error::other(format!("{tasks}: {error}")))?;
    let stats = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("stat")).ok());
    let of_loop = stats.into_iter().find_map(|stat| {
        let (_, fields) = stat.rsplit_once("(rights) ")?;
        // Fields 41 and 40 of proc(5); the first after the name is the third.
        let fields: Vec<u32> = fields.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
        Some((*fields.get(38)?, *fields.get(37)?))
    });
    of_loop.ok_or_else(|| Error::other(format!("process {pid} has no thread for its loop")))
}

fn locked_kib(pid: u32) -> Result<u32> {
    let file = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&file).map_err(|error| Error::other(format!("{file}: {error}")))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmLck:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| Error::other(format!("{file} has no VmLck")))
}
