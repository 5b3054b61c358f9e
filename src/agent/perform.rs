//! Performs what the ownership machine wants of the API server: one task a request, each answer an event.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tracing::{debug, warn};

use super::backoff::{Attempt, Backoff};
use super::input::Inputs;
use super::lease_client::{LeaseClient, LeaseError};
use super::turns::Turns;
use crate::api::VipKey;
use crate::observe::metrics::{ApiWrite, Metrics, Outcome};
use crate::observe::urgent::Urgent;
use crate::ownership::{Action, Answer, Event, NodeName, NodeWrite, TitleWrite};

/// Requests about vip Leases that may be under way at once, so that hundreds of them cannot hold up each other past
/// their time limit.
const TITLES_AT_ONCE: usize = 16;

/// A right that runs out leaves no time for longer waits.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The way of all requests of the protocol to the API server.
pub struct Performer {
    /// Renewals and closings: never queued behind anything.
    life: LeaseClient,
    /// Everything about vip Leases.
    titles: LeaseClient,
    turns: Turns,
    /// How long an answer is waited for before its outcome counts as unknown.
    soon: Duration,
    /// What the machine tries again comes no sooner than this lets it: the answer that an attempt failed is held back. That
    /// costs no safety, since to the machine it is a slow answer; and of the right it costs only waits.
    life_rests: Backoff,
    title_rests: Backoff,
    inputs: Inputs,
    metrics: Metrics,
    /// What is only told waits for writes of vip Leases.
    urgent: Urgent,
    /// Where requests run: not on the thread of the loop.
    aside: Handle,
}

impl Performer {
    /// A performer whose requests run on the runtime that this is called in; the two clients must have connections of their own.
    /// `back` says that the API server answers again.
    #[must_use]
    pub fn new(
        life: LeaseClient,
        titles: LeaseClient,
        soon: Duration,
        inputs: Inputs,
        (metrics, urgent): (Metrics, Urgent),
        back: &Arc<Notify>,
    ) -> Self {
        let turns = Turns::new(TITLES_AT_ONCE);
        let rests = || Backoff::until(back.clone(), LONGEST_WAIT);
        let (life_rests, title_rests, aside) = (rests(), rests(), Handle::current());
        Self { life, titles, turns, soon, life_rests, title_rests, inputs, metrics, urgent, aside }
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
                let rests = self.title_rests.clone();
                self.turns.spawn(&self.aside, async move |_turn| {
                    let attempt = rests.begin();
                    let taken = note(titles.taken(&key, &addresses).await);
                    rest(&rests, attempt, taken.is_some()).await;
                    inputs.own(Event::Checked { key, version, taken });
                });
            }
            other => return Some(other),
        }
        None
    }

    fn write_node(&self, write: NodeWrite) {
        let (client, inputs, metrics) = (self.life.clone(), self.inputs.clone(), self.metrics.clone());
        let (soon, rests) = (self.soon, self.life_rests.clone());
        self.aside.spawn(async move {
            let attempt = rests.begin();
            let (node, nonce) = (write.node.clone(), write.nonce);
            let tell = |answer| inputs.own(Event::NodeAnswer { node: node.clone(), nonce, answer });
            let mut call = pin!(timed(client.write_node(&write), ApiWrite::NodeLease, &metrics));
            let Some(answer) = answer_soon(soon, &mut call, tell).await else { return tell(call.await) };
            rest(&rests, attempt, is_answer(&answer)).await;
            tell(answer);
        });
    }

    fn write_title(&self, write: TitleWrite) {
        let (client, inputs) = (self.titles.clone(), self.inputs.clone());
        let (soon, metrics, rests) = (self.soon, self.metrics.clone(), self.title_rests.clone());
        let urgent = self.urgent.clone();
        self.turns.spawn(&self.aside, async move |turn| {
            let (attempt, under_way) = (rests.begin(), urgent.begin());
            let (key, nonce) = (write.key.clone(), write.nonce);
            let tell = |answer| inputs.own(Event::TitleAnswer { key: key.clone(), nonce, answer });
            let mut call = pin!(timed(client.write_title(&write), ApiWrite::VipLease, &metrics));
            let answer = answer_soon(soon, &mut call, tell).await;
            drop(under_way);
            let Some(answer) = answer else {
                drop(turn);
                return tell(call.await);
            };
            // The turn is kept: many that fail do not make many attempts.
            rest(&rests, attempt, is_answer(&answer)).await;
            tell(answer);
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
        let (client, inputs) = (self.titles.clone(), self.inputs.clone());
        let rests = self.title_rests.clone();
        self.turns.spawn(&self.aside, async move |_turn| {
            let attempt = rests.begin();
            let read = note(client.read_title(&key).await);
            if read.is_none() {
                rests.failed(attempt).await;
            }
            if let Some((version, title)) = read {
                inputs.own(Event::Title { key, version, title });
            }
        });
    }
}

/// An answer that failed is no event: the machine asks again in its own time.
fn note<T>(outcome: Result<T, LeaseError>) -> Option<T> {
    outcome.inspect_err(|error| warn!(error = error as &dyn std::error::Error, "a read failed")).ok()
}

/// After an attempt: one that failed is followed by a wait.
async fn rest(rests: &Backoff, attempt: Attempt, worked: bool) {
    if worked {
        rests.worked();
    } else {
        rests.failed(attempt).await;
    }
}

fn is_answer<T>(answer: &Answer<T>) -> bool {
    !matches!(answer, Answer::Unknown)
}

/// Gives the answer if it comes soon. If not, the outcome is unknown for now, which is told; the call goes
/// on, since an answer that comes late still counts: a right is counted from before the request, however slow the API
/// server is.
async fn answer_soon<T>(
    soon: Duration,
    call: impl Future<Output = Answer<T>>,
    tell: impl Fn(Answer<T>),
) -> Option<Answer<T>> {
    if let Ok(answer) = tokio::time::timeout(soon, call).await {
        return Some(answer);
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

#[cfg(test)]
#[path = "perform_test.rs"]
mod tests;
