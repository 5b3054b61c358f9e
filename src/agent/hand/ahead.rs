//! What is made ready before an address comes, while its former owner still answers.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};

use super::Hand;
use crate::agent::target::Target;
use crate::network::{KernelError, Look, Spot};

/// For how long an address is there behind its shut gate. Meanwhile programs of this node that talk to it find it here and not at
/// its owner, so it is not for long: a handover takes a few milliseconds, and one that takes longer is made without.
const READY_FOR: Duration = Duration::from_millis(100);

impl Hand {
    /// These may come in a moment; `soon`: as soon as their owner is silent.
    pub(super) async fn expect(&mut self, targets: &[Target], soon: bool) {
        let spots: Vec<Spot> = targets.iter().filter_map(|target| target.spot(&self.links).ok()).collect();
        self.fencing.guard_ahead(&spots);
        self.fenced_beside(&spots);
        // Where many are claimed together one look serves all.
        if soon || !self.has_look(&spots) {
            self.look_ahead(&spots).await;
        }
        if soon {
            self.make_ready(spots).await;
        }
    }

    async fn look_ahead(&mut self, spots: &[Spot]) {
        self.look = self.look_now(spots).await.ok();
    }

    /// What there is, as far as it matters to these, and of when that is.
    pub(super) async fn look_now(&self, spots: &[Spot]) -> Result<(Look, Instant), KernelError> {
        let at = Instant::now();
        Ok((self.kernel.look(spots).await?, at))
    }

    /// Has addresses there behind their shut gates, so that nothing is left to do but to open them.
    async fn make_ready(&mut self, spots: Vec<Spot>) {
        let (Some((look, _)), Some(gates)) = (&self.look, &self.gates) else { return };
        let fits = |spot: &Spot| {
            let address = spot.net.addr();
            gates.is_shut(address) && look.is_free(address) && !spot.setup.detect
        };
        if spots.is_empty() || !spots.iter().all(fits) || !self.fenced(&spots) {
            return;
        }
        let Some(grant) = self.grant_to(self.count() + spots.len(), true) else { return };
        let Some((look, _)) = &self.look else { return };
        let outcomes = self.kernel.add_all_after(look, &spots, grant.lifetime).await;
        for (spot, outcome) in spots.iter().zip(outcomes) {
            match outcome {
                Ok(_) => self.keep_for_now(spot.clone()),
                // When it comes it is tried again, and said.
                Err(error) => {
                    debug!(address = %spot.net, error = &error as &dyn std::error::Error, "not made ready");
                }
            }
        }
        self.look_ahead(&spots).await;
    }

    /// An address is there behind its shut gate: it may be about to come, or could not be removed when it went.
    pub(super) fn keep_for_now(&mut self, spot: Spot) {
        self.ready.insert(spot.net.addr(), (spot, Instant::now() + READY_FOR));
    }

    /// Until when all that is ready is.
    pub(super) fn unready(&self) -> Option<Instant> {
        self.ready.values().map(|(_, until)| *until).min()
    }

    /// Takes away what did not come. Its fence stays until it is gone.
    pub(super) async fn put_away(&mut self) {
        let now = Instant::now();
        let late: Vec<Spot> =
            self.ready.values().filter(|(_, until)| *until <= now).map(|(spot, _)| spot.clone()).collect();
        if late.is_empty() {
            return;
        }
        self.look = None;
        let places: Vec<_> = late.iter().map(|spot| (spot.link, spot.net)).collect();
        let outcomes = match self.kernel.remove_all(&places).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "addresses stay, silent");
                return late.into_iter().for_each(|spot| self.keep_for_now(spot));
            }
        };
        for (spot, removed) in late.into_iter().zip(outcomes) {
            match removed {
                Err(error) if !error.is_gone() => {
                    warn!(address = %spot.net, error = &error as &dyn std::error::Error, "an address stays, silent");
                    self.keep_for_now(spot);
                }
                _ => drop(self.ready.remove(&spot.net.addr())),
            }
        }
    }

    /// An address has come. One that was ready elsewhere is still to be put away.
    pub(super) fn arrived(&mut self, spot: &Spot) {
        if self.ready.get(&spot.net.addr()).is_some_and(|(there, _)| there.is_at(spot)) {
            self.ready.remove(&spot.net.addr());
        }
    }
}
