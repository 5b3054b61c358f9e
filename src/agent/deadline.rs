//! The end of the right, shared by everything that acts under it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing::error;

use crate::network::clock;
use crate::network::fence::Cell;
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
/// It is read at the moment of use, so that what was ordered under a right is not done after its end. Where the fence is
/// exact the kernel has it too, before anything is done under it.
#[derive(Clone, Debug, Default)]
pub struct Deadline(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    until: AtomicU64,
    /// Until then nothing is to be done about the right; zero: something may be.
    covered: AtomicU64,
    cell: Option<Cell>,
}

impl Deadline {
    /// A deadline that the kernel keeps in `cell` as well.
    #[must_use]
    pub fn behind(cell: Option<Cell>) -> Self {
        Self(Arc::new(Inner { cell, ..Inner::default() }))
    }

    /// Sets it; `None`: the right has ended.
    pub fn set(&self, until: Option<Time>) {
        let until = until.map_or(0, |until| until.0);
        // As long as this life had no right, the kernel goes on under the deadline of the former one (a restart that nobody
        // notices): whoever begins anew has removed its addresses before.
        let first = until == 0 && self.0.until.load(Ordering::SeqCst) == 0;
        if let Some(cell) = self.0.cell.as_ref().filter(|_| !first)
            && let Err(error) = cell.set(Duration::from_nanos(until))
        {
            error!(error = &error as &dyn std::error::Error, "the fence does not know the right");
        }
        self.0.until.store(until, Ordering::SeqCst);
    }

    /// The hand has nothing to do about a right that ends no later than this: until then the kernel keeps all that is up behind
    /// the exact fence, as long as nothing changes. `None`: it may have something to do about any.
    pub fn cover(&self, until: Option<Time>) {
        self.0.covered.store(until.map_or(0, |until| until.0), Ordering::SeqCst);
    }

    /// Whether there are rights about which it has nothing to do.
    #[must_use]
    pub fn is_covered(&self) -> bool {
        self.0.covered.load(Ordering::SeqCst) > 0
    }

    /// Whether it has nothing to do about a right that ends then.
    #[must_use]
    pub fn covers(&self, until: Time) -> bool {
        until.0 <= self.0.covered.load(Ordering::SeqCst)
    }

    /// The end of the right, if it lies ahead.
    #[must_use]
    pub fn get(&self) -> Option<Time> {
        let until = Time(self.0.until.load(Ordering::SeqCst));
        // A clock that cannot be read gives no right.
        (now().ok()? < until).then_some(until)
    }
}
