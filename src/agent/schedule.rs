//! When each address is announced again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::VipKey;

/// Linux ignores a second change of a neighbour entry within its `locktime` of one second.
const SPACING: Duration = Duration::from_millis(1100);

/// Announcements at that spacing after the first one.
const REPEATS: u32 = 4;

/// After that, for as long as the address is owned: switches forget a host after minutes (300 s by default).
const REFRESH: Duration = Duration::from_mins(1);

type Entry = (VipKey, IpAddr);

/// The addresses that are up, each with its next announcement.
#[derive(Debug, Default)]
pub struct Schedule {
    due: BTreeSet<(Instant, VipKey, IpAddr)>,
    entries: BTreeMap<Entry, (Instant, u32)>,
}

impl Schedule {
    /// The first announcement was just sent.
    pub fn start(&mut self, key: VipKey, address: IpAddr) {
        self.stop(&key, address);
        self.plan(key, address, Instant::now() + SPACING, 1);
    }

    /// The address is not up any more.
    pub fn stop(&mut self, key: &VipKey, address: IpAddr) {
        if let Some((at, _)) = self.entries.remove(&(key.clone(), address)) {
            self.due.remove(&(at, key.clone(), address));
        }
    }

    /// When the next one is due.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, ..)| *at)
    }

    /// An address that is due now; its next announcement is planned.
    pub fn pop_due(&mut self) -> Option<Entry> {
        let now = Instant::now();
        if self.next()? > now {
            return None;
        }
        let (_, key, address) = self.due.pop_first()?;
        let (_, sent) = self.entries.remove(&(key.clone(), address))?;
        let pause = if sent < REPEATS { SPACING } else { REFRESH };
        self.plan(key.clone(), address, now + pause, sent + 1);
        Some((key, address))
    }

    fn plan(&mut self, key: VipKey, address: IpAddr, at: Instant, sent: u32) {
        self.due.insert((at, key.clone(), address));
        self.entries.insert((key, address), (at, sent));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_few_at_the_spacing_then_the_slow_refresh() {
        let mut schedule = Schedule::default();
        let begin = Instant::now();
        schedule.start(VipKey::new("shop", "web"), "192.0.2.1".parse().unwrap());
        let mut at = Vec::new();
        for _ in 0..6 {
            tokio::time::sleep_until(schedule.next().unwrap()).await;
            assert!(schedule.pop_due().is_some());
            assert!(schedule.pop_due().is_none());
            at.push(begin.elapsed().as_millis());
        }
        assert_eq!(at, [1100, 2200, 3300, 4400, 64400, 124_400]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_down_is_not_announced() {
        let mut schedule = Schedule::default();
        let key = VipKey::new("shop", "web");
        let address = "192.0.2.1".parse().unwrap();
        schedule.start(key.clone(), address);
        schedule.stop(&key, address);
        assert_eq!(schedule.next(), None);
    }
}
