//! What an owner of many costs its node when nothing happens.

use super::{
    figures::Figures,
    lab::{
        Cluster, Result,
        error::{Doing, Error},
        stage::Vip,
    },
};
use nix::{
    time::{ClockId, clock_gettime},
    unistd::Pid,
};
use std::{fs, ops::Range, thread, time::Duration};

/// The last digits of their addresses, of both families.
const DIGITS: Range<u8> = 100..200;
/// After this nothing is left of the beginning: first announcements, statuses.
const REST: Duration = Duration::from_secs(15);
/// How long is counted.
const COUNT: Duration = Duration::from_secs(30);

/// So often, and for so long each time, a program sleeps that has nothing to do.
const EMPTY_WAKES: u32 = 250;
const EMPTY_SLEEP: Duration = Duration::from_millis(20);

/// Where the right comes from, and what the figures say of it.
const SOURCES: [(&str, &str); 2] = [("both", ""), ("witness", "_witness")];

/// Measures it on a node that has all of them.
///
/// # Errors
/// When one of them gets no node.
pub fn measure(lab: &Cluster, figures: &mut Figures) -> Result<()> {
    figures.note("idle_empty_wake_us", empty_wake()?.as_secs_f64() * 1e6);
    for (source, name) in SOURCES {
        lab.use_source(source)?;
        of_all(lab, source, name, figures)?;
    }
    lab.use_source("both")
}

fn of_all(lab: &Cluster, source: &str, name: &str, figures: &mut Figures) -> Result<()> {
    let [owner, others @ ..] = lab.nodes() else { return Err(Error::other("the lab has no nodes")) };
    eprintln!(
        "measuring {} with {} VirtualIPs, idle, {source}, over {} s ...",
        owner.name(),
        DIGITS.len(),
        COUNT.as_secs()
    );
    lab.delete_virtualips(Duration::from_mins(1))?;
    others.iter().try_for_each(|node| lab.standby(node.name(), true))?;
    let all: String = DIGITS.map(|digits| Vip::dual(&format!("web-{digits}"), digits).manifest()).collect();
    lab.apply(&all)?;
    lab.kubectl(&["wait", "virtualips", "--all", "--for=condition=Ready", "--timeout=120s"])?;
    others.iter().try_for_each(|node| lab.standby(node.name(), false))?;
    lab.wait_source(source)?;
    thread::sleep(REST);
    let agent = owner.agent()?.pid;
    let before = (processor_time(agent)?, wakes(agent)?);
    thread::sleep(COUNT);
    let busy = processor_time(agent)?.saturating_sub(before.0);
    let woke = wakes(agent)?.saturating_sub(before.1);
    let held = lab.kubectl(&["get", "virtualips", "-o", "jsonpath={.items[*].status.node}"])?;
    if held.split_whitespace().filter(|node| *node == owner.name()).count() != DIGITS.len() {
        return Err(Error::other(format!("not all are on {}: {held}", owner.name())));
    }
    let vips = DIGITS.len();
    let share = busy.as_secs_f64() * 100.0 / COUNT.as_secs_f64();
    figures.note(&format!("idle_cpu_{vips}_vips{name}_percent"), share);
    figures.note(&format!("idle_wakes_{vips}_vips{name}_per_s"), f64::from(woke) / COUNT.as_secs_f64());
    lab.delete_virtualips(Duration::from_mins(1))
}

/// What this machine charges a program that wakes and does nothing. It differs much, where processors are shared above all, and so
/// does what idling costs.
fn empty_wake() -> Result<Duration> {
    let used = || {
        clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).doing(|| "read a clock".into())
    };
    let before = used()?;
    (0..EMPTY_WAKES).for_each(|_| thread::sleep(EMPTY_SLEEP));
    Ok(used()?.saturating_sub(before) / EMPTY_WAKES)
}

/// Processor time of all threads of a process, within and without the kernel.
pub fn processor_time(pid: u32) -> Result<Duration> {
    let asked = ClockId::pid_cpu_clock_id(Pid::from_raw(pid.cast_signed())).and_then(clock_gettime);
    asked.map(Duration::from).doing(|| format!("ask for the processor time of process {pid}"))
}

/// How often one of its threads went to sleep.
fn wakes(pid: u32) -> Result<u32> {
    let tasks = format!("/proc/{pid}/task");
    let threads = fs::read_dir(&tasks).doing(|| format!("read {tasks}"))?;
    let texts = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("status")).ok());
    let counts = texts.filter_map(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|number| number.trim().parse::<u32>().ok())
    });
    Ok(counts.sum())
}
