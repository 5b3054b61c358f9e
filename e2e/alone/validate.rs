//! `virtualip validate` says what is wrong and where, and by its exit code whether something is.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use super::{Outcome, PROGRAM, Test};

pub const TESTS: &[Test] = &[
    ("validate: good manifests are valid", good),
    ("validate: a bad one is refused with file and line", bad),
    ("validate: JSON for programs", json),
    ("validate: wrong usage is told from refused files", usage),
];

const GOOD: &str = "\
apiVersion: virtualip.dev/v1alpha1
kind: VirtualIP
metadata: {name: web}
spec: {addresses: [192.0.2.10]}
";
const BAD: &str = "\
apiVersion: virtualip.dev/v1alpha1
kind: VirtualIP
metadata: {name: web}
spec:
  addresses: [192.0.2.10]
  interface: lo
";

fn validate(arguments: &[&str], input: &str) -> Result<Output, String> {
    let mut command = Command::new(PROGRAM);
    command
        .arg("validate")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
    written.transpose().map_err(|error| error.to_string())?;
    child.wait_with_output().map_err(|error| error.to_string())
}

fn expect(output: &Output, code: i32, part: &str) -> Outcome {
    let said = String::from_utf8_lossy(&output.stdout);
    let fine = output.status.code() == Some(code) && said.contains(part);
    if fine {
        Ok(())
    } else {
        Err(format!("{}: {said}{}", output.status, String::from_utf8_lossy(&output.stderr)))
    }
}

fn good() -> Outcome {
    expect(&validate(&["-f", "-"], GOOD)?, 0, "valid: 1, problems: 0")?;
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/samples");
    expect(&validate(&["-f", samples], "")?, 0, "problems: 0")
}

fn bad() -> Outcome {
    expect(&validate(&["-f", "-"], BAD)?, 1, "-:6: VirtualIP web: spec.interface: name an interface")
}

fn json() -> Outcome {
    let output = validate(&["-f", "-", "-o", "json"], BAD)?;
    let said: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let problem = &said["problems"][0];
    let fine = said["valid"] == false && problem["line"] == 6 && problem["field"] == "spec.interface";
    if fine && output.status.code() == Some(1) { Ok(()) } else { Err(said.to_string()) }
}

fn usage() -> Outcome {
    expect(&validate(&[], "")?, 2, "")?;
    expect(&validate(&["-f", "-", "-o", "wide"], "")?, 2, "")?;
    expect(&validate(&["-f", "/nowhere.yaml"], "")?, 1, "")
}
