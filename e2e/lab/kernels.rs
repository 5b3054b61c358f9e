//! Which addresses the nodes' kernels have: asked directly, and watched.

use super::{
    cluster::Cluster,
    error::{Doing, Error, Result},
    namespaces,
    node::Node,
};
use nix::{
    ifaddrs::getifaddrs,
    sys::socket::SockaddrStorage,
    time::{ClockId, clock_gettime},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How often a watched kernel is asked.
const ASK_EVERY: Duration = Duration::from_micros(500);

impl Node {
    /// The addresses in the node's kernel; none while it is off.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn addresses(&self) -> Result<BTreeSet<IpAddr>> {
        match self.host.pid() {
            Ok(pid) => namespaces::in_network(pid, configured),
            Err(_) => Ok(BTreeSet::new()),
        }
    }

    /// Whether `ip` shows an address on the node; not while it is off.
    ///
    /// # Errors
    /// When `ip` fails.
    pub fn shows(&self, address: IpAddr) -> Result<bool> {
        if !self.host.is_on() {
            return Ok(false);
        }
        self.exec(&["ip", "-oneline", "address", "show", "to", &address.to_string()])
            .map(|text| !text.trim().is_empty())
    }
}

impl Cluster {
    /// The nodes whose kernels have at least one of these addresses.
    ///
    /// # Errors
    /// When a kernel does not say.
    pub fn nodes_with(&self, addresses: &[IpAddr]) -> Result<Vec<String>> {
        let has = |node: &Node| {
            node.addresses().map(|there| addresses.iter().any(|address| there.contains(address)))
        };
        let asked = self.nodes().iter().map(|node| Ok(has(node)?.then(|| node.name().to_owned())));
        asked.filter_map(Result::transpose).collect()
    }

    /// Watches an address in the kernels of all nodes that are on.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn watch_kernels(&self, address: IpAddr) -> Result<KernelWatch> {
        let stop = Arc::new(AtomicBool::new(false));
        let watch = |node: &Node| {
            let (pid, stop) = (node.host.pid()?, Arc::clone(&stop));
            let thread = thread::spawn(move || namespaces::in_network(pid, move || presence(address, &stop)));
            Ok((node.name().to_owned(), thread))
        };
        let threads = self.nodes().iter().map(watch).collect::<Result<_>>()?;
        Ok(KernelWatch { stop, threads })
    }
}

/// A watch over the kernels of all nodes.
#[derive(Debug)]
pub struct KernelWatch {
    stop: Arc<AtomicBool>,
    threads: BTreeMap<String, JoinHandle<Result<Option<Presence>>>>,
}

/// When an address was in a kernel, in microseconds of `CLOCK_BOOTTIME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
    /// It was there when it was asked for then, for the first time.
    pub first_us: u64,
    /// And for the last time.
    pub last_us: u64,
}

impl KernelWatch {
    /// Ends the watch and says on which nodes the address was, and when.
    ///
    /// # Errors
    /// When a kernel did not say.
    pub fn stop(mut self) -> Result<BTreeMap<String, Presence>> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = |thread: JoinHandle<_>| thread.join().map_err(|_| Error::other("a watch panicked"))?;
        std::mem::take(&mut self.threads)
            .into_iter()
            .filter_map(|(node, thread)| Some(ended(thread).transpose()?.map(|presence| (node, presence))))
            .collect()
    }
}

impl Drop for KernelWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Asks again and again. A time is read before the kernel is asked for a last sight, and after it for a first one:
/// so that two presences that are said to overlap did.
fn presence(address: IpAddr, stop: &AtomicBool) -> Result<Option<Presence>> {
    let mut seen = None::<Presence>;
    while !stop.load(Ordering::Relaxed) {
        let before = boottime_us()?;
        if configured()?.contains(&address) {
            let first_us = seen.map_or_else(boottime_us, |seen| Ok(seen.first_us))?;
            seen = Some(Presence { first_us, last_us: before });
        }
        thread::sleep(ASK_EVERY);
    }
    Ok(seen)
}

/// The addresses in the network namespace of this thread.
fn configured() -> Result<BTreeSet<IpAddr>> {
    let all = getifaddrs().doing(|| "list addresses".into())?;
    Ok(all.filter_map(|interface| ip(&interface.address?)).collect())
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| address.ip().into());
    v4.or_else(|| address.as_sockaddr_in6().map(|address| address.ip().into()))
}

/// Microseconds of the clock that the observer notes times on.
fn boottime_us() -> Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).doing(|| "read the clock".into())?;
    Ok(u64::try_from(Duration::from(now).as_micros()).unwrap_or(u64::MAX))
}
