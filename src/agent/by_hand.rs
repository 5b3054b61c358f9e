//! Closing the epoch of a node by hand, when those that could do it are gone.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, PostParams};

use crate::api::LeaseName;
use crate::api::names::{ANNOTATION_BY_HAND, ANNOTATION_NONCE, BY_HAND, is_of_renewals};

/// How long the API server may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Why a node was not closed.
#[derive(Debug, thiserror::Error)]
pub enum CloseError {
    /// No agent of such a node ever lived.
    #[error("there is no Lease {0}: `kubectl get lease -n {1}` shows the nodes that have one")]
    Unknown(String, String),
    /// The node, or another one, was quicker.
    #[error(
        "the Lease {0} was written at this very moment, so nothing was changed: if that was the node itself, it is alive; look at its renewTime and try again only if it stands still"
    )]
    Alive(String),
    /// The API server refused, or could not be reached.
    #[error("cannot {verb} the Lease {lease}")]
    Api {
        /// What was tried.
        verb: &'static str,
        /// Which Lease.
        lease: String,
        /// What went wrong.
        source: Box<kube::Error>,
    },
    /// The API server does not answer.
    #[error("no answer from the API server within {LIMIT:?}")]
    Silent,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The epoch is closed now: others may take what the node held.
    Now,
    /// It was closed before.
    Before,
}

/// Closes the epoch of `node` by compare-and-swap, whatever its right says. The caller vouches for the node being off.
///
/// # Errors
/// [`CloseError`]; nothing was changed then, unless no answer came.
pub async fn close(client: kube::Client, namespace: &str, node: &str) -> Result<Closed, CloseError> {
    let api: Api<Lease> = Api::namespaced(client, namespace);
    let name = LeaseName::node(node).to_string();
    let failed = |verb| {
        let lease = name.clone();
        move |source| CloseError::Api { verb, lease, source: Box::new(source) }
    };
    let call = async {
        let Some(lease) = api.get_opt(&name).await.map_err(failed("read"))? else {
            return Err(CloseError::Unknown(name.clone(), namespace.to_owned()));
        };
        let Some(closed) = closed(lease) else { return Ok(Closed::Before) };
        match api.replace(&name, &PostParams::default(), &closed).await {
            Ok(_) => Ok(Closed::Now),
            Err(kube::Error::Api(status)) if status.code == 409 => Err(CloseError::Alive(name.clone())),
            Err(error) => Err(failed("close")(error)),
        }
    };
    tokio::time::timeout(LIMIT, call).await.map_err(|_| CloseError::Silent)?
}

/// The same Lease with nobody in it; none when that is so already. What has nothing to do with that stays, its version above all:
/// the write fails if anybody wrote meanwhile.
fn closed(mut lease: Lease) -> Option<Lease> {
    let spec = lease.spec.as_mut()?;
    spec.holder_identity.take().filter(|holder| !holder.is_empty())?;
    spec.holder_identity = Some(String::new());
    let version = lease.metadata.resource_version.clone().unwrap_or_default();
    // This is to be told to all.
    if let Some(labels) = &mut lease.metadata.labels {
        labels.retain(|label, _| !is_of_renewals(label));
    }
    let notes = lease.metadata.annotations.get_or_insert_default();
    // No write of the node itself must be taken for this one, nor this for one of the node.
    notes.insert(ANNOTATION_NONCE.to_owned(), format!("by-hand-{version}"));
    notes.insert(ANNOTATION_BY_HAND.to_owned(), BY_HAND.to_owned());
    Some(lease)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn lease(holder: &str) -> Lease {
        serde_json::from_value(json!({
            "metadata": {
                "name": "node.n1", "resourceVersion": "7",
                "annotations": {"virtualip.dev/nonce": "a-1", "example.org/note": "kept"},
                "labels": {"virtualip.dev/renewal": "", "told.virtualip.dev/n1": "", "example.org/label": "kept"},
            },
            "spec": {"holderIdentity": holder, "leaseTransitions": 4, "leaseDurationSeconds": 3},
        }))
        .unwrap()
    }

    #[test]
    fn nothing_changes_but_the_holder_who_wrote_and_who_is_told() {
        let mut expected: Value = serde_json::to_value(lease("n1")).unwrap();
        expected["spec"]["holderIdentity"] = json!("");
        expected["metadata"]["labels"] = json!({"example.org/label": "kept"});
        expected["metadata"]["annotations"]["virtualip.dev/nonce"] = json!("by-hand-7");
        expected["metadata"]["annotations"]["virtualip.dev/closed-by-hand"] = json!("i-know-it-is-off");
        assert_eq!(serde_json::to_value(closed(lease("n1")).unwrap()).unwrap(), expected);
    }

    #[test]
    fn what_is_closed_stays_as_it_is() {
        assert_eq!(closed(lease("")), None);
    }
}
