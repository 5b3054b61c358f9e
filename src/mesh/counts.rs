//! What went out and came in, counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::reject::Reject;

/// Counters of datagrams. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Counts(Arc<Cells>);

#[derive(Debug, Default)]
struct Cells {
    sent: AtomicU64,
    unsent: AtomicU64,
    received: AtomicU64,
    rejected: [AtomicU64; Reject::ALL.len()],
}

/// The counters of one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Handed to the kernel.
    pub sent: u64,
    /// Refused by the kernel.
    pub unsent: u64,
    /// Taken: authentic, new, from a peer.
    pub received: u64,
    /// Not taken, in the order of [`Reject::ALL`].
    pub rejected: [u64; Reject::ALL.len()],
}

impl Counts {
    /// The counters now.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        Figures {
            sent: read(&self.0.sent),
            unsent: read(&self.0.unsent),
            received: read(&self.0.received),
            rejected: self.0.rejected.each_ref().map(read),
        }
    }

    pub(super) fn sent(&self, taken_by_the_kernel: bool) {
        let cell = if taken_by_the_kernel { &self.0.sent } else { &self.0.unsent };
        cell.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn received(&self) {
        self.0.received.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts it; how many of this kind there were before.
    pub(super) fn rejected(&self, reason: Reject) -> u64 {
        self.0.rejected[reason.index()].fetch_add(1, Ordering::Relaxed)
    }
}
