//! What the agents asked of the API server, by its own audit log, and when.

use super::{
    cluster::Cluster,
    error::{Doing, Error, Result},
    stage::{Ending, millis},
};
use k8s_openapi::jiff::Timestamp;
use nix::{
    sys::time::TimeSpec,
    time::{ClockId, clock_gettime},
};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

const AGENTS: &str = "system:serviceaccount:virtualip-system:virtualip";
const NODE: &str = "authentication.kubernetes.io/node-name";
const WRITES: [&str; 4] = ["create", "update", "patch", "delete"];

impl Cluster {
    /// Every write of the agents so far.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn agents_writes(&self) -> Result<Vec<Value>> {
        let is_ours = |event: &Value| {
            event["user"]["username"] == AGENTS && WRITES.iter().any(|verb| event["verb"] == *verb)
        };
        Ok(self.audit_log()?.into_iter().filter(is_ours).collect())
    }

    /// How many writes the agent of each node has made so far.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn agents_writes_by_node(&self) -> Result<BTreeMap<String, u32>> {
        let mut writes = BTreeMap::new();
        for event in self.agents_writes()? {
            *writes.entry(node_of(&event)).or_default() += 1;
        }
        Ok(writes)
    }

    /// Who wrote a status of a `VirtualIP` after `since_us`, in microseconds of `CLOCK_BOOTTIME`, and before the client heard
    /// the new owner announce itself: a sentence, or none where the announcement came first.
    ///
    /// # Errors
    /// When the new owner announced nothing.
    pub fn status_before_announcement(&self, ending: &Ending, since_us: u64) -> Result<Option<String>> {
        let owner = ending.owner();
        let mac = self.node(owner)?.mac("eth1")?;
        let report = &ending.verdict.report;
        let said = report.addresses.values().flat_map(|address| &address.announcements);
        let said = said.filter(|said| said.mac == mac).map(|said| report.start_boottime_us + said.at_us);
        let announced = said.filter(|at| *at >= since_us).min();
        let announced = announced.ok_or_else(|| Error::other(format!("{owner} announced nothing")))?;
        let early = |(at, by): (u64, String)| {
            let early = millis(Duration::from_micros(announced.checked_sub(at)?));
            Some(format!("{by} wrote a status {early:.1} ms before {owner} announced itself"))
        };
        Ok(self.first_status(since_us)?.and_then(early))
    }

    /// When the first status of a `VirtualIP` after `since_us` was written, and on which node.
    fn first_status(&self, since_us: u64) -> Result<Option<(u64, String)>> {
        let ahead = ahead_us()?;
        let about = |event: &Value| {
            event["objectRef"]["resource"] == "virtualips" && event["objectRef"]["subresource"] == "status"
        };
        let written = self.agents_writes()?.into_iter().filter(about).filter_map(|event| {
            let at: Timestamp = event["requestReceivedTimestamp"].as_str()?.parse().ok()?;
            let at = u64::try_from(at.as_microsecond() - ahead).ok()?;
            Some((at, node_of(&event)))
        });
        Ok(written.filter(|(at, _)| *at >= since_us).min())
    }
}

/// The node whose agent asked.
fn node_of(event: &Value) -> String {
    event["user"]["extra"][NODE][0].as_str().unwrap_or_default().to_owned()
}

/// `CLOCK_BOOTTIME` in microseconds.
///
/// # Errors
/// When it cannot be read.
pub fn boottime_us() -> Result<u64> {
    let now = Duration::from(read(ClockId::CLOCK_BOOTTIME)?).as_micros();
    u64::try_from(now).map_err(|_| Error::other("the machine has been up beyond all bounds"))
}

/// How far the wall clock is ahead of `CLOCK_BOOTTIME`.
fn ahead_us() -> Result<i64> {
    let (boot, wall) = (read(ClockId::CLOCK_BOOTTIME)?, read(ClockId::CLOCK_REALTIME)?);
    let ahead = Duration::from(wall).saturating_sub(boot.into()).as_micros();
    i64::try_from(ahead).map_err(|_| Error::other("the wall clock is beyond all bounds"))
}

fn read(clock: ClockId) -> Result<TimeSpec> {
    clock_gettime(clock).doing(|| "read the clock".into())
}
