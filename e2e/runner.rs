//! Runs every test on one cluster, and makes that whole again after each.

use crate::lab::{self, Cluster, Node, Plan, error::chain, image::target};
use libtest_mimic::{Arguments, Failed, Trial};
use std::{
    error::Error,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// How a test ends.
pub type Outcome = Result<(), Box<dyn Error>>;

/// A test: its name, and what it does with the cluster.
pub type Case = (&'static str, fn(&Cluster) -> Outcome);

/// The label of nodes that tests use.
pub const LABEL: &str = "example.org/edge";
/// How `ip` prints the lifetime of an address that is not ours: all of ours end by themselves.
const FOREVER: &str = "valid_lft forever";

/// The cluster that all tests share. It is started by the first one: a list of tests needs none.
type Shared = Arc<Mutex<Option<Cluster>>>;

/// Runs the tests that the command line asks for.
pub fn run(cases: Vec<Case>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They would break each other's nodes.
    arguments.test_threads = Some(1);
    let shared = Shared::default();
    let trial = |(name, test): Case| {
        let shared = Arc::clone(&shared);
        Trial::test(name, move || one(&shared, name, test))
    };
    let conclusion = libtest_mimic::run(&arguments, cases.into_iter().map(trial).collect());
    // Ends the cluster, before the process does.
    drop(shared.lock().unwrap_or_else(PoisonError::into_inner).take());
    conclusion.exit_code()
}

fn one(shared: &Shared, name: &str, test: fn(&Cluster) -> Outcome) -> Result<(), Failed> {
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let cluster = match shared.take() {
        Some(cluster) => cluster,
        None => start().map_err(|error| Failed::from(chain(&error)))?,
    };
    let cluster = shared.insert(cluster);
    let start = Instant::now();
    let ended = catch_unwind(AssertUnwindSafe(|| test(cluster)));
    if !matches!(ended, Ok(Ok(()))) {
        snapshot(cluster, name);
    }
    let (took, start) = (start.elapsed(), Instant::now());
    let cleaned = clean(cluster);
    eprintln!("{name}: {took:.1?}, and {:.1?} to clean up", start.elapsed());
    match ended {
        Err(panic) => resume_unwind(panic),
        Ok(Err(error)) => Err(Failed::from(chain(error.as_ref()))),
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
    cluster.repair()?;
    if !cluster.has_agents()? {
        cluster.install()?;
    }
    // Waits until they are gone.
    cluster.kubectl(&["delete", "virtualips", "--all", "--all-namespaces", "--timeout=60s"])?;
    welcome(cluster)?;
    cluster.nodes().iter().try_for_each(silent)
}

/// No node is on standby, and none has a label of a test.
fn welcome(cluster: &Cluster) -> lab::Result<()> {
    cluster.kubectl(&["label", "nodes", "--all", &format!("{LABEL}-")])?;
    let standby = "jsonpath={.items[?(@.spec.standby==true)].metadata.name}";
    for name in cluster.kubectl(&["get", "virtualipnodes", "-o", standby])?.split_whitespace() {
        let back = r#"{"spec": {"standby": false}}"#;
        cluster.kubectl(&["patch", "virtualipnode", name, "--type=merge", "--patch", back])?;
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
