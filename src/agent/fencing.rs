//! The exact fence as the agent uses it: chosen at start, in front of every address that the hand has up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::deadline::now;
use crate::api::{FenceKind, NodeFence};
use crate::network::fence::{self, Cell, Gates};
use crate::network::{Kernel, Spot, leisure, together, turn};
use crate::observe::with_causes;
use crate::ownership::{Fence, Time, whole_lifetime};

/// How often it is looked whether the program still is where it was put.
const REVIEW: Duration = Duration::from_secs(5);

/// For how long the fence stands before an address that is about to come, but does not.
const AHEAD: Duration = Duration::from_secs(2);

/// Whole seconds for which the kernel keeps one of a few addresses behind the exact fence after the right has ended, so that it
/// need not be told of each renewal; see [`leisure`] for many. No longer than an address may be there whose fence somebody
/// takes away after the agent died.
const SPARE: u32 = 3;

/// So much before its time the kernel may remove an address: it rounds to be rid of many at once.
const EARLY: Duration = Duration::from_millis(50);

/// The fence of this node, if it can have an exact one.
pub struct Fencing {
    fence: Option<fence::Fence>,
    reviewed: Instant,
    /// The last look found it taken away somewhere, and it could not be put there again: nothing counts as fenced.
    broken: bool,
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
        (Self::with(opened.ok()), shown)
    }

    /// None but the kernel's lifetimes.
    #[cfg(test)]
    pub fn none() -> Self {
        Self::with(None)
    }

    fn with(fence: Option<fence::Fence>) -> Self {
        Self { fence, reviewed: Instant::now(), broken: false, ahead: BTreeMap::new() }
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

    /// The gates of the addresses in it.
    #[must_use]
    pub fn gates(&self) -> Option<Gates> {
        self.fence.as_ref().map(fence::Fence::gates)
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
        !self.broken
    }

    /// Puts the fence also where the kernel might answer for these addresses besides, and says whether it stands there.
    pub fn guard_beside(&mut self, links: impl IntoIterator<Item = u32>) -> bool {
        let Some(fence) = &mut self.fence else { return false };
        for link in links {
            if let Err(error) = fence.guard_beside(link) {
                warn!(
                    link,
                    reason = with_causes(&error),
                    "no exact fence where addresses may be answered for, too"
                );
                return false;
            }
        }
        true
    }

    /// Puts the fence before addresses that are about to come, while the former owner still answers.
    pub fn guard_ahead(&mut self, spots: &[Spot]) {
        if self.guard(spots) {
            let until = Instant::now() + AHEAD;
            self.ahead.extend(spots.iter().map(|spot| ((spot.link, spot.net.addr()), until)));
        }
    }

    /// Looks now and then whether the program still is where it was put: whoever takes it away is heard, but not for sure.
    pub fn review(&mut self) {
        if self.reviewed.elapsed() > REVIEW {
            self.look();
        }
    }

    /// Looks whether the program still is where it was put, and puts it there again.
    pub fn look(&mut self) {
        let Some(fence) = &mut self.fence else { return };
        self.reviewed = Instant::now();
        let repaired = fence.repair();
        self.broken = repaired.is_err();
        if let Err(error) = repaired {
            warn!(reason = with_causes(&error), "the fence was taken away, and cannot be put there again");
        }
    }

    /// Whether there is an exact fence, and the last look found it where it was put.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.fence.is_some() && !self.broken
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

    /// Stands on these interfaces before any address is there, and nowhere without need.
    pub async fn stand_on(&mut self, links: &BTreeSet<u32>) {
        let Some(fence) = &mut self.fence else { return };
        if let Err(error) = fence.stand_on(links).await {
            warn!(
                reason = with_causes(&error),
                "the fence is not everywhere where it should be, or still elsewhere"
            );
        }
    }
}

/// What the kernel may be given for addresses under a right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The end of the right.
    pub until: Time,
    /// The whole seconds that the kernel may keep an address.
    pub lifetime: u32,
    /// The exact fence stands before it.
    pub fenced: bool,
    /// Behind the fence: the whole seconds that are added since there are many of them.
    leisure: u32,
    /// How much before their turn others are renewed along.
    together: Duration,
}

impl Grant {
    /// Under a right until `until`, given at `now` to one of so many addresses; none where no whole second fits.
    #[must_use]
    pub fn of(until: Time, now: Time, fenced: bool, addresses: usize) -> Option<Self> {
        let leisure = if fenced { leisure(addresses) } else { 0 };
        let lifetime = lifetime(until.since(now), fenced);
        (lifetime > 0).then(|| Self {
            until,
            lifetime: lifetime.saturating_add(leisure),
            fenced,
            leisure,
            together: together(addresses),
        })
    }

    /// Of addresses that the kernel keeps until then, if that is known, each with a number that stays the same: those that
    /// it must be told of now. Behind the fence these are few at a time, and none as long as all last.
    pub fn due<T>(&self, addresses: impl Iterator<Item = (T, usize, Option<Time>)> + Clone) -> Vec<T> {
        let ends_before = |number: usize, lasts: Option<Time>, until: Time| {
            !self.fenced || lasts.is_none_or(|lasts| before(lasts, number, self.leisure) < until)
        };
        if !addresses.clone().any(|(_, number, lasts)| ends_before(number, lasts, self.until)) {
            return Vec::new();
        }
        let soon = self.until + self.together;
        addresses
            .filter(|(_, number, lasts)| ends_before(*number, *lasts, soon))
            .map(|(what, ..)| what)
            .collect()
    }

