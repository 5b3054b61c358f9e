//! What a right stands on: one version of the own Lease, and what it takes to close the epoch in it (rules 2, 12 and 16).

use std::time::Duration;

use super::promises::Promises;
use super::source::Source;
use super::time::Time;
use super::timing::Timing;

/// What a version of the own Lease says, and when it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stand {
    pub(super) source: Source,
    /// How long others wait before they close it, where its source lets them.
    pub(super) duration: Duration,
    /// It states the idle duration, which gives no right: the way back to the brisk one would shorten it (rule 15).
    pub(super) idle: bool,
    /// When the write was sent from which the Lease's part of the right counts; `None` before this process wrote any.
    pub(super) sent: Option<Time>,
}

impl Stand {
    /// Until when nobody can close the epoch, as far as the Lease itself goes.
    fn unclosed(&self, timing: &Timing) -> Time {
        self.sent.map_or(Time::default(), |sent| sent + timing.right_of(self.duration))
    }

    /// Until when nobody can close the epoch if the Lease is in this version.
    pub(super) fn ends(&self, promises: &Promises, timing: &Timing) -> Time {
        match &self.source {
            Source::Lease => self.unclosed(timing),
            Source::Both(witnesses) => self.unclosed(timing).max(promises.until(witnesses, timing)),
            Source::Witness(witnesses) => promises.until(witnesses, timing),
        }
    }

    /// Until when the node may answer if the Lease is in this version.
    pub(super) fn right(&self, promises: &Promises, timing: &Timing) -> Time {
        match &self.source {
            Source::Lease if self.idle => Time::default(),
            Source::Both(witnesses) if self.idle => promises.until(witnesses, timing),
            _ => self.ends(promises, timing),
        }
    }
}
