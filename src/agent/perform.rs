//! Performs what the ownership machine wants of the API server: one task a request, each answer an event.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
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
    /// How long an answer is waited for before its outcome counts as unknown.
    soon: Duration,
    inputs: Inputs,
    metrics: Metrics,
    /// Where requests run: not on the thread of the loop.
    aside: Handle,
}

impl Performer {
    /// A performer whose requests run on the runtime that this is called in; the two clients must have connections of their own.
    #[must_use]
    pub fn new(
        life: LeaseClient,
        titles: LeaseClient,
        soon: Duration,
        inputs: Inputs,
        metrics: Metrics,
    ) -> Self {
        let turns = Arc::new(Semaphore::new(TITLES_AT_ONCE));
        Self { life, titles, turns, soon, inputs, metrics, aside: Handle::current() }
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
                self.aside.spawn(async move {
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
        let soon = self.soon;
        self.aside.spawn(async move {
            let (node, nonce) = (write.node.clone(), write.nonce);
            let tell = |answer| inputs.own(Event::NodeAnswer { node: node.clone(), nonce, answer });
            let mut call = pin!(timed(client.write_node(&write), ApiWrite::NodeLease, &metrics));
            if answer_soon(soon, &mut call, tell).await.is_none() {
                tell(call.await);
            }
        });
    }

    fn write_title(&self, write: TitleWrite) {
        let (client, inputs, turns) = (self.titles.clone(), self.inputs.clone(), self.turns.clone());
        let (soon, metrics) = (self.soon, self.metrics.clone());
        self.aside.spawn(async move {
            let Ok(turn) = turns.acquire().await else { return };
            let (key, nonce) = (write.key.clone(), write.nonce);
            let tell = |answer| inputs.own(Event::TitleAnswer { key: key.clone(), nonce, answer });
            let mut call = pin!(timed(client.write_title(&write), ApiWrite::VipLease, &metrics));
            if answer_soon(soon, &mut call, tell).await.is_none() {
                drop(turn);
                tell(call.await);
            }
        });
    }

    fn read_node(&self, node: NodeName) {
        let (client, inputs) = (self.life.clone(), self.inputs.clone());
        self.aside.spawn(async move {
            if let Some((version, lease)) = note(client.read_node(&node).await) {
                inputs.own(Event::Node { node, version, lease });
            }
        });
    }

    fn read_title(&self, key: VipKey) {
        let (client, inputs, turns) = (self.titles.clone(), self.inputs.clone(), self.turns.clone());
        self.aside.spawn(async move {
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

/// Tells the answer if it comes soon. If not, the outcome is unknown for now, which is told as well; the call goes
/// on, since an answer that comes late still counts: a right is counted from before the request, however slow the API
/// server is.
async fn answer_soon<T>(
    soon: Duration,
    call: impl Future<Output = Answer<T>>,
    tell: impl Fn(Answer<T>),
) -> Option<()> {
    if let Ok(answer) = tokio::time::timeout(soon, call).await {
        tell(answer);
        return Some(());
    }
    warn!("a write has no answer after {soon:?}; it is waited for");
    tell(Answer::Unknown);
    None
}

/// A write, with what is to be said about it in metrics and logs.
async fn timed<T>(
    call: impl Future<Output = (Answer<T>, Option<LeaseError>)>,
    kind: ApiWrite,
    metrics: &Metrics,
) -> Answer<T> {
    let begin = Instant::now();
    let (answer, error) = call.await;
    metrics.wrote(kind, outcome(&answer), begin.elapsed());
    match (&answer, error) {
        (_, Some(error)) => warn!(error = &error as &dyn std::error::Error, "a write has an unknown outcome"),
        (Answer::Conflict, None) => debug!("a write met another version"),
        _ => {}
    }
    answer
}

fn outcome<T>(answer: &Answer<T>) -> Outcome {
    match answer {
        Answer::Written(..) => Outcome::Ok,
        Answer::Conflict => Outcome::Conflict,
        Answer::Unknown => Outcome::Error,
    }
}
