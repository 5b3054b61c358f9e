//! The end of the right, shared by everything that acts under it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::network::clock;
use crate::ownership::Time;

/// Now, on `CLOCK_BOOTTIME`.
///
/// # Errors
/// When the kernel has no such clock (before Linux 2.6.39).
pub fn now() -> Result<Time, nix::errno::Errno> {
    clock::now().map(Time::from_boot)
}

/// Until when this node may answer and announce. Zero: no right.
///
/// It is read at the moment of use, so that what was ordered under a right is not done after its end.
#[derive(Clone, Debug, Default)]
pub struct Deadline(Arc<AtomicU64>);

impl Deadline {
    /// Sets it; `None`: the right has ended.
    pub fn set(&self, until: Option<Time>) {
        self.0.store(until.map_or(0, |until| until.0), Ordering::SeqCst);
    }

    /// The end of the right, if it lies ahead.
    #[must_use]
    pub fn get(&self) -> Option<Time> {
        let until = Time(self.0.load(Ordering::SeqCst));
        // A clock that cannot be read gives no right.
        (now().ok()? < until).then_some(until)
    }
}
