//! When each address is announced, and how many at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::VipKey;

/// So many announcements may leave at once.
const BURST: u32 = 64;

/// After those, one in this time: a thousand addresses a second, each with two small frames. A switch that looks at ARP
/// with its own processor takes that; a thousand at once it would drop in part, and nobody would know which.
const PACE: Duration = Duration::from_millis(1);

/// What only refreshes waits for a multiple of this: those of many addresses leave together, and wake their thread once. As many as
/// [`PACE`] allows in it.
const TOGETHER: Duration = Duration::from_millis(16);

/// How often an address is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// Announcements after the address came.
    pub count: u32,
    /// Time between them. Linux ignores a second change of a neighbour entry within its `locktime` of one second.
    pub interval: Duration,
    /// Time between those that follow for as long as the address is owned; none: none follow.
    pub refresh: Option<Duration>,
}

impl Rhythm {
    /// The pause after so many were sent.
    fn pause(&self, sent: u32) -> Option<Duration> {
        if sent < self.count { Some(self.interval) } else { self.refresh }
    }
}

type Entry = (VipKey, IpAddr);

#[derive(Clone, Copy, Debug)]
struct State {
    /// When the next one is due; none: at once, in its turn.
    at: Option<Instant>,
    sent: u32,
    rhythm: Rhythm,
}

/// The addresses that are up, each with its next announcement.
#[derive(Debug, Default)]
pub struct Schedule {
    /// Those that were never announced: before all others.
    fresh: VecDeque<Entry>,
    due: BTreeSet<(Instant, VipKey, IpAddr)>,
    entries: BTreeMap<Entry, State>,
    /// When all that was sent so far has been paid for, at [`PACE`].
    paid: Option<Instant>,
    /// What multiples of [`TOGETHER`] are counted from.
    origin: Option<Instant>,
}

impl Schedule {
    /// The address has come, or what is known of it on the wire may be wrong: its first announcement is due.
    pub fn start(&mut self, key: VipKey, address: IpAddr, rhythm: Rhythm) {
        self.stop(&key, address);
        self.fresh.push_back((key.clone(), address));
        self.entries.insert((key, address), State { at: None, sent: 0, rhythm });
    }

    /// The address is not up any more.
    pub fn stop(&mut self, key: &VipKey, address: IpAddr) {
        let Some(state) = self.entries.remove(&(key.clone(), address)) else { return };
        match state.at {
            Some(at) => drop(self.due.remove(&(at, key.clone(), address))),
            None => self.fresh.retain(|(of, what)| (of, *what) != (key, address)),
        }
    }

