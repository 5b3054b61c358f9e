//! When a node changes the source of its right (rule 16): up from the Lease as soon as promises carry it, and down again
//! before they do not.

use std::time::Duration;

use super::promises::Promises;
use super::source::{Mode, Source, Witnesses};
use super::stand::Stand;
use super::time::Time;
use super::timing::Timing;

/// For how long the witnesses of the moment have been reliable, or gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Steps {
    steady_since: Option<Time>,
    lost_since: Option<Time>,
}

impl Steps {
    /// Looks at the promises to the present choice of witnesses.
    pub(super) fn look(&mut self, stand: &Stand, promises: &Promises, now: Time, timing: &Timing) {
        let Some(witnesses) = stand.source.witnesses() else { return *self = Self::default() };
        note(&mut self.steady_since, carry(witnesses, promises, now, timing), now);
        note(&mut self.lost_since, promises.until(witnesses, timing) <= now, now);
    }

    /// The source that the Lease should rather state. `settled`: a renewal was confirmed a moment ago, and the fate of no
    /// other write is open.
    pub(super) fn next(
        &self,
        stand: &Stand,
        settled: bool,
        promises: &Promises,
        now: Time,
        timing: &Timing,
    ) -> Option<Source> {
        let wanted = if promises.can_talk() { timing.source } else { Mode::Lease };
        let ready = || promises.ready(now, timing).cloned();
        let lasts = |since: Option<Time>, span: Duration| since.is_some_and(|since| now.since(since) >= span);
        match &stand.source {
            Source::Lease => ready().filter(|_| wanted != Mode::Lease).map(Source::Both),
            Source::Both(_) if wanted == Mode::Lease => settled.then_some(Source::Lease),
            Source::Both(witnesses) => {
                if let Some(better) = ready() {
                    return Some(Source::Both(better));
                }
                // Who dies now could be closed by nobody. Not while the API server is away: the Lease alone would end.
                if settled && lasts(self.lost_since, timing.duration * 2) {
                    return Some(Source::Lease);
                }
                let up = wanted == Mode::Witness && bears_one(witnesses);
                (up && lasts(self.steady_since, timing.duration)).then(|| Source::Witness(witnesses.clone()))
            }
            Source::Witness(witnesses) => {
                if wanted != Mode::Witness || !carry(witnesses, promises, now, timing) {
                    return Some(Source::Both(witnesses.clone()));
                }
                let better = ready()?;
                Some(if bears_one(&better) { Source::Witness(better) } else { Source::Both(better) })
            }
        }
    }

    /// When a step may be due without any event.
    pub(super) fn wakes(
        &self,
        stand: &Stand,
        promises: &Promises,
        timing: &Timing,
    ) -> impl Iterator<Item = Time> {
        let steady = self.steady_since.map(|since| since + timing.duration);
        let lost = self.lost_since.map(|since| since + timing.duration * 2);
        let witnesses = stand.source.witnesses();
        let short = witnesses.map(|witnesses| promises.until(witnesses, timing) - witnesses.period / 3);
        [steady, lost, short].into_iter().flatten()
    }
}

fn note(since: &mut Option<Time>, so: bool, now: Time) {
    if so {
        since.get_or_insert(now);
    } else {
        *since = None;
    }
}

/// Whether promises carry the right with time to spare for a write to the API server.
fn carry(witnesses: &Witnesses, promises: &Promises, now: Time, timing: &Timing) -> bool {
    promises.until(witnesses, timing) >= now + witnesses.period / 3
}

/// Whether the right bears the death of one witness, so that it may stand on promises alone.
fn bears_one(witnesses: &Witnesses) -> bool {
    witnesses.others.len() > witnesses.promises_needed()
}
