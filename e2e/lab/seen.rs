//! What the client saw, all verdicts together.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Adds up verdicts, until somebody takes the sum. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Seen(Arc<Mutex<Sum>>);

/// The sum.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    /// The time in which two hosts answered for one address.
    pub two_owners: Duration,
    /// The longest time without an answer, of addresses that were up before and after it.
    pub longest_silence: Duration,
}

impl Seen {
    /// Two hosts answered for so long.
    pub fn two_owners(&self, time: Duration) {
        self.with(|sum| sum.two_owners += time);
    }

    /// Nobody answered for so long.
    pub fn silence(&self, time: Duration) {
        self.with(|sum| sum.longest_silence = sum.longest_silence.max(time));
    }

    /// The sum since it was taken last.
    pub fn take(&self) -> Sum {
        self.with(std::mem::take)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Sum) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
