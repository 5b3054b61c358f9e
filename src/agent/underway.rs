//! Claims and handovers that are under way here: no status speaks of one before it is done, so that the first
//! announcement leaves before any status is written, unless it takes long.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::VipKey;

/// A claim or handover that takes longer than this is told in the status.
const PATIENCE: Duration = Duration::from_secs(2);

/// Since when this node is about to answer for each `VirtualIP`, or to hand it over.
#[derive(Debug, Default)]
pub struct Underway(BTreeMap<VipKey, Instant>);

impl Underway {
    /// Whether the status of `key` can wait; `under_way` says that it will be another one soon without anybody's help, and
    /// that it is this node's to write.
    pub fn waits(&mut self, key: &VipKey, under_way: bool) -> bool {
        if !under_way {
            self.0.remove(key);
            return false;
        }
        self.0.entry(key.clone()).or_insert_with(Instant::now).elapsed() < PATIENCE
    }

    /// When one has taken so long that the status must be written.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        let now = Instant::now();
        self.0.values().map(|since| *since + PATIENCE).filter(|due| *due > now).min()
    }

    /// Forgets what `known` does not know.
    pub fn keep(&mut self, known: impl Fn(&VipKey) -> bool) {
        self.0.retain(|key, _| known(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_done_soon_is_not_told_and_what_takes_long_is() {
        let (mut underway, key) = (Underway::default(), VipKey::new("shop", "web"));
        assert!(underway.waits(&key, true));
        tokio::time::sleep_until(underway.next().unwrap()).await;
        assert!(!underway.waits(&key, true), "it takes long");
        assert_eq!(underway.next(), None);
        assert!(!underway.waits(&key, false), "done");
        assert!(underway.waits(&key, true), "the next one has its own time");
    }
}
