//! Performs what the ownership machine wants of the API server: one task a request, each answer an event.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Semaphore;
use tracing::{debug, warn};

use super::input::Inputs;
use super::lease_client::{LeaseClient, LeaseError};
use crate::api::VipKey;
use crate::observe::metrics::{ApiWrite, Metrics, Outcome};
use crate::ownership::{Action, Answer, Event, NodeName, NodeWrite, TitleWrite};

/// Requests about vip Leases that may be under way at once, so that hundreds of them cannot hold up each other past
/// their time limit.
const TITLES_AT_ONCE: usize = 16;

/// The way of all requests of the protocol to the API server.
pub struct Performer {
    /// Renewals and closings: never queued behind anything.
    life: LeaseClient,
    /// Everything about vip Leases.
    titles: LeaseClient,
    turns: Arc<Semaphore>,
    inputs: Inputs,
    metrics: Metrics,
}

impl Performer {
    /// A performer; the two clients must have connections of their own.
    #[must_use]
    pub fn new(life: LeaseClient, titles: LeaseClient, inputs: Inputs, metrics: Metrics) -> Self {
        Self { life, titles, turns: Arc::new(Semaphore::new(TITLES_AT_ONCE)), inputs, metrics }
    }

    /// Starts what `action` asks of the API server; gives back what it asks of somebody else.
    pub fn start(&self, action: Action) -> Option<Action> {
        match action {
            Action::WriteNode(write) => self.write_node(write),
            Action::WriteTitle(write) => self.write_title(write),
            Action::ReadNode(node) => self.read_node(node),
            Action::ReadTitle(key) => self.read_title(key),
            Action::Check { key, version, addresses } => {
                let (titles, inputs) = (self.titles.clone(), self.inputs.clone());
                tokio::spawn(async move {
                    let taken = note(titles.taken(&key, &addresses).await);
                    inputs.own(Event::Checked { key, version, taken });
                });
            }
            other => return Some(other),
        }
        None
    }

    fn write_node(&self, write: NodeWrite) {
        let (client, inputs, metrics) = (self.life.clone(), self.inputs.clone(), self.metrics.clone());
        tokio::spawn(async move {
            let begin = Instant::now();
            let (answer, error) = client.write_node(&write).await;
            metrics.wrote(ApiWrite::NodeLease, outcome(&answer), begin.elapsed());
            note_write(&answer, error);
            inputs.own(Event::NodeAnswer { node: write.node, nonce: write.nonce, answer });
        });
    }

    fn write_title(&self, write: TitleWrite) {
        let (client, inputs, turns) = (self.titles.clone(), self.inputs.clone(), self.turns.clone());
        let metrics = self.metrics.clone();
        tokio::spawn(async move {
            let Ok(_turn) = turns.acquire().await else { return };
            let begin = Instant::now();
            let (answer, error) = client.write_title(&write).await;
            metrics.wrote(ApiWrite::VipLease, outcome(&answer), begin.elapsed());
            note_write(&answer, error);
            inputs.own(Event::TitleAnswer { key: write.key, nonce: write.nonce, answer });
        });
    }

    fn read_node(&self, node: NodeName) {
        let (client, inputs) = (self.life.clone(), self.inputs.clone());
        tokio::spawn(async move {
            if let Some((version, lease)) = note(client.read_node(&node).await) {
                inputs.own(Event::Node { node, version, lease });
            }
        });
    }

    fn read_title(&self, key: VipKey) {
        let (client, inputs, turns) = (self.titles.clone(), self.inputs.clone(), self.turns.clone());
        tokio::spawn(async move {
            let Ok(_turn) = turns.acquire().await else { return };
            if let Some((version, title)) = note(client.read_title(&key).await) {
                inputs.own(Event::Title { key, version, title });
            }
        });
    }
}

/// An answer that failed is no event: the machine asks again in its own time.
fn note<T>(outcome: Result<T, LeaseError>) -> Option<T> {
    outcome.inspect_err(|error| warn!(error = error as &dyn std::error::Error, "a read failed")).ok()
}

fn note_write<T>(answer: &Answer<T>, error: Option<LeaseError>) {
    match (answer, error) {
        (_, Some(error)) => warn!(error = &error as &dyn std::error::Error, "a write has an unknown outcome"),
        (Answer::Conflict, None) => debug!("a write met another version"),
        _ => {}
    }
}

fn outcome<T>(answer: &Answer<T>) -> Outcome {
    match answer {
        Answer::Written(..) => Outcome::Ok,
        Answer::Conflict => Outcome::Conflict,
        Answer::Unknown => Outcome::Error,
    }
}
