//! Runs every test on one cluster, and makes that whole again after each.

use crate::{
    lab::{self, Cluster, Node, Plan, error::chain, image::target, seen::Sum},
    repeat,
};
use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use std::{
    error::Error,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How a test ends.
pub type Outcome = Result<(), Box<dyn Error>>;

/// A test.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Stands before the name, in brackets, and is a part of it for whoever chooses tests.
    pub kind: &'static str,
    /// A sentence.
    pub name: &'static str,
    /// What it does with the cluster.
    pub test: fn(&Cluster) -> Outcome,
}

/// How a run of all tests went.
pub struct Run {
    /// What cargo wants to know.
    pub conclusion: Conclusion,
    /// What the client saw, test by test.
    pub seen: Vec<(&'static str, Sum)>,
}

/// The label of nodes that tests use.
pub const LABEL: &str = "example.org/edge";
/// How `ip` prints the lifetime of an address that is not ours: all of ours end by themselves.
const FOREVER: &str = "valid_lft forever";

/// What all tests share.
#[derive(Default)]
struct Shared {
    /// It is started by the first one: a list of tests needs none.
    cluster: Option<Cluster>,
    seen: Vec<(&'static str, Sum)>,
}

/// Runs the tests that the command line asks for, as often as the environment does.
pub fn run(cases: &[Case]) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They would break each other's nodes.
    arguments.test_threads = Some(1);
    match repeat::asked() {
        None => once(&arguments, cases).conclusion.exit_code(),
        Some(Ok(runs)) => repeat::repeat(&arguments, cases, runs),
        Some(Err(error)) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs them once, on a new cluster.
pub fn once(arguments: &Arguments, cases: &[Case]) -> Run {
    let shared = Arc::new(Mutex::new(Shared::default()));
    let trial = |&case: &Case| {
        let shared = Arc::clone(&shared);
        Trial::test(case.name, move || one(&shared, case)).with_kind(case.kind)
    };
    let conclusion = libtest_mimic::run(arguments, cases.iter().map(trial).collect());
    let shared = std::mem::take(&mut *shared.lock().unwrap_or_else(PoisonError::into_inner));
    // Ends the cluster, before the process does.
    drop(shared.cluster);
    Run { conclusion, seen: shared.seen }
}

fn one(shared: &Mutex<Shared>, Case { name, test, .. }: Case) -> Result<(), Failed> {
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let cluster = match shared.cluster.take() {
        Some(cluster) => cluster,
        None => start().map_err(|error| Failed::from(chain(&error)))?,
    };
    let cluster = shared.cluster.insert(cluster);
    let start = Instant::now();
    let ended = catch_unwind(AssertUnwindSafe(|| test(cluster)));
    let took = start.elapsed();
    let well = matches!(ended, Ok(Ok(())));
    if !well {
        snapshot(cluster, name);
    }
    let start = Instant::now();
    let cleaned = clean(cluster);
    if well && cleaned.is_err() {
        snapshot(cluster, name);
    }
    eprintln!("{name}: {took:.1?}, and {:.1?} to clean up", start.elapsed());
    let seen = cluster.seen().take();
    shared.seen.push((name, seen));
    match ended {
        Err(panic) => resume_unwind(panic),
        Ok(Err(error)) => Err(Failed::from(chain(error.as_ref()))),
        // Whatever a test is about: never two.
        Ok(Ok(())) if !seen.two_owners.is_zero() => {
            Err(Failed::from(format!("two hosts answered for one address, for {:?}", seen.two_owners)))
        }
        Ok(Ok(())) => {
            cleaned.map_err(|error| Failed::from(format!("cleaning up after it: {}", chain(&error))))
        }
    }
}

fn start() -> lab::Result<Cluster> {
    let cluster = Cluster::start(&Plan::default())?;
    cluster.deploy()?;
    Ok(cluster)
}

fn snapshot(cluster: &Cluster, name: &str) {
    let dir = target().join("e2e/failures").join(name);
    match cluster.snapshot(&dir) {
        Ok(()) => eprintln!("what the cluster looked like: {}", dir.display()),
        Err(error) => eprintln!("{}", chain(&error)),
    }
}

/// Makes the cluster as it was before the test: no fault, the agents at work, no `VirtualIP`, no address of ours.
fn clean(cluster: &Cluster) -> lab::Result<()> {
    if !cluster.repair()? {
        cluster.install()?;
    }
    thread::scope(|scope| {
        let welcome = scope.spawn(|| welcome(cluster));
        cluster.delete_virtualips(Duration::from_mins(1))?;
        welcome.join().unwrap_or_else(|panic| resume_unwind(panic))
    })?;
    cluster.nodes().iter().try_for_each(silent)
}

/// No node is on standby, and none has a label of a test.
fn welcome(cluster: &Cluster) -> lab::Result<()> {
    let found = cluster.get(&["nodes,virtualipnodes"])?;
    for object in found["items"].as_array().into_iter().flatten() {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if object["metadata"]["labels"].get(LABEL).is_some() {
            cluster.kubectl(&["label", "node", name, &format!("{LABEL}-")])?;
        }
        if object["spec"]["standby"] == true {
            cluster.standby(name, false)?;
        }
    }
    Ok(())
}

/// An address that is left would be found by the next test only, if at all.
fn silent(node: &Node) -> lab::Result<()> {
    let shown = node.exec(&["ip", "-o", "address"])?;
    match shown.lines().find(|line| !line.contains(FOREVER)) {
        Some(left) => Err(lab::Error::other(format!("without a VirtualIP {} still has {left}", node.name()))),
        None => Ok(()),
    }
}
