//! One run: the addresses at rest, something happens, it is undone, and what the client saw.

use super::{
    cells::Scene,
    lab::{Cluster, Node, Result, judge::Verdict, slow_api::SlowApi, stage::millis},
    subject::Subject,
};
use nix::time::{ClockId, clock_gettime};
use std::{fmt, net::IpAddr, thread, time::Duration};

/// After this without an owner, counted from the last fault's end, a run has failed.
pub const OWNERLESS: Duration = Duration::from_secs(10);
/// How long the client asks on when all has come to rest: a second answer might come late.
const AFTERWARDS: Duration = Duration::from_millis(500);

/// What one run showed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// How long two hosts answered.
    pub two: Duration,
    /// Whether two hosts ever answered, however short.
    pub ever_two: bool,
    /// The longest time without an answer.
    pub silence: Duration,
    /// From the last fault's end until an owner answered that stayed.
    pub stable: Duration,
    /// Whether nobody answered when that time was over.
    pub ownerless: bool,
    /// Where the owner's process is another one than before: how long after the fault began that one started.
    pub restarted: Option<Duration>,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "silent for {:.1} ms", millis(self.silence))?;
        if self.ever_two {
            write!(f, ", TWO OWNERS for {:.1} ms", millis(self.two))?;
        }
        if self.ownerless {
            write!(f, ", NO OWNER in the end")?;
        } else if !self.stable.is_zero() {
            write!(f, ", stable {:.1} ms after it was undone", millis(self.stable))?;
        }
        match self.restarted {
            Some(after) => write!(f, "; its process was started again after {:.0} ms", millis(after)),
            None => Ok(()),
        }
    }
}

/// Waits until the subject is at rest, lets `happen` begin and undo something, and waits until all is well again.
///
/// # Errors
/// When the lab fails, or the subject never comes to rest before; what it does wrong is in what is given.
pub fn once(
    lab: &Cluster,
    api: &SlowApi,
    subject: &dyn Subject,
    happen: &dyn Fn(Scene<'_>) -> Result<()>,
) -> Result<Seen> {
    let owner = lab.node(&subject.at_rest(lab)?)?;
    let watch = lab.watch(&subject.addresses().iter().map(IpAddr::to_string).collect::<Vec<_>>())?;
    let began = now();
    happen(Scene { lab, owner, other: another(lab, owner), api, subject })?;
    let lifted = now();
    linger(subject.settled(lab).is_ok(), lifted);
    let verdict = watch.stop()?;
    let restarted = subject.started(owner).and_then(|started| started.checked_sub(began));
    lab.repair()?;
    Ok(seen(&verdict, lifted, restarted))
}

fn another<'a>(lab: &'a Cluster, owner: &'a Node) -> &'a Node {
    lab.nodes().iter().find(|node| node.name() != owner.name()).unwrap_or(owner)
}

/// The client asks on for a while.
fn linger(settled: bool, lifted: Duration) {
    thread::sleep(AFTERWARDS);
    // Short of the time allowed nobody can say that there is no owner.
    if !settled {
        thread::sleep((lifted + OWNERLESS).saturating_sub(now()));
    }
}

fn seen(verdict: &Verdict, lifted: Duration, restarted: Option<Duration>) -> Seen {
    let report = &verdict.report;
    let changes = report.addresses.values().flat_map(|address| {
        let silences = address.silences.iter().map(|silence| silence.start_us + silence.length_us);
        silences.chain(address.owners.iter().map(|owner| owner.first_us))
    });
    let last = Duration::from_micros(report.start_boottime_us + changes.max().unwrap_or_default());
    let is_silent = report.addresses.values().any(|address| {
        address.answered == 0
            || address.silences.last().is_some_and(|last| last.start_us + last.length_us >= report.end_us)
    });
    let stable = last.saturating_sub(lifted);
    Seen {
        two: verdict.two_owner_time(),
        ever_two: verdict.ever_two(),
        silence: verdict.longest_silence(),
        stable,
        ownerless: is_silent || stable > OWNERLESS,
        restarted,
    }
}

/// On the clock of the client's report.
fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
}
