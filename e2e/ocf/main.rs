//! The resource agent, case by case, through the program: `cargo test --test ocf [NAME]`.
//!
//! Root is needed (network namespaces), and `ip` (iproute2) and `xmllint` (libxml2-utils).

mod host;
mod nonsense;
mod steps;

use std::{collections::BTreeMap, process::ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;

use host::Host;
use steps::Run;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_virtualip");
const CASES: &str = include_str!("cases.yaml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    agent: Vec<Case>,
    weak: Vec<Case>,
    ours: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default = "yes")]
    base: bool,
    set: BTreeMap<String, String>,
    steps: Vec<String>,
}

fn yes() -> bool {
    true
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let cases: Cases = match serde_yaml::from_str(CASES) {
        Ok(cases) => cases,
        Err(error) => {
            eprintln!("cases.yaml: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut trials = vec![
        Trial::test("metadata", || steps::metadata().map_err(Failed::from)),
        Trial::test("bad input", || nonsense::everywhere().map_err(Failed::from)),
    ];
    for (kind, cases) in [("agent: ", cases.agent), ("", cases.weak), ("ours: ", cases.ours)] {
        trials.extend(cases.into_iter().map(|case| {
            let name = [kind, &case.name].concat();
            Trial::test(name, move || one(case).map_err(Failed::from))
        }));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn one(case: Case) -> Result<(), String> {
    let (here, peer) = (Host::new()?, Host::new()?);
    for nic in ["eth0", "eth1"] {
        here.ip(&format!("link add {nic} type veth peer name {nic} netns {}", peer.id()))?;
        peer.ip(&format!("link set {nic} up"))?;
        here.ip(&format!("link set {nic} up"))?;
    }
    for nic in ["eth0", "eth1"] {
        here.until_it_sends(nic)?;
    }
    if case.base {
        here.ip("addr add 192.168.144.1/24 dev eth0 brd 192.168.144.255")?;
        here.ip("addr add 2001:db8:1234::1/64 dev eth0 nodad")?;
    }
    let mut run = Run::new(here, peer, case.set);
    for step in &case.steps {
        run.step(step).map_err(|error| format!("{step}: {error}"))?;
    }
    Ok(())
}
