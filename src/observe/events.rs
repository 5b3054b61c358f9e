//! Kubernetes Events, sent by a task of its own: whoever reports something never waits.
//!
//! Equal Events are counted in one object, and each object has a budget, so that nothing that happens often on the wire
//! becomes a load for the API server.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, Error};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::event_series::{Send, Series};
use super::metrics::{ApiWrite, Metrics, Outcome};
use super::urgent::Urgent;

/// Reasons of Events that are not also reasons of conditions (`api::conditions::reasons` has the others).
pub mod reasons {
    /// This node took the addresses: nobody living held them.
    pub const CLAIMED: &str = "Claimed";
    /// The addresses moved from one living node to another.
    pub const HANDED_OVER: &str = "HandedOver";
    /// This node removed the addresses and nobody has them now.
    pub const RELEASED: &str = "Released";
    /// This node's right ended, and it removed the addresses.
    pub const RIGHT_LOST: &str = "RightLost";
    /// A dead node's Lease was closed; its addresses are free.
    pub const NODE_CLOSED: &str = "NodeClosed";
    /// An address that somebody removed was put back.
    pub const RESTORED: &str = "Restored";
}

/// So many Events may wait; more are dropped, and counted.
const QUEUE: usize = 256;

/// A call that takes longer is given up.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How serious it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Normal,
    /// Somebody should look.
    Warning,
}

/// Something to tell about an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// The object; `kube::Resource::object_ref` makes it.
    pub regarding: ObjectReference,
    /// How serious it is.
    pub severity: Severity,
    /// Why, in one word: one of [`reasons`] or of `api::conditions::reasons`.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
}

/// Takes Events to be sent. Clones are one.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: mpsc::Sender<Note>,
    metrics: Metrics,
}

/// Sends what a [`Recorder`] took.
#[derive(Debug)]
pub struct Sender {
    queue: mpsc::Receiver<Note>,
    series: Series,
    metrics: Metrics,
}

/// A recorder of the agent on `node`, and what sends for it.
#[must_use]
pub fn recorder(node: &str, metrics: &Metrics) -> (Recorder, Sender) {
    let (tell, queue) = mpsc::channel(QUEUE);
    let recorder = Recorder { queue: tell, metrics: metrics.clone() };
    (recorder, Sender { queue, series: Series::new(node), metrics: metrics.clone() })
}

impl Recorder {
    /// To be sent soon, or dropped when too many wait. Never waits.
    pub fn tell(&self, note: Note) {
        if self.queue.try_send(note).is_err() {
            self.metrics.events_dropped.inc();
        }
    }
}

impl Sender {
    /// Sends until every recorder is gone, when nothing `urgent` is under way. Needs `create` and `patch` on `events.events.k8s.io`.
    pub async fn run(mut self, client: Client, urgent: Urgent) {
        while let Some(note) = self.queue.recv().await {
            urgent.over().await;
            let now = Instant::now();
            match self.series.next(&note, now, Timestamp::now()) {
                Some(send) => self.send(client.clone(), &note, send).await,
                None => {
                    self.metrics.events_dropped.inc();
                }
            }
        }
    }

    /// An Event that failed is dropped: it would only be late, and logs tell the same.
    async fn send(&mut self, client: Client, note: &Note, send: Send) {
        let start = Instant::now();
        let outcome = match timeout(TIMEOUT, put(client, send)).await {
            Ok(Ok(())) => Outcome::Ok,
            Ok(Err(error)) => {
                tracing::warn!(reason = note.reason, %error, "cannot send an Event");
                Outcome::Error
            }
            Err(_) => {
                tracing::warn!(reason = note.reason, "no answer to an Event");
                Outcome::Error
            }
        };
        self.metrics.wrote(ApiWrite::Event, outcome, start.elapsed());
        if outcome != Outcome::Ok {
            self.series.forget(note);
            self.metrics.events_dropped.inc();
        }
    }
}

async fn put(client: Client, send: Send) -> Result<(), Error> {
    match send {
        Send::Create(event) => {
            let namespace = event.metadata.namespace.clone().unwrap_or_default();
            let api: Api<Event> = Api::namespaced(client, &namespace);
            api.create(&PostParams::default(), &event).await.map(drop)
        }
        Send::Count { namespace, name, patch } => {
            let api: Api<Event> = Api::namespaced(client, &namespace);
            api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{VirtualIP, VirtualIPSpec};
    use crate::observe::api_fake::Fake;
    use kube::Resource;

    fn note(message: &str) -> Note {
        let mut vip = VirtualIP::new("web", VirtualIPSpec::default());
        vip.metadata.namespace = Some("shop".to_owned());
        Note {
            regarding: vip.object_ref(&()),
            severity: Severity::Normal,
            reason: reasons::CLAIMED,
            message: message.to_owned(),
        }
    }

    #[tokio::test]
    async fn an_event_says_who_about_what_and_why_and_repeats_are_counted() {
        let mut fake = Fake::answering([201, 200]);
        let (metrics, _) = crate::observe::metrics::registry();
        let (recorder, sender) = recorder("n1", &metrics);
        let task = tokio::spawn(sender.run(fake.client(), Urgent::default()));
        recorder.tell(note("n1 answers"));
        let seen = fake.next().await;
        assert_eq!(
            (seen.method.as_str(), seen.path.as_str()),
            ("POST", "/apis/events.k8s.io/v1/namespaces/shop/events?")
        );
        assert_eq!(seen.body["regarding"]["name"], "web");
        assert_eq!(seen.body["reason"], "Claimed");
        assert_eq!(seen.body["note"], "n1 answers");
        assert_eq!(seen.body["reportingInstance"], "n1");
        recorder.tell(note("n1 answers"));
        let again = fake.next().await;
        assert_eq!(again.method, "PATCH");
        assert_eq!(again.body["series"]["count"], 2);
        drop(recorder);
        task.await.unwrap();
        assert_eq!(metrics.events_dropped.get(), 0);
    }

    #[tokio::test]
    async fn reporting_never_waits_and_what_is_too_much_is_counted() {
        let (metrics, _) = crate::observe::metrics::registry();
        let (recorder, _sender) = recorder("n1", &metrics);
        for n in 0..QUEUE + 3 {
            recorder.tell(note(&n.to_string()));
        }
        assert_eq!(metrics.events_dropped.get(), 3);
    }
}
