//! False alarms: all processors taken by other pods, every twentieth frame that a node sends lost on the way to the others
//! and the API server, agents as they are installed. No address may move. What to do comes from the environment: see `make help`.

#[path = "../../lab/mod.rs"]
#[allow(dead_code, unused_imports)] // Each program uses its part of the lab.
mod lab;
mod load;
mod metrics;

use lab::{
    Cluster, Node, Plan, Result,
    error::Doing,
    image::target,
    judge::Verdict,
    program::{self, number, text},
    stage::{Stage, Vip},
};
use metrics::Snapshot;
use serde_json::{Value, json};
use std::{fs, process::ExitCode, thread, time::Duration};

/// The last digits of the addresses.
const DIGITS: std::ops::Range<u8> = 200..210;
/// Every frame that a node sends on the network between nodes is lost so often, in percent.
const LOST: u32 = 5;

fn main() -> ExitCode {
    program::main("calm", all)
}

/// Whether nothing moved.
fn all() -> Result<bool> {
    let told = |name: &str, otherwise: &str| text(name).unwrap_or_else(|| otherwise.to_owned());
    let span = Duration::from_mins(number("MINUTES")?.unwrap_or(10));
    let (modes, load) = (told("MODES", "witness,both"), told("LOAD", "100m"));
    eprintln!("starting three nodes ...");
    let lab = Cluster::start(&Plan::default())?;
    lab.deploy()?;
    let (mut good, mut rows) = (true, serde_json::Map::new());
    for mode in modes.split(',') {
        let row = under_load(&lab, mode, &load, span)?;
        println!("{mode}: {row:#}");
        good &= row["moves"] == 0 && row["two_owner_ms"] == 0;
        rows.insert(mode.to_owned(), row);
    }
    let file = target().join("calm.json");
    fs::write(&file, format!("{:#}\n", Value::Object(rows))).doing(|| format!("write {}", file.display()))?;
    Ok(good)
}

fn under_load(lab: &Cluster, mode: &str, load: &str, span: Duration) -> Result<Value> {
    lab.use_source(mode)?;
    let vips: Vec<_> = DIGITS.map(|digits| Vip::dual(&format!("web-{digits}"), digits)).collect();
    let stage = Stage::set(lab, vips)?;
    lab.wait_source(mode)?;
    load::begin(lab, load)?;
    lab.on_every_node(|node| node.lose_some(LOST))?;
    let before = Snapshot::take(lab)?;
    eprintln!("{mode}: {} minutes of load and loss ...", span.as_secs() / 60);
    thread::sleep(span);
    let after = Snapshot::take(lab);
    lab.on_every_node(Node::lose_nothing)?;
    load::end(lab)?;
    let verdict = stage.stop()?;
    Ok(row(span, load, &after?.since(&before), &verdict))
}

fn row(span: Duration, load: &str, seen: &Snapshot, verdict: &Verdict) -> Value {
    let moves: usize =
        verdict.report.addresses.values().map(|address| address.owners.len().saturating_sub(1)).sum();
    let (asked, came) = (
        seen.count("virtualip_promises_asked_total"),
        seen.count("virtualip_promise_round_trip_seconds_count"),
    );
    json!({
        "load_requests_cpu": load,
        "minutes": span.as_secs() / 60,
        "moves": moves,
        "two_owner_ms": verdict.two_owner_time().as_millis(),
        "longest_silence_ms": verdict.longest_silence().as_millis(),
        "agents_started_anew": seen.restarts,
        "rights_lost": seen.count("virtualip_lapses_total"),
        "promises_asked": asked,
        "promises_that_did_not_come": asked.saturating_sub(came),
        "loop_late_at_most_ms": seen.at_most_ms("virtualip_loop_lateness_seconds"),
        "promise_after_at_most_ms": seen.at_most_ms("virtualip_promise_round_trip_seconds"),
    })
}
