//! Uninstalling: `kubectl delete -k manifests` deletes the agents and their rights at the same moment, and yet the
//! agents must first take every address off the wire and their finalizers off every object.
//!
//! So the agents hold on to their rights. At start each makes sure of ([`Rights::protect`])
//! * a finalizer of ours on the five objects that the rights consist of, and
//! * the *anchor*, a Lease with the same finalizer that those five own, with `blockOwnerDeletion`.
//!
//! An agent that is told to end asks whether that is an uninstall ([`Rights::under_way`]). If so it says so to the
//! others by deleting the anchor ([`Rights::announce`]), stays until nothing of ours is held anywhere, and then lets go
//! ([`Rights::let_go`]). That must end in one single write, since each of the five is needed for any write: the five are
//! deleted once more, in the foreground, which makes Kubernetes' garbage collector keep them until the anchor is gone;
//! then our finalizer comes off the five; then, last, off the anchor.
//!
//! What does not work: the finalizer `foregroundDeletion` in the manifests, since `kubectl delete` asks for background
//! deletion and the API server then drops that finalizer; the deletion of the anchor by its namespace as the signal, since
//! a namespace deletes its pods before anything else; and deleting the five before the anchor, since the garbage
//! collector disowns a dependent of which only some owners are being deleted, unless it is being deleted itself.

mod farewell;
mod object;

pub use farewell::{protect, see_through, under_way};

use std::time::Duration;

