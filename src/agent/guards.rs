//! The finalizer on `VirtualIP`s: there before anybody may answer, gone when nobody does.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use tokio::runtime::Handle;
use tracing::warn;

use super::input::{Input, Inputs};
use super::planner::guarded;
use super::turns::Turns;
use crate::api::VirtualIP;
use crate::api::names::FINALIZER_HELD;

/// How long one patch may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Wait after a failure, before the same may be tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// Patches under way at once: each takes a connection, and somebody may apply a thousand objects.
const AT_ONCE: usize = 8;

/// Patches finalizers in the background; each version of an object is patched once.
#[derive(Clone)]
pub struct Guards {
    client: kube::Client,
    inputs: Inputs,
    /// Where patches run: not on the thread of the loop.
    aside: Handle,
    underway: Arc<Mutex<BTreeSet<String>>>,
    turns: Turns,
}

impl Guards {
    /// Guards that patch through `client`, on the runtime that this is called in, and have `inputs` look again after a failure.
    #[must_use]
    pub fn new(client: kube::Client, inputs: Inputs) -> Self {
        let turns = Turns::new(AT_ONCE);
        Self { client, inputs, aside: Handle::current(), underway: Arc::default(), turns }
    }

    /// Puts the finalizer on, or takes it off.
    pub fn set(&self, object: &VirtualIP, on: bool) {
        if guarded(object) == on {
            return;
        }
        let version = object.resource_version().unwrap_or_default();
        if !self.underway.lock().unwrap_or_else(PoisonError::into_inner).insert(version.clone()) {
            return;
        }
        let api: Api<VirtualIP> =
            Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default());
        let mut finalizers = object.finalizers().to_vec();
        finalizers.retain(|finalizer| finalizer != FINALIZER_HELD);
        if on {
            finalizers.push(FINALIZER_HELD.to_owned());
        }
        let guards = self.clone();
        let name = object.name_any();
        self.turns.spawn(&self.aside, async move |_turn| {
            let patch =
                Patch::Merge(json!({"metadata": {"resourceVersion": version, "finalizers": finalizers}}));
            let failed = fails(&api, &name, &patch).await;
            guards.underway.lock().unwrap_or_else(PoisonError::into_inner).remove(&version);
            if failed {
                guards.inputs.send(Input::Objects);
            }
        });
    }
}

/// Patches, and says after a pause whether it is to be tried again.
async fn fails(api: &Api<VirtualIP>, name: &str, patch: &Patch<serde_json::Value>) -> bool {
    match tokio::time::timeout(LIMIT, api.patch_metadata(name, &PatchParams::default(), patch)).await {
        Ok(Ok(_)) => return false,
        // Another version is there, or none: its event leads to the next decision.
        Ok(Err(kube::Error::Api(status))) if status.code == 409 || status.code == 404 => return false,
        Ok(Err(error)) => {
            warn!(vip = name, error = &error as &dyn std::error::Error, "finalizer not changed");
        }
        Err(_) => warn!(vip = name, "no answer to a change of the finalizer"),
    }
    tokio::time::sleep(PAUSE).await;
    true
}
