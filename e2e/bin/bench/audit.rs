//! What the agents asked of the API server, by its own audit log.

use super::lab::{
    Cluster, Result,
    error::{Doing, Error},
};
use k8s_openapi::jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};
use serde_json::Value;
use std::{fs, time::Duration};

const AGENTS: &str = "system:serviceaccount:virtualip-system:virtualip";
const NODE: &str = "authentication.kubernetes.io/node-name";
const WRITES: [&str; 4] = ["create", "update", "patch", "delete"];

/// When the agent of `node` first wrote the status of a `VirtualIP` after `since_us`. Both in microseconds of
/// `CLOCK_BOOTTIME`.
///
/// # Errors
/// When the log cannot be read.
pub fn status_written(lab: &Cluster, node: &str, since_us: u64) -> Result<Option<u64>> {
    let offset = offset_us()?;
    let about = |event: &Value| {
        event["objectRef"]["resource"] == "virtualips"
            && event["objectRef"]["subresource"] == "status"
            && event["user"]["extra"][NODE][0] == node
    };
    let times = writes(lab)?.into_iter().filter(about).filter_map(|event| received_us(&event));
    let times = times.filter_map(|wall| u64::try_from(wall - offset).ok());
    Ok(times.filter(|at| *at >= since_us).min())
}

/// How many writes the agents made so far.
///
/// # Errors
/// When the log cannot be read.
pub fn written(lab: &Cluster) -> Result<usize> {
    writes(lab).map(|events| events.len())
}

fn writes(lab: &Cluster) -> Result<Vec<Value>> {
    let log = lab.control_plane().audit_log();
    let text = fs::read_to_string(&log).doing(|| format!("read {}", log.display()))?;
    // The last line may be half written.
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let is_ours = |event: &Value| {
        event["user"]["username"] == AGENTS && WRITES.iter().any(|verb| event["verb"] == *verb)
    };
    Ok(events.filter(is_ours).collect())
}

fn received_us(event: &Value) -> Option<i64> {
    let at: Timestamp = event["requestReceivedTimestamp"].as_str()?.parse().ok()?;
    Some(at.as_microsecond())
}

/// How far the wall clock is ahead of `CLOCK_BOOTTIME`.
fn offset_us() -> Result<i64> {
    let read = |clock| clock_gettime(clock).doing(|| "read the clock".into());
    let (boot, wall) = (read(ClockId::CLOCK_BOOTTIME)?, read(ClockId::CLOCK_REALTIME)?);
    let ahead = Duration::from(wall).saturating_sub(boot.into()).as_micros();
    i64::try_from(ahead).map_err(|_| Error::other("the wall clock is beyond all bounds"))
}