    /// When the next one may leave.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.next_from(Instant::now())
    }

    fn next_from(&self, now: Instant) -> Option<Instant> {
        let due = if self.fresh.is_empty() { self.due.first().map(|(at, ..)| *at)? } else { now };
        let allowed = self.paid.map_or(now, |paid| paid.checked_sub(PACE * BURST).unwrap_or(now));
        Some(due.max(allowed))
    }

    /// An address that is due now and may be announced now; its next announcement is planned.
    pub fn pop_due(&mut self) -> Option<Entry> {
        let now = Instant::now();
        if self.next_from(now)? > now {
            return None;
        }
        let entry = match self.fresh.pop_front() {
            Some(entry) => entry,
            None => self.due.pop_first().map(|(_, key, address)| (key, address))?,
        };
        self.paid = Some(self.paid.map_or(now, |paid| paid.max(now)) + PACE);
        let state = self.entries.remove(&entry)?;
        let sent = state.sent + 1;
        if let Some(pause) = state.rhythm.pause(sent) {
            let at = if sent < state.rhythm.count { now + pause } else { self.together(now + pause) };
            self.due.insert((at, entry.0.clone(), entry.1));
            self.entries.insert(entry.clone(), State { at: Some(at), sent, ..state });
        }
        Some(entry)
    }

    /// That moment, or the next at which refreshes leave.
    fn together(&mut self, at: Instant) -> Instant {
        let since = at.saturating_duration_since(*self.origin.get_or_insert(at));
        let rest = since.as_nanos() % TOGETHER.as_nanos();
        if rest == 0 { at } else { at + TOGETHER - Duration::from_nanos_u128(rest) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RHYTHM: Rhythm =
        Rhythm { count: 5, interval: Duration::from_millis(1100), refresh: Some(Duration::from_mins(1)) };

    async fn times(schedule: &mut Schedule, begin: Instant, count: usize) -> Vec<u128> {
        let mut at = Vec::new();
        while at.len() < count
            && let Some(next) = schedule.next()
        {
            tokio::time::sleep_until(next).await;
            assert!(schedule.pop_due().is_some());
            at.push(begin.elapsed().as_millis());
        }
        at
    }

    #[tokio::test(start_paused = true)]
    async fn at_once_then_a_few_at_the_interval_then_the_slow_refresh() {
        let mut schedule = Schedule::default();
        schedule.start(VipKey::new("shop", "web"), "192.0.2.1".parse().unwrap(), RHYTHM);
        let at = times(&mut schedule, Instant::now(), 7).await;
        assert_eq!(at, [0, 1100, 2200, 3300, 4400, 64400, 124_400]);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_refresh_it_ends() {
        let mut schedule = Schedule::default();
        let rhythm = Rhythm { count: 2, refresh: None, ..RHYTHM };
        schedule.start(VipKey::new("shop", "web"), "192.0.2.1".parse().unwrap(), rhythm);
        assert_eq!(times(&mut schedule, Instant::now(), 9).await, [0, 1100]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_down_is_not_announced() {
        let mut schedule = Schedule::default();
        let key = VipKey::new("shop", "web");
        let address = "192.0.2.1".parse().unwrap();
        schedule.start(key.clone(), address, RHYTHM);
        schedule.stop(&key, address);
        assert_eq!(schedule.next(), None);
        schedule.start(key.clone(), address, RHYTHM);
        assert!(schedule.pop_due().is_some());
        schedule.stop(&key, address);
        assert_eq!(schedule.next(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_leave_within_a_second_and_never_more_at_once_than_a_switch_takes() {
        let mut schedule = Schedule::default();
        let rhythm = Rhythm { count: 1, refresh: None, ..RHYTHM };
        for n in 0..1000_u32 {
            schedule.start(VipKey::new("shop", "web"), std::net::Ipv4Addr::from(n).into(), rhythm);
        }
        let at = times(&mut schedule, Instant::now(), 2000).await;
        assert_eq!(at.len(), 1000);
        assert!(at.iter().filter(|at| **at == 0).count() <= 65, "{at:?}");
        assert!((900..1000).contains(at.last().unwrap()), "{at:?}");
        for window in at.windows(200) {
            assert!(window[199] - window[0] >= 100);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn refreshes_of_many_leave_together_and_no_faster_than_others() {
        let mut schedule = Schedule::default();
        let rhythm = Rhythm { count: 1, ..RHYTHM };
        for n in 0..1000_u32 {
            schedule.start(VipKey::new("shop", "web"), std::net::Ipv4Addr::from(n).into(), rhythm);
        }
        let at = times(&mut schedule, Instant::now(), 3000).await;
        let refreshes = &at[1000..];
        let moments: BTreeSet<_> = refreshes.iter().collect();
        assert!(moments.len() <= 2 * 60, "{moments:?}");
        for window in refreshes.windows(200) {
            assert!(window[199] - window[0] >= 100);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_address_does_not_wait_for_the_repeats_of_others() {
        let mut schedule = Schedule::default();
        for n in 0..500_u32 {
            schedule.start(VipKey::new("shop", "old"), std::net::Ipv4Addr::from(n).into(), RHYTHM);
        }
        times(&mut schedule, Instant::now(), 500).await;
        tokio::time::sleep(Duration::from_millis(1100)).await;
        schedule.start(VipKey::new("shop", "new"), "192.0.2.1".parse().unwrap(), RHYTHM);
        assert_eq!(schedule.pop_due().unwrap().0.name, "new");
    }
}
