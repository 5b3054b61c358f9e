//! The exact fence as the agent uses it: chosen at start, in front of every address that the hand has up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::api::{FenceKind, NodeFence};
use crate::network::fence::{self, Cell};
use crate::network::{Kernel, Spot};
use crate::observe::with_causes;
use crate::ownership::{Fence, whole_lifetime};

/// How often it is looked whether the program still is where it was put.
const REVIEW: Duration = Duration::from_secs(1);

/// For how long the fence stands before an address that is about to come, but does not.
const AHEAD: Duration = Duration::from_secs(2);

/// The fence of this node, if it can have an exact one.
pub struct Fencing {
    fence: Option<fence::Fence>,
    reviewed: Instant,
    /// Guarded before they come, and until when.
    ahead: BTreeMap<(u32, IpAddr), Instant>,
}

impl Fencing {
    /// Opens the exact fence; where that does not go the kernel's lifetimes are the fence, and it is said why.
    #[must_use]
    pub fn open(kernel: &Kernel) -> (Self, NodeFence) {
        let opened = fence::Fence::open(kernel.clone(), &fence::Fence::pins());
        let shown = match &opened {
            Ok(_) => {
                NodeFence { kind: FenceKind::Exact, message: "a BPF program with a deadline".to_owned() }
            }
            Err(error) => NodeFence { kind: FenceKind::Lifetime, message: with_causes(error) },
        };
        match shown.kind {
            FenceKind::Exact => info!("the fence is exact: {}", shown.message),
            FenceKind::Lifetime => {
                warn!(reason = shown.message, "no exact fence, only the kernel's address lifetimes");
            }
        }
        (Self { fence: opened.ok(), reviewed: Instant::now(), ahead: BTreeMap::new() }, shown)
    }

    /// None but the kernel's lifetimes.
    #[cfg(test)]
    pub fn none() -> Self {
        Self { fence: None, reviewed: Instant::now(), ahead: BTreeMap::new() }
    }

    /// Which fence it is, for what depends on it.
    #[must_use]
    pub fn kind(&self) -> Fence {
        if self.fence.is_some() { Fence::Exact } else { Fence::Lifetimes }
    }

    /// The deadline in the kernel.
    #[must_use]
    pub fn deadline(&self) -> Option<Cell> {
        self.fence.as_ref().map(fence::Fence::deadline)
    }

    /// Puts the fence before addresses, and says whether it stands before all of them.
    pub fn guard<'a>(&mut self, spots: impl IntoIterator<Item = &'a Spot>) -> bool {
        let Some(fence) = &mut self.fence else { return false };
        for spot in spots {
            if let Err(error) = fence.guard(spot.link, spot.net.addr()) {
                warn!(address = %spot.net.addr(), reason = with_causes(&error), "no exact fence before an address");
                return false;
            }
        }
        true
    }

    /// Puts the fence before addresses that are about to come. The first one of an interface takes milliseconds, in which
    /// the former owner still answers, instead of some in which nobody does.
    pub fn guard_ahead(&mut self, spots: &[Spot]) {
        if self.guard(spots) {
            let until = Instant::now() + AHEAD;
            self.ahead.extend(spots.iter().map(|spot| ((spot.link, spot.net.addr()), until)));
        }
    }

    /// Looks now and then whether the program still is where it was put, and puts it there again.
    pub fn review(&mut self) {
        let Some(fence) = self.fence.as_mut().filter(|_| self.reviewed.elapsed() > REVIEW) else { return };
        self.reviewed = Instant::now();
        if let Err(error) = fence.repair() {
            warn!(reason = with_causes(&error), "the fence was taken away, and cannot be put there again");
        }
    }

    /// Goes on guarding what a former life guarded. What it did not guard waits for the right: behind a fence without a
    /// deadline it would be silent.
    pub fn keep(&mut self, spot: &Spot) {
        let kept = self.fence.as_mut().map(|fence| fence.keep(spot.link, spot.net.addr()));
        if let Some(Err(error)) = kept {
            warn!(reason = with_causes(&error), "cannot read what a former life fenced");
        }
    }

    /// So many addresses are guarded.
    #[must_use]
    pub fn count(&self) -> usize {
        self.fence.as_ref().map_or(0, fence::Fence::count)
    }

    /// Takes the fence away where nothing is `up` any more, nor about to be.
    pub async fn retain(&mut self, up: &BTreeSet<(u32, IpAddr)>) {
        let Some(fence) = &mut self.fence else { return };
        let now = Instant::now();
        self.ahead.retain(|place, until| *until > now && !up.contains(place));
        let stays = |place: &(u32, IpAddr)| up.contains(place) || self.ahead.contains_key(place);
        if let Err(error) = fence.retain(|link, address| stays(&(link, address))).await {
            warn!(reason = with_causes(&error), "something of the fence is left behind");
        }
    }

    /// Takes away what a former life left and this one does not need.
    pub async fn sweep(&mut self) {
        let Some(fence) = &mut self.fence else { return };
        if let Err(error) = fence.sweep().await {
            warn!(reason = with_causes(&error), "something of a former fence is left behind");
        }
    }
}

/// The whole seconds that the kernel may keep an address when the right runs for another `rest`. Behind the exact fence
/// (`fenced`) they only tidy up: one second is enough and always fits, the address being silent after the right. Longer ones
/// still end before the right does, for what the fence does not see: an interface beside it that answers as well.
#[must_use]
pub fn lifetime(rest: Duration, fenced: bool) -> u32 {
    let fits = u32::try_from(whole_lifetime(rest).as_secs()).unwrap_or(u32::MAX);
    if fenced && !rest.is_zero() { fits.max(1) } else { fits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_an_exact_fence_there_always_is_a_lifetime() {
        let rests = [2_600, 1_400, 300, 0].map(Duration::from_millis);
        assert_eq!(rests.map(|rest| lifetime(rest, false)), [2, 0, 0, 0]);
        assert_eq!(rests.map(|rest| lifetime(rest, true)), [2, 1, 1, 0]);
    }
}
