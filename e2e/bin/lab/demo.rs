//! The demonstration: an address moves when its node restarts its agent, loses power, or is cut off.

use super::lab::{Cluster, Error, Plan, Result, image::root, judge::Verdict, run::until};
use std::time::{Duration, Instant};

/// The object of the demonstration, one of the samples.
const SAMPLE: &str = "manifests/samples/dual-stack.yaml";
/// Its name.
const VIP: &str = "virtualip/dual-stack";
/// How long a move may take. What is promised is about 3 s; a failed demonstration shall say so, not hang.
const MOVE: Duration = Duration::from_secs(30);
/// How long is watched after a move: a second answer might come late.
const AFTERWARDS: Duration = Duration::from_secs(2);

/// Shows it.
///
/// # Errors
/// When the lab fails, or the address does not move.
pub fn show(keep: bool) -> Result<()> {
    let demo = Demo::prepare()?;
    println!("{}", demo.lab.kubectl(&["get", "virtualips"])?);
    let owner = demo.owner()?;
    demo.step(&format!("the agent's pod on {owner} is restarted"), Then::Moves, || {
        demo.lab.kubectl(&["delete", "-n", "virtualip-system", &demo.lab.agent_pod(&owner)?]).map(drop)
    })?;
    demo.lab.wait_agents_ready()?;
    let owner = demo.owner()?;
    demo.step(&format!("{owner} is powered off"), Then::Moves, || demo.lab.node(&owner)?.power_off())?;
    demo.step(&format!("{owner} is powered on again"), Then::Stays, || demo.lab.node(&owner)?.power_on())?;
    let owner = demo.owner()?;
    demo.step(&format!("{owner} is cut off from everything"), Then::Moves, || {
        demo.lab.node(&owner)?.cut_off()
    })?;
    demo.step(&format!("{owner} is back on the network"), Then::Stays, || demo.lab.node(&owner)?.heal())?;
    println!("\n{}", demo.lab.kubectl(&["get", "virtualips", "-o", "wide"])?);
    if keep { super::leave(demo.lab) } else { Ok(()) }
}

/// What is expected of an address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Moves,
    Stays,
}

struct Demo {
    lab: Cluster,
    addresses: Vec<String>,
}

impl Demo {
    fn prepare() -> Result<Self> {
        let start = Instant::now();
        eprintln!("starting three nodes ...");
        let lab = Cluster::start(&Plan::default())?;
        eprintln!(
            "three nodes Ready after {:.1} s; loading the image and applying manifests/ ...",
            seconds(start)
        );
        lab.deploy()?;
        eprintln!("agents ready after {:.1} s; applying {SAMPLE} ...", seconds(start));
        lab.kubectl(&["apply", "-f", &root().join(SAMPLE).to_string_lossy()])?;
        lab.kubectl(&["wait", VIP, "--for=condition=Ready", "--timeout=30s"])?;
        let spec = lab.kubectl(&["get", VIP, "-o", "jsonpath={.spec.addresses[*]}"])?;
        let bare = |address: &str| address.split('/').next().unwrap_or_default().to_owned();
        let addresses = spec.split_whitespace().map(bare).collect();
        Ok(Self { lab, addresses })
    }

    /// The node that the object names.
    fn owner(&self) -> Result<String> {
        until("the VirtualIP has a node", MOVE, || {
            let node = self.lab.kubectl(&["get", VIP, "-o", "jsonpath={.status.node}"])?;
            Ok(Some(node).filter(|node| !node.is_empty()))
        })
    }

    /// Does something to the cluster while the client asks for the addresses, and tells what the client saw.
    fn step(&self, event: &str, then: Then, work: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("* {event}");
        let before = self.owner()?;
        let watch = self.lab.watch(&self.addresses)?;
        work()?;
        let now = match then {
            Then::Moves => self.moved_from(&before)?,
            Then::Stays => {
                self.lab.wait_nodes_ready()?;
                self.lab.wait_agents_ready()?;
                self.owner()?
            }
        };
        std::thread::sleep(AFTERWARDS);
        let verdict = watch.stop()?;
        self.tell(&now, &verdict)?;
        self.settle()
    }

    fn moved_from(&self, before: &str) -> Result<String> {
        until(&format!("the addresses leave {before}"), MOVE, || {
            Ok(Some(self.owner()?).filter(|now| now != before))
        })
    }

    fn tell(&self, owner: &str, verdict: &Verdict) -> Result<()> {
        let silence = verdict.longest_silence().as_micros();
        println!("  owner: {owner}; longest silence: {}.{:03} ms", silence / 1000, silence % 1000);
        let address =
            self.addresses.first().ok_or_else(|| Error::other(format!("{SAMPLE} has no address")))?;
        println!("  who answered for {address}: {}", verdict.owners(address)?.join(", then "));
        let two = if verdict.ever_two() { "YES" } else { "never" };
        println!("  did two hosts ever answer: {two} ({} ms)", verdict.two_owner_time().as_millis());
        Ok(())
    }

    /// The next step begins when the object has come to rest.
    fn settle(&self) -> Result<()> {
        self.lab.kubectl(&["wait", VIP, "--for=condition=Ready", "--timeout=30s"]).map(drop)
    }
}

fn seconds(since: Instant) -> f32 {
    since.elapsed().as_secs_f32()
}
