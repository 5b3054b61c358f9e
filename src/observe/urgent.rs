//! What is only told waits for what is done: statuses and Events would take the API server's time while addresses wait for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// Nothing that is told waits for longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Counts the writes under way that addresses wait for. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Urgent(Arc<watch::Sender<usize>>);

/// One such write, until it is dropped.
#[derive(Debug)]
pub struct UnderWay(Urgent);

impl Urgent {
    /// One begins.
    #[must_use]
    pub fn begin(&self) -> UnderWay {
        self.0.send_modify(|count| *count += 1);
        UnderWay(self.clone())
    }

    /// Returns when none is under way, or some have been for too long.
    pub async fn over(&self) {
        let mut count = self.0.subscribe();
        // Either way it is time.
        let _ = timeout(PATIENCE, count.wait_for(|count| *count == 0)).await;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn what_is_told_waits_until_nothing_is_under_way_and_not_for_ever() {
        let (urgent, begin) = (Urgent::default(), Instant::now());
        urgent.over().await;
        assert_eq!(begin.elapsed(), Duration::ZERO);
        let (one, other) = (urgent.begin(), urgent.begin());
        drop(one);
        let later = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            drop(other);
        });
        urgent.over().await;
        assert_eq!(begin.elapsed(), Duration::from_millis(300));
        later.await.unwrap();
        let _stuck = urgent.begin();
        urgent.over().await;
        assert_eq!(begin.elapsed(), Duration::from_millis(300) + PATIENCE);
    }
}
