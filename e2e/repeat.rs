//! Runs the tests again and again, each time on a new cluster, and tells what the client saw.

use crate::{
    lab::stage::millis,
    runner::{Case, Run, once},
};
use libtest_mimic::Arguments;
use std::{env, process::ExitCode, time::Instant};

/// How many runs; without it the tests run once.
const RUNS: &str = "VIRTUALIP_E2E_RUNS";

/// How often the tests shall run, where that was asked for.
pub fn asked() -> Option<Result<u32, String>> {
    let text = env::var(RUNS).ok()?;
    Some(
        text.parse()
            .ok()
            .filter(|runs| *runs > 0)
            .ok_or(format!("{RUNS} is {text}: write a number, as in 5")),
    )
}

/// Runs the tests so often, or until a run fails, and prints a table of the runs.
pub fn repeat(arguments: &Arguments, cases: &[Case], runs: u32) -> ExitCode {
    let mut rows = vec![HEAD.map(str::to_owned)];
    let mut good = true;
    for number in 1..=runs {
        let start = Instant::now();
        let run = once(arguments, cases);
        let row = row(number, &run, start);
        let [_, passed, failed, took, two, silence] = &row;
        println!(
            "run {number} of {runs}: {passed} passed, {failed} failed, {took}; two owners: {two}; {silence}"
        );
        rows.push(row);
        good = !run.conclusion.has_failed() && run.conclusion.num_passed > 0;
        if !good {
            break;
        }
    }
    println!("\n{}", table(&rows));
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

const HEAD: [&str; 6] = ["run", "passed", "failed", "took", "two owners", "longest silence"];

fn row(number: u32, run: &Run, start: Instant) -> [String; 6] {
    let two: f64 = run.seen.iter().map(|(_, seen)| millis(seen.two_owners)).sum();
    let longest = run.seen.iter().max_by_key(|(_, seen)| seen.longest_silence);
    let longest = longest.map(|(name, seen)| format!("{:.0} ms in {name}", millis(seen.longest_silence)));
    [
        number.to_string(),
        run.conclusion.num_passed.to_string(),
        run.conclusion.num_failed.to_string(),
        format!("{} s", start.elapsed().as_secs()),
        format!("{two:.0} ms"),
        longest.unwrap_or_default(),
    ]
}

fn table(rows: &[[String; 6]]) -> String {
    let mut widths = [0; 6];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
