//! Looking for a foreign host that has the addresses, before a `VirtualIP` is assigned for the first time
//! (RFC 5227, 2.1). A failover does not wait for that.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use futures::future::join_all;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tracing::warn;

use super::input::{Input, Inputs};
use super::turns::Turns;
use crate::api::VipKey;
use crate::network::{Link, Mac, probe};

/// How long a node waits for each better placed one to assign it first.
const STEP_IN: Duration = Duration::from_millis(1500);

/// Wait before looking again for a host that had an address.
const AGAIN: Duration = Duration::from_secs(3);

/// How long one probe waits for an answer: RFC 5227 would wait for seconds; a host that is up answers in milliseconds.
const WITHIN: Duration = Duration::from_millis(200);

/// `VirtualIP`s that are probed at once: each has sockets of its own meanwhile, and somebody may apply a thousand.
const AT_ONCE: usize = 32;

#[derive(Clone, Copy, Debug)]
enum Probe {
    Waiting(Instant),
    /// With what the one before found.
    Running(Option<(IpAddr, Mac)>),
    Clear,
    Foreign(IpAddr, Mac, Instant),
}

/// The probes of all `VirtualIP`s that were never assigned.
#[derive(Debug)]
pub struct Probes {
    all: BTreeMap<VipKey, Probe>,
    turns: Turns,
}

impl Default for Probes {
    fn default() -> Self {
        Self { all: BTreeMap::new(), turns: Turns::new(AT_ONCE) }
    }
}

impl Probes {
    /// Whether nobody answered.
    #[must_use]
    pub fn clear(&self, key: &VipKey) -> bool {
        matches!(self.all.get(key), Some(Probe::Clear))
    }

    /// The host that has an address, if one answered the last time.
    #[must_use]
    pub fn foreign(&self, key: &VipKey) -> Option<(IpAddr, Mac)> {
        match self.all.get(key)? {
            Probe::Foreign(address, mac, _) => Some((*address, *mac)),
            Probe::Running(before) => *before,
            Probe::Waiting(_) | Probe::Clear => None,
        }
    }

    /// Whether a probe should be sent now, by a node of this rank; it counts as running then.
    pub fn begin(&mut self, key: &VipKey, rank: usize) -> bool {
        let now = Instant::now();
        let steps = u32::try_from(rank).unwrap_or(u32::MAX).min(16);
        let probe = self.all.entry(key.clone()).or_insert(Probe::Waiting(now + STEP_IN * steps));
        let before = match probe {
            Probe::Waiting(at) if *at <= now => None,
            Probe::Foreign(address, mac, at) if *at <= now => Some((*address, *mac)),
            _ => return false,
        };
        *probe = Probe::Running(before);
        true
    }

    /// A probe has ended.
    pub fn ended(&mut self, key: &VipKey, foreign: Option<(IpAddr, Mac)>) {
        let result = match foreign {
            None => Probe::Clear,
            Some((address, mac)) => Probe::Foreign(address, mac, Instant::now() + AGAIN),
        };
        self.all.insert(key.clone(), result);
    }

    /// When the next probe is due.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        let at = |probe: &Probe| match probe {
            Probe::Waiting(at) | Probe::Foreign(_, _, at) => Some(*at),
            Probe::Running(_) | Probe::Clear => None,
        };
        self.all.values().filter_map(at).min()
    }

    /// Forgets what need not be probed any more.
    pub fn keep(&mut self, wanted: impl Fn(&VipKey) -> bool) {
        self.all.retain(|key, _| wanted(key));
    }

    /// Probes all addresses of `key` at once, each on its interface, on the runtime `aside`, when it is its turn, and tells the loop.
    pub fn start(&self, aside: &Handle, key: VipKey, places: Vec<(Link, IpAddr)>, inputs: Inputs) {
        self.turns.spawn(aside, async move |_turn| {
            let foreign = foreign(&places).await;
            inputs.send(Input::Probed { key, foreign });
        });
    }
}

/// The host that has one of these addresses, if one answers.
async fn foreign(places: &[(Link, IpAddr)]) -> Option<(IpAddr, Mac)> {
    let probes = places.iter().map(|(link, address)| async move {
        match probe(link, *address, WITHIN).await {
            Ok(mac) => Some((*address, mac?)),
            Err(error) => {
                // Better no probe than no address: the Lease still keeps our own nodes apart.
                warn!(%address, error = &error as &dyn std::error::Error, "cannot look for a foreign host");
                None
            }
        }
    });
    join_all(probes).await.into_iter().flatten().next()
}