    /// Whether what was given before now may outlast the right, which behind the fence it may.
    #[must_use]
    pub fn is_too_long(&self) -> bool {
        let rest = |now: Time| self.until.since(now);
        let ended = |rest: Duration| rest.is_zero();
        let less = |rest: Duration| lifetime(rest, false) < self.lifetime;
        now().is_ok_and(|now| if self.fenced { ended(rest(now)) } else { less(rest(now)) })
    }

    /// Until when the kernel keeps an address at least, if the call that gave this began then.
    #[must_use]
    pub fn lasts(&self, began: Time) -> Time {
        began + Duration::from_secs(self.lifetime.into()).saturating_sub(EARLY)
    }
}

/// Until when nothing is due behind the fence for an address with this number, that lasts until then, one of so many.
#[must_use]
pub fn before_turn(lasts: Time, number: usize, addresses: usize) -> Time {
    before(lasts, number, leisure(addresses))
}

fn before(lasts: Time, number: usize, leisure: u32) -> Time {
    Time(lasts.0.saturating_sub(u64::try_from(turn(number, leisure).as_nanos()).unwrap_or(u64::MAX)))
}

/// The whole seconds that the kernel may keep an address when the right runs for another `rest`.
///
/// Behind the exact fence (`fenced`) they only tidy up: the address is silent after the right, to the nanosecond, whatever the
/// kernel still has. So they are longer than the right: a successor of this process finds the address there for as long
/// as the right runs. Without it they are the fence, and end before the right does.
fn lifetime(rest: Duration, fenced: bool) -> u32 {
    let whole = if fenced { rest.as_nanos().div_ceil(NANOS) } else { whole_lifetime(rest).as_secs().into() };
    let whole = u32::try_from(whole).unwrap_or(u32::MAX);
    if fenced && whole > 0 { whole.saturating_add(SPARE) } else { whole }
}

const NANOS: u128 = Duration::from_secs(1).as_nanos();

#[cfg(test)]
mod tests {
    use super::*;

    const RESTS: [u64; 4] = [2_600, 1_400, 300, 0];

    #[test]
    fn without_a_fence_lifetimes_end_before_the_right_and_behind_it_after() {
        let rests = RESTS.map(Duration::from_millis);
        assert_eq!(rests.map(|rest| lifetime(rest, false)), [2, 0, 0, 0]);
        assert_eq!(rests.map(|rest| lifetime(rest, true)), [6, 5, 4, 0]);
    }

    const RIGHT: Duration = Duration::from_millis(2_700);

    fn at(milliseconds: u64) -> Time {
        Time(milliseconds * 1_000_000)
    }

    /// In which milliseconds so many addresses, which came together, are renewed within ten minutes, and how many each time.
    fn renewals(addresses: usize, every: u64) -> Vec<(u64, usize)> {
        let grant = |now: u64| Grant::of(at(now) + RIGHT, at(now), true, addresses).unwrap();
        let mut lasts = vec![grant(0).lasts(at(0)); addresses];
        let mut renewals = Vec::new();
        for now in (0..600_000).step_by(usize::try_from(every).unwrap()) {
            let grant = grant(now);
            let due = grant.due(lasts.iter().enumerate().map(|(n, lasts)| (n, n, Some(*lasts))));
            assert!(due.iter().all(|n| lasts[*n] > at(now)), "what is renewed is still there");
            for n in &due {
                lasts[*n] = grant.lasts(at(now));
            }
            renewals.extend((!due.is_empty()).then_some((now, due.len())));
            assert!(
                lasts.iter().all(|lasts| *lasts >= grant.until),
                "a successor finds all for as long as the right runs"
            );
        }
        renewals
    }

    #[test]
    fn a_few_are_renewed_when_their_time_would_end_before_the_right() {
        let seconds: Vec<u64> = renewals(3, 1_000).iter().map(|(now, _)| now / 1_000).take(3).collect();
        assert_eq!(seconds, [4, 8, 12], "renewed every second, the kernel is told every fourth time");
    }

    #[test]
    fn a_thousand_are_renewed_rarely_and_never_all_at_once() {
        for every in [100, 1_000] {
            let renewals = renewals(1_000, every);
            let all: usize = renewals.iter().map(|(_, count)| count).sum();
            assert!(all < 1_000 * 600 / 180, "each about every 230 s: {all}");
            assert!(renewals.len() < 600, "{}", renewals.len());
            assert!(renewals.iter().all(|(_, count)| *count < 250), "{renewals:?}");
        }
    }

    #[test]
    fn without_a_fence_each_is_renewed_with_the_right_however_many_there_are() {
        let grant = Grant::of(at(2_700), at(0), false, 1_000).unwrap();
        assert_eq!(grant.lifetime, 2);
        assert_eq!(grant.due([(7, 7, Some(at(60_000)))].into_iter()), [7]);
    }
}