use k8s_openapi::{
    api::{
        coordination::v1::Lease,
        core::v1::{Namespace, ServiceAccount},
        rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{
    Api, Client, Error,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::time::{sleep, timeout};

use self::object::Object;
use crate::api::{
    VirtualIP,
    names::{FIELD_MANAGER, FINALIZER_HELD, FINALIZER_UNINSTALL, UNINSTALL_LEASE},
};

/// Between two looks at objects that somebody else is changing.
const PAUSE: Duration = Duration::from_millis(100);
/// For how long the deletion of the rights may come after that of the namespace: kubectl deletes one after the other.
const STRAGGLERS: Duration = Duration::from_secs(5);

/// Why the rights could not be held, or let go.
#[derive(Debug, thiserror::Error)]
pub enum UninstallError {
    /// The API server refused, or could not be reached.
    #[error("cannot {verb} {object}")]
    Api {
        /// What was tried.
        verb: &'static str,
        /// Kind and name.
        object: String,
        /// What went wrong.
        source: Box<Error>,
    },
    /// The agents run with other rights than those of the manifests.
    #[error("{object} does not exist: uninstalling may leave finalizers behind")]
    Missing {
        /// Kind and name.
        object: String,
    },
}

impl UninstallError {
    /// Whether the API server no longer knows us: another agent has let go.
    #[must_use]
    pub fn rights_are_gone(&self) -> bool {
        match self {
            Self::Api { source, .. } => is_code(source, &[401, 403]),
            Self::Missing { .. } => true,
        }
    }
}

/// The objects that the agents' rights consist of.
#[derive(Clone)]
pub struct Rights {
    client: Client,
    namespace: String,
    objects: [Object; 5],
}

impl Rights {
    /// The rights of the agents in `namespace`.
    #[must_use]
    pub fn new(client: Client, namespace: &str) -> Self {
        let objects = [
            Object::namespaced::<ServiceAccount>(&client, namespace),
            Object::namespaced::<Role>(&client, namespace),
            Object::namespaced::<RoleBinding>(&client, namespace),
            Object::cluster::<ClusterRole>(&client),
            Object::cluster::<ClusterRoleBinding>(&client),
        ];
        Self { client, namespace: namespace.to_owned(), objects }
    }

    /// Makes sure that the rights outlive an uninstall. To be called at start, before anything gets a finalizer; may
    /// be called again at any time, by any agent.
    ///
    /// # Errors
    /// When the API server refuses. The agent can work without, but uninstalling would leave finalizers behind.
    pub async fn protect(&self) -> Result<(), UninstallError> {
        // First the anchor: in a namespace that is being deleted none can be made any more.
        self.anchor().await?;
        for object in &self.objects {
            object.hook().await?;
        }
        Ok(())
    }

    /// Whether all of this is being uninstalled, rather than this pod replaced.
    ///
    /// # Errors
    /// When the API server does not answer: then nobody knows.
    pub async fn under_way(&self) -> Result<bool, UninstallError> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespace = namespaces
            .get_metadata_opt(&self.namespace)
            .await
            .map_err(|source| failed("get", &format!("Namespace {}", self.namespace), source))?;
        if namespace.is_none_or(|namespace| namespace.metadata.deletion_timestamp.is_some()) {
            return Ok(true);
        }
        Ok(self.objects[0].get().await?.is_none_or(|account| account.deletion_timestamp.is_some()))
    }

    /// Whether no finalizer of ours is left on any `VirtualIP` or on its Lease: no address is up, and nothing is to be done.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn settled(&self) -> Result<bool, UninstallError> {
        let leases = self.anchors().list_metadata(&ListParams::default()).await;
        let leases = leases.map_err(|source| failed("list", "Leases", source))?;
        let virtualips: Api<VirtualIP> = Api::all(self.client.clone());
        let virtualips = match virtualips.list_metadata(&ListParams::default()).await {
            // Their definition is gone, and they with it.
            Err(error) if is_code(&error, &[404]) => Vec::new(),
            result => result.map_err(|source| failed("list", "VirtualIPs", source))?.items,
        };
        let held = |meta: &ObjectMeta| meta.finalizers.iter().flatten().any(|f| f == FINALIZER_HELD);
        Ok(!leases.iter().any(|lease| held(&lease.metadata))
            && !virtualips.iter().any(|vip| held(&vip.metadata)))
    }

    /// Tells all agents that this is an uninstall: they see the anchor being deleted.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn announce(&self) -> Result<(), UninstallError> {
        let deleted = self.anchors().delete(UNINSTALL_LEASE, &DeleteParams::default()).await;
        ignore(deleted.map(drop), &[404]).map_err(|source| failed("delete", "the anchor", source))
    }

    /// Gives the rights up. To be called when no object has a finalizer of ours any more; may be called by several
    /// agents at once, and no call to the API server succeeds afterwards.
    ///
    /// # Errors
    /// When the API server refuses; see [`UninstallError::rights_are_gone`].
    pub async fn let_go(&self) -> Result<(), UninstallError> {
        self.announce().await?;
        // A deletion in the background that comes later would undo ours in the foreground.
        if let Ok(result) = timeout(STRAGGLERS, self.until_all_deleted()).await {
            result?;
        }
        self.until_all_held().await?;
        for object in &self.objects {
            object.unhook().await?;
        }
        let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        let freed = self.anchors().patch_metadata(UNINSTALL_LEASE, &patch_params(), &free).await;
        ignore(freed.map(drop), &[404]).map_err(|source| failed("release", "the anchor", source))
    }

    async fn until_all_deleted(&self) -> Result<(), UninstallError> {
        for object in &self.objects {
            while object.get().await?.is_some_and(|meta| meta.deletion_timestamp.is_none()) {
                sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    /// Until the garbage collector keeps all five for the sake of the anchor: seen twice, since a garbage collector that had
    /// not heard of the deletion of the anchor may still have been about to change its mind.
    async fn until_all_held(&self) -> Result<(), UninstallError> {
        let mut seen = 0;
        while seen < 2 {
            let mut held = self.anchor().await?;
            for object in &self.objects {
                held &= object.hold().await?;
            }
            seen = if held { seen + 1 } else { 0 };
            sleep(PAUSE).await;
        }
        Ok(())
    }

    fn anchors(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Makes the anchor, or brings its owners up to date (one that was deleted and made again is another); true when there
    /// was nothing to do.
    async fn anchor(&self) -> Result<bool, UninstallError> {
        let mut owners = Vec::new();
        for object in &self.objects {
            owners.push(object.owner_reference().await?);
        }
        let anchors = self.anchors();
        let failed = |verb, source| failed(verb, "the anchor", source);
        let there = anchors.get_metadata_opt(UNINSTALL_LEASE).await.map_err(|e| failed("get", e))?;
        if there.as_ref().is_some_and(|there| there.metadata.owner_references.as_ref() == Some(&owners)) {
            return Ok(true);
        }
        if there.is_some() {
            let patch = Patch::Merge(json!({"metadata": {"ownerReferences": owners}}));
            let patched = anchors.patch_metadata(UNINSTALL_LEASE, &patch_params(), &patch).await;
            return patched.map(|_| false).map_err(|e| failed("update", e));
        }
        // Another agent may have been quicker.
        let made = anchors.create(&PostParams::default(), &new_anchor(owners)).await;
        ignore(made.map(drop), &[409]).map(|()| false).map_err(|e| failed("create", e))
    }
}

fn new_anchor(owners: Vec<OwnerReference>) -> Lease {
    Lease {
        metadata: ObjectMeta {
            name: Some(UNINSTALL_LEASE.to_owned()),
            finalizers: Some(vec![FINALIZER_UNINSTALL.to_owned()]),
            owner_references: Some(owners),
            ..ObjectMeta::default()
        },
        spec: None,
    }
}

fn patch_params() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

fn failed(verb: &'static str, object: &str, source: Error) -> UninstallError {
    UninstallError::Api { verb, object: object.to_owned(), source: Box::new(source) }
}

fn is_code(error: &Error, codes: &[u16]) -> bool {
    matches!(error, Error::Api(status) if codes.contains(&status.code))
}

fn ignore(result: Result<(), Error>, codes: &[u16]) -> Result<(), Error> {
    match result {
        Err(error) if is_code(&error, codes) => Ok(()),
        result => result,
    }
}
