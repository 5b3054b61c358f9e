//! The observer on the client, as tests see it: started, stopped, and asked for its verdict.

use super::{
    cluster::Cluster,
    error::{Doing, Error, Result},
    host::Host,
    image, run,
    seen::Seen,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read},
    net::IpAddr,
    path::Path,
    process::{Child, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

#[path = "../observer/judge/report.rs"]
pub mod report;

use report::{AddressReport, Report};

/// How often the client asks for each address, unless told otherwise.
pub const PACE: Duration = Duration::from_millis(2);

/// An observer at work.
#[derive(Debug)]
pub struct Watch {
    child: Child,
    nodes: BTreeMap<String, String>,
    seen: Seen,
}

/// What the observer saw.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The whole report.
    pub report: Report,
    nodes: BTreeMap<String, String>,
}

impl Cluster {
    /// Lets the client ask for these addresses every 2 ms, until [`Watch::stop`]. It asks when this returns.
    ///
    /// # Errors
    /// When the observer cannot be built or started.
    pub fn watch<A: AsRef<str>>(&self, addresses: &[A]) -> Result<Watch> {
        self.watch_at(addresses, PACE)
    }

    /// The same, at another pace.
    ///
    /// # Errors
    /// As [`Cluster::watch`].
    pub fn watch_at<A: AsRef<str>>(&self, addresses: &[A], pace: Duration) -> Result<Watch> {
        let mut watch = Watch::start(self.client(), self.hardware()?, addresses, pace)?;
        watch.seen = self.seen().clone();
        Ok(watch)
    }

    /// Lets the client ask for these addresses while `work` is done.
    ///
    /// # Errors
    /// When the work fails, or the observer.
    pub fn watch_while<A: AsRef<str>>(
        &self,
        addresses: &[A],
        work: impl FnOnce() -> Result<()>,
    ) -> Result<Verdict> {
        let watch = self.watch(addresses)?;
        work()?;
        watch.stop()
    }

    /// Which hardware address is whose.
    fn hardware(&self) -> Result<BTreeMap<String, String>> {
        let pairs = self.nodes().iter().flat_map(|node| {
            let named = move |name: String| Ok((node.mac(&name)?, node.name().to_owned()));
            node.interfaces().into_iter().map(named)
        });
        pairs.collect()
    }
}

impl Watch {
    /// Lets `client` ask on its `eth0` for these addresses at this pace; `nodes` says which hardware address is whose.
    /// It asks when this returns.
    ///
    /// # Errors
    /// When the observer cannot be built or started.
    pub fn start<A: AsRef<str>>(
        client: &Host,
        nodes: BTreeMap<String, String>,
        addresses: &[A],
        pace: Duration,
    ) -> Result<Self> {
        let observer = observer()?;
        // It must not wait for a processor that the nodes keep busy.
        let words =
            ["chrt", "--fifo", "10", &observer.to_string_lossy(), "--interface", "eth0"].map(str::to_owned);
        let mut command = run::command(&words);
        command.arg("--interval-us").arg(pace.as_micros().to_string());
        command.args(addresses.iter().map(AsRef::as_ref));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = client.spawn(command)?;
        let mut said = String::new();
        let read = child.stderr.take().map_or(Ok(0), |err| BufReader::new(err).read_line(&mut said));
        read.doing(|| "hear from the observer".into())?;
        if said.trim() != "ready" {
            let _ = child.wait();
            return Err(Error::other(format!("the observer did not start: {}", said.trim())));
        }
        Ok(Self { child, nodes, seen: Seen::default() })
    }

    /// Ends the asking.
    ///
    /// # Errors
    /// When the observer failed.
    pub fn stop(mut self) -> Result<Verdict> {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        kill(pid, Signal::SIGINT).doing(|| "stop the observer".into())?;
        let mut printed = String::new();
        let read = self.child.stdout.take().map_or(Ok(0), |mut out| out.read_to_string(&mut printed));
        read.doing(|| "hear from the observer".into())?;
        let report = serde_json::from_str(&printed)
            .map_err(|source| Error::Json { what: "the observer's report".into(), source })?;
        let verdict = Verdict { report, nodes: std::mem::take(&mut self.nodes) };
        self.seen.two_owners(verdict.two_owner_time());
        Ok(verdict)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Verdict {
    /// What was seen of one address.
    ///
    /// # Errors
    /// When it was not asked for.
    pub fn of(&self, address: &str) -> Result<&AddressReport> {
        let found = address.parse::<IpAddr>().ok().and_then(|address| self.report.addresses.get(&address));
        found.ok_or_else(|| Error::other(format!("the observer was not asked for {address}")))
    }

    /// The longest time in which one of the addresses was not answered.
    pub fn longest_silence(&self) -> Duration {
        let longest = self.report.addresses.values().map(|address| address.longest_silence_us).max();
        Duration::from_micros(longest.unwrap_or_default())
    }

    /// The time in which two hosts answered for one address, all addresses together.
    pub fn two_owner_time(&self) -> Duration {
        Duration::from_micros(self.report.addresses.values().map(|address| address.two_owner_us).sum())
    }

    /// Whether two hosts ever answered for one address.
    pub fn ever_two(&self) -> bool {
        self.report
            .addresses
            .values()
            .any(|address| address.two_owner_us > 0 || address.two_answer_requests > 0)
    }

    /// The nodes that answered for an address, in order of takeover. A host that is no node is its hardware address.
    ///
    /// # Errors
    /// When the address was not asked for.
    pub fn owners(&self, address: &str) -> Result<Vec<String>> {
        let name = |mac: &String| self.nodes.get(mac).unwrap_or(mac).clone();
        Ok(self.of(address)?.owners.iter().map(|owner| name(&owner.mac)).collect())
    }
}

/// Builds the observer, where it is not up to date, once in the life of this process, and says where it is.
fn observer() -> Result<&'static Path> {
    static BUILT: Mutex<Option<&'static Path>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = *built {
        return Ok(path);
    }
    run::run(image::cargo(&["build", "--quiet", "--example", "observer"]))?;
    let path = image::target().join("debug/examples/observer");
    Ok(built.insert(path.leak()))
}
