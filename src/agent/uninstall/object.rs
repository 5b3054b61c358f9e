//! One of the objects that the agents' rights consist of, and its finalizers.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{
    Api, Client, Error, Resource,
    api::{DeleteParams, DynamicObject, Patch, Preconditions},
    discovery::ApiResource,
};
use serde_json::json;

use super::{UninstallError, failed, ignore, is_code, patch_params};
use crate::api::names::{FINALIZER_UNINSTALL, SERVICE_ACCOUNT};

/// The finalizer by which the garbage collector keeps an object until what it owns is gone.
const FOREGROUND: &str = "foregroundDeletion";

/// One of the objects that the agents' rights consist of. They all have one name.
#[derive(Clone)]
pub(super) struct Object {
    api: Api<DynamicObject>,
    resource: ApiResource,
}

/// What is next for an object on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Delete it in the foreground, so that the garbage collector keeps it.
    Delete,
    /// Take our finalizer off.
    Unhook,
    /// Nothing.
    Done,
}

impl Object {
    pub(super) fn namespaced<K: Resource<DynamicType = ()>>(client: &Client, namespace: &str) -> Self {
        let resource = ApiResource::erase::<K>(&());
        Self { api: Api::namespaced_with(client.clone(), namespace, &resource), resource }
    }

    pub(super) fn cluster<K: Resource<DynamicType = ()>>(client: &Client) -> Self {
        let resource = ApiResource::erase::<K>(&());
        Self { api: Api::all_with(client.clone(), &resource), resource }
    }

    fn failed(&self, verb: &'static str, source: Error) -> UninstallError {
        failed(verb, &format!("{} {SERVICE_ACCOUNT}", self.resource.kind), source)
    }

    pub(super) async fn get(&self) -> Result<Option<ObjectMeta>, UninstallError> {
        let object = self.api.get_metadata_opt(SERVICE_ACCOUNT).await;
        object.map(|object| object.map(|object| object.metadata)).map_err(|source| self.failed("get", source))
    }

    pub(super) async fn owner_reference(&self) -> Result<OwnerReference, UninstallError> {
        let missing =
            || UninstallError::Missing { object: format!("{} {SERVICE_ACCOUNT}", self.resource.kind) };
        let uid = self.get().await?.and_then(|meta| meta.uid).ok_or_else(missing)?;
        Ok(OwnerReference {
            api_version: self.resource.api_version.clone(),
            kind: self.resource.kind.clone(),
            name: SERVICE_ACCOUNT.to_owned(),
            uid,
            block_owner_deletion: Some(true),
            controller: None,
        })
    }

    /// Puts our finalizer on, unless it is there or too late.
    pub(super) async fn hook(&self) -> Result<(), UninstallError> {
        while let Some(meta) = self.get().await? {
            let mut finalizers = meta.finalizers.clone().unwrap_or_default();
            if meta.deletion_timestamp.is_some() || finalizers.iter().any(|f| f == FINALIZER_UNINSTALL) {
                break;
            }
            finalizers.push(FINALIZER_UNINSTALL.to_owned());
            if self.write_finalizers(&meta, &finalizers).await? {
                break;
            }
        }
        Ok(())
    }

    /// Has the garbage collector keep the object; true when there was nothing to do.
    pub(super) async fn hold(&self) -> Result<bool, UninstallError> {
        match self.get().await? {
            Some(meta) if next(&meta) == Step::Delete => {
                self.delete_in_foreground(&meta).await.map(|()| false)
            }
            _ => Ok(true),
        }
    }

    /// Takes our finalizer off an object that the garbage collector keeps.
    pub(super) async fn unhook(&self) -> Result<(), UninstallError> {
        while let Some(meta) = self.get().await? {
            match next(&meta) {
                Step::Done => break,
                Step::Delete => self.delete_in_foreground(&meta).await?,
                Step::Unhook => {
                    let mut finalizers = meta.finalizers.clone().unwrap_or_default();
                    finalizers.retain(|finalizer| finalizer != FINALIZER_UNINSTALL);
                    self.write_finalizers(&meta, &finalizers).await?;
                }
            }
        }
        Ok(())
    }

    async fn delete_in_foreground(&self, meta: &ObjectMeta) -> Result<(), UninstallError> {
        let this = Preconditions { uid: meta.uid.clone(), resource_version: None };
        let deleted = self.api.delete(SERVICE_ACCOUNT, &DeleteParams::foreground().preconditions(this)).await;
        ignore(deleted.map(drop), &[404, 409]).map_err(|source| self.failed("delete", source))
    }

    /// Writes the finalizers at the version that was looked at; false when somebody else wrote in between.
    async fn write_finalizers(&self, meta: &ObjectMeta, list: &[String]) -> Result<bool, UninstallError> {
        let patch = json!({"metadata": {"resourceVersion": meta.resource_version, "finalizers": list}});
        let written = self
            .api
            .patch_metadata(SERVICE_ACCOUNT, &patch_params(), &Patch::Merge(patch))
            .await
            .map(|_| true);
        match written {
            Err(source) if is_code(&source, &[404, 409]) => Ok(false),
            result => result.map_err(|source| self.failed("write the finalizers of", source)),
        }
    }
}

/// What to do next with an object that is let go.
fn next(meta: &ObjectMeta) -> Step {
    let has = |finalizer| meta.finalizers.iter().flatten().any(|f| f == finalizer);
    match (has(FINALIZER_UNINSTALL), has(FOREGROUND)) {
        (false, _) => Step::Done,
        (true, false) => Step::Delete,
        (true, true) => Step::Unhook,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(finalizers: &[&str]) -> ObjectMeta {
        let finalizers = finalizers.iter().map(ToString::to_string).collect();
        ObjectMeta { finalizers: Some(finalizers), ..ObjectMeta::default() }
    }

    #[test]
    fn our_finalizer_comes_off_only_when_the_garbage_collector_keeps_the_object() {
        assert_eq!(next(&with(&[FINALIZER_UNINSTALL])), Step::Delete);
        assert_eq!(next(&with(&[FINALIZER_UNINSTALL, FOREGROUND])), Step::Unhook);
        assert_eq!(next(&with(&[FOREGROUND])), Step::Done);
        assert_eq!(next(&ObjectMeta::default()), Step::Done, "never protected");
    }
}
