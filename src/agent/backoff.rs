//! Waits between attempts that fail: doubled each time, never the same for two agents, over at once when the API server is
//! known to be back.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// The wait after the first failure.
const FIRST: Duration = Duration::from_millis(50);

/// The waits of one kind of request. Clones share them.
#[derive(Clone, Debug)]
pub struct Backoff {
    /// How often in a row the waits were doubled.
    level: Arc<AtomicU32>,
    longest: Duration,
    back: Arc<Notify>,
}

/// How it stood when an attempt began: those that fail together count as one failure.
#[derive(Clone, Copy, Debug)]
pub struct Attempt(u32);

impl Backoff {
    /// Waits of at most `longest` that are over when `back` says that the API server answers again.
    #[must_use]
    pub fn until(back: Arc<Notify>, longest: Duration) -> Self {
        Self { level: Arc::default(), longest, back }
    }

    /// An attempt begins.
    #[must_use]
    pub fn begin(&self) -> Attempt {
        Attempt(self.level.load(Ordering::Relaxed))
    }

    /// An attempt was answered: the next wait is a short one, and if one had failed before, all that wait go on.
    pub fn worked(&self) {
        if self.level.swap(0, Ordering::Relaxed) > 0 {
            self.back.notify_waiters();
        }
    }

    /// An attempt failed: returns when the next one may begin.
    pub async fn failed(&self, Attempt(level): Attempt) {
        self.level.fetch_max(level.saturating_add(1), Ordering::Relaxed);
        tokio::select! {
            () = tokio::time::sleep(wait(level, self.longest, RandomState::new().hash_one(level))) => {}
            () = self.back.notified() => {}
        }
    }
}

/// Between half and the whole of the doubled wait, by a random number.
fn wait(level: u32, longest: Duration, random: u64) -> Duration {
    let whole = FIRST.saturating_mul(2_u32.saturating_pow(level)).min(longest);
    let share = u32::try_from(random % 1000).unwrap_or_default();
    whole / 2 + whole / 2 * share / 1000
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_double_up_to_the_longest_and_differ() {
        let between = |level| [wait(level, SECOND, 0), wait(level, SECOND, 999)].map(|wait| wait.as_millis());
        assert_eq!(
            [0, 1, 2, 4, 5, 99].map(between),
            [[25, 49], [50, 99], [100, 199], [400, 799], [500, 999], [500, 999]]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_that_fail_together_double_once_and_all_go_on_when_one_works() {
        let backoff = Backoff::until(Arc::default(), SECOND);
        let all = [backoff.begin(); 16];
        futures::future::join_all(all.map(|attempt| backoff.failed(attempt))).await;
        assert_eq!(backoff.begin().0, 1);
        for _ in 0..9 {
            backoff.failed(backoff.begin()).await;
        }
        let start = Instant::now();
        let back = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            backoff.worked();
        };
        tokio::join!(backoff.failed(backoff.begin()), back);
        assert_eq!(start.elapsed(), Duration::from_millis(1));
    }
}
