//! Writes statuses, in a task of its own: nobody who keeps an address waits for it.
//!
//! Each write names the version of the object that it was computed from. When the object has changed since, the API
//! server refuses it and it is forgotten: the newer version is on its way through the watch, and the status is computed
//! again from that. So a late or repeated write of a former owner never covers the newer one's, as long as
//! **the status is computed again whenever a watch delivers a new version of the object**.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::{Client, Error, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

use super::metrics::{ApiWrite, Metrics, Outcome};
use super::pending::Pending;
use super::urgent::Urgent;
use crate::api::conditions::types;
use crate::api::names::FIELD_MANAGER;
use crate::api::{GROUP, VERSION, VipKey, VirtualIP, VirtualIPNode, VirtualIPNodeStatus, VirtualIPStatus};

/// A write that takes longer is given up, and tried again.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Whose status.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Of a `VirtualIP`.
    VirtualIp(VipKey),
    /// Of the `VirtualIPNode` of this name.
    Node(String),
}

/// Takes statuses to be written. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct StatusWriter(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    work: Mutex<Work>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Work {
    pending: Pending<Subject, Value>,
    /// What was written last, where nothing else was tried since: computed twice from one version, it need not be written twice.
    written: BTreeMap<Subject, Value>,
}

impl StatusWriter {
    /// To be written soon, instead of what was still to be written of this object. `vip` is the version from which the
    /// status was computed. Never waits.
    pub fn write_virtual_ip(&self, vip: &VirtualIP, status: &VirtualIPStatus) {
        let body = body("VirtualIP", vip, json!(status));
        self.put(Subject::VirtualIp(vip.key()), body);
    }

    /// Likewise for a node.
    pub fn write_node(&self, node: &VirtualIPNode, status: &VirtualIPNodeStatus) {
        let body = body("VirtualIPNode", node, json!(status));
        self.put(Subject::Node(node.name_any()), body);
    }

    /// Forgets what was still to be written: this node has nothing more to say about it.
    pub fn withdraw(&self, subject: &Subject) {
        self.with_work(|work| {
            work.pending.remove(subject);
            work.written.remove(subject);
        });
    }

    fn put(&self, subject: Subject, body: Value) {
        self.with_work(|work| work.pending.put(subject, body, Instant::now()));
        self.0.wake.notify_one();
    }

    fn with_work<T>(&self, change: impl FnOnce(&mut Work) -> T) -> T {
        change(&mut self.0.work.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes, for ever, when nothing `urgent` is under way. Needs `patch` on the status of both kinds.
    pub async fn run(self, client: Client, metrics: Metrics, urgent: Urgent) {
        loop {
            urgent.over().await;
            let Some((subject, job)) = self.with_work(|work| work.pending.take(Instant::now())) else {
                self.wait().await;
                continue;
            };
            if self.with_work(|work| work.written.get(&subject) == Some(&job.what)) {
                continue;
            }
            let wrote = write(&client, &metrics, &subject, &job.what).await;
            self.with_work(|work| {
                work.written.remove(&subject);
                match wrote {
                    Wrote::Done => drop(work.written.insert(subject, job.what)),
                    Wrote::Outdated => {}
                    Wrote::Failed => work.pending.failed(subject, job, Instant::now()),
                }
            });
        }
    }

    /// Until there is something to do, or may be.
    async fn wait(&self) {
        let due = self.with_work(|work| work.pending.next_due());
        tokio::select! {
            () = self.0.wake.notified() => {}
            () = async { sleep_until(due.unwrap_or_else(Instant::now)).await }, if due.is_some() => {}
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VirtualIp(key) => write!(f, "VirtualIP {key}"),
            Self::Node(name) => write!(f, "VirtualIPNode {name}"),
        }
    }
}

/// How a write ended.
#[derive(Debug, PartialEq, Eq)]
enum Wrote {
    Done,
    /// Trying again would not help; a newer version will.
    Outdated,
    /// To be tried again.
    Failed,
}

/// The object as server-side apply wants it: only what is ours, and the version that it was computed from.
fn body<K: ResourceExt>(kind: &str, object: &K, mut status: Value) -> Value {
    if let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) {
        let ours =
            |condition: &Value| condition["type"].as_str().is_some_and(|type_| types::ALL.contains(&type_));
        conditions.retain(ours);
    }
    let mut metadata = json!({ "name": object.name_any(), "resourceVersion": object.resource_version() });
    if let Some(namespace) = object.namespace() {
        metadata["namespace"] = namespace.into();
    }
    json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": kind,
        "metadata": metadata,
        "status": status,
    })
}

async fn write(client: &Client, metrics: &Metrics, subject: &Subject, body: &Value) -> Wrote {
    let start = Instant::now();
    let answer = timeout(TIMEOUT, patch(client.clone(), subject, body)).await;
    let (wrote, outcome) = match answer {
        Ok(Ok(())) => (Wrote::Done, Outcome::Ok),
        Ok(Err(Error::Api(status))) if status.code == 409 => (Wrote::Outdated, Outcome::Conflict),
        Ok(Err(Error::Api(status))) if status.code == 404 => (Wrote::Outdated, Outcome::Error),
        Ok(Err(Error::Api(status))) if matches!(status.code, 400 | 422) => {
            tracing::error!(%subject, error = %status.message, "the API server refuses the status");
            (Wrote::Outdated, Outcome::Error)
        }
        Ok(Err(error)) => {
            tracing::warn!(%subject, %error, "cannot write the status; it is tried again");
            (Wrote::Failed, Outcome::Error)
        }
        Err(_) => {
            tracing::warn!(%subject, "no answer to the write of the status; it is tried again");
            (Wrote::Failed, Outcome::Error)
        }
    };
    metrics.wrote(ApiWrite::Status, outcome, start.elapsed());
    wrote
}

/// What comes back is not read: an object of another version of the types would only be in the way.
async fn patch(client: Client, subject: &Subject, body: &Value) -> Result<(), Error> {
    let (api, name): (Api<DynamicObject>, _) = match subject {
        Subject::VirtualIp(VipKey { namespace, name }) => {
            (Api::namespaced_with(client, namespace, &ApiResource::erase::<VirtualIP>(&())), name)
        }
        Subject::Node(name) => (Api::all_with(client, &ApiResource::erase::<VirtualIPNode>(&())), name),
    };
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch_status(name, &params, &Patch::Apply(body)).await.map(drop)
}

#[cfg(test)]
#[path = "status_writer_test.rs"]
mod tests;
