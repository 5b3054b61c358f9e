//! Work that is worth doing only in its newest form, and again later when it failed. Pure: the time is given.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// One piece of work per key.
#[derive(Debug)]
pub struct Pending<K, T> {
    jobs: BTreeMap<K, Job<T>>,
}

/// A piece of work.
#[derive(Debug)]
pub struct Job<T> {
    /// What is to be done.
    pub what: T,
    /// How often in a row it failed.
    failures: u32,
    due: Instant,
}

impl<K, T> Default for Pending<K, T> {
    fn default() -> Self {
        Self { jobs: BTreeMap::new() }
    }
}

impl<K: Ord + Clone, T> Pending<K, T> {
    /// Takes the place of older work for the same key. A wait after failures goes on: what failed was most likely
    /// not the work.
    pub fn put(&mut self, key: K, what: T, now: Instant) {
        let (failures, due) = self.jobs.get(&key).map_or((0, now), |job| (job.failures, job.due));
        self.jobs.insert(key, Job { what, failures, due });
    }

    /// Drops the work for a key.
    pub fn remove(&mut self, key: &K) {
        self.jobs.remove(key);
    }

    /// Takes out the work that has been due for the longest time.
    pub fn take(&mut self, now: Instant) -> Option<(K, Job<T>)> {
        let due = self.jobs.iter().filter(|(_, job)| job.due <= now);
        let key = due.min_by_key(|(_, job)| job.due).map(|(key, _)| key.clone())?;
        self.jobs.remove_entry(&key)
    }

    /// Puts back work that failed, to be done after a wait; if newer work has come, that waits instead.
    pub fn failed(&mut self, key: K, job: Job<T>, now: Instant) {
        let failures = job.failures.saturating_add(1);
        let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(job.failures)).min(LONGEST_WAIT);
        let job = self.jobs.entry(key).or_insert(job);
        job.failures = failures;
        job.due = now + wait;
    }

    /// When the next work is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.jobs.values().map(|job| job.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(pending: &mut Pending<&'static str, u32>, now: Instant) -> Option<(&'static str, u32)> {
        pending.take(now).map(|(key, job)| (key, job.what))
    }

    #[test]
    fn only_the_newest_of_each_is_done_and_nobody_waits_for_ever() {
        let now = Instant::now();
        let mut pending = Pending::default();
        pending.put("b", 1, now);
        pending.put("a", 2, now + Duration::from_millis(1));
        pending.put("b", 3, now + Duration::from_millis(2));
        let later = now + Duration::from_millis(3);
        assert_eq!(take(&mut pending, later), Some(("b", 3)), "it has waited longest");
        assert_eq!(take(&mut pending, later), Some(("a", 2)));
        assert_eq!(take(&mut pending, later), None);
    }

    #[test]
    fn failed_work_waits_longer_each_time_and_yields_to_newer() {
        let mut now = Instant::now();
        let mut pending = Pending::default();
        pending.put("a", 1, now);
        for wait in [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000] {
            let (key, job) = pending.take(now).unwrap();
            pending.failed(key, job, now);
            let wait = Duration::from_millis(wait);
            assert_eq!(pending.next_due(), Some(now + wait));
            assert!(pending.take(now).is_none());
            now += wait;
        }
        let (key, job) = pending.take(now).unwrap();
        pending.put("a", 2, now);
        pending.failed(key, job, now);
        assert!(pending.take(now).is_none(), "the newer one waits too");
        assert_eq!(take(&mut pending, now + LONGEST_WAIT), Some(("a", 2)));
    }

    #[test]
    fn removed_work_is_not_done() {
        let now = Instant::now();
        let mut pending = Pending::default();
        pending.put("a", 1, now);
        pending.remove(&"a");
        assert!(pending.take(now).is_none());
    }
}
