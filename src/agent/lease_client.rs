//! The API calls of the protocol: each one a single request with a timeout, never retried by a library.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::api::{Api, DeleteParams, ListParams, PostParams, Preconditions};

use super::codec::{self, CodecError, Seen};
use crate::api::{LeaseName, VipKey};
use crate::ownership::{Answer, Expect, NodeLease, NodeName, NodeWrite, Title, TitleWrite, Version, Why};

/// Why a call to the API server did not answer the question.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The API server refused, or could not be reached.
    #[error("cannot {verb} lease {lease}")]
    Api {
        /// What was tried.
        verb: &'static str,
        /// Which Lease.
        lease: String,
        /// What went wrong.
        source: Box<kube::Error>,
    },
    /// No answer in time.
    #[error("no answer within {limit:?} to {verb} lease {lease}")]
    Timeout {
        /// What was tried.
        verb: &'static str,
        /// Which Lease.
        lease: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The answer is not as the agents write it.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// What an object was, and at which version; `None`: it did not exist then.
pub type At<T> = (Version, Option<T>);

/// Reads and writes Leases in the agents' namespace.
#[derive(Clone)]
pub struct LeaseClient {
    api: Api<Lease>,
    /// What vip Leases state as duration, that of a node which owns; and the limit of a call.
    duration: Duration,
}

impl LeaseClient {
    /// A client for Leases of this duration, after which its calls give up: no answer can give a right then.
    #[must_use]
    pub fn new(client: kube::Client, namespace: &str, duration: Duration) -> Self {
        Self { api: Api::namespaced(client, namespace), duration }
    }

    /// Writes a node Lease by compare-and-swap. The error, if there is one, belongs in the log.
    pub async fn write_node(&self, write: &NodeWrite) -> (Answer<NodeLease>, Option<LeaseError>) {
        let lease = codec::node_object(write);
        judge(self.put(lease, write.expect).await, |seen| match seen {
            Some(Seen::Node(_, lease)) => Some((lease.version, Some(lease))),
            _ => None,
        })
    }

    /// Writes a vip Lease by compare-and-swap, or removes it.
    pub async fn write_title(&self, write: &TitleWrite) -> (Answer<Title>, Option<LeaseError>) {
        if write.why == Why::Retire {
            return self.retire(write).await;
        }
        let lease = codec::title_object(write, self.duration);
        judge(self.put(lease, write.expect).await, |seen| match seen {
            Some(Seen::Title(_, title)) => Some((title.version, Some(title))),
            _ => None,
        })
    }

    /// Takes off the finalizer by compare-and-swap, deletes, and reads as of when it is gone.
    async fn retire(&self, write: &TitleWrite) -> (Answer<Title>, Option<LeaseError>) {
        let lease = codec::title_object(write, self.duration);
        let name = write.key.lease_name();
        let written = match self.put(lease, write.expect).await {
            Ok(written) => written,
            Err(error) => return judge(Err(error), |_| None),
        };
        let precondition = Preconditions {
            resource_version: written.metadata.resource_version.clone(),
            uid: written.metadata.uid,
        };
        let params = DeleteParams::default().preconditions(precondition);
        match self.call("delete", &name, self.api.delete(&name, &params)).await {
            Err(error) if !is_not_found(&error) => return (Answer::Unknown, Some(error)),
            _ => {}
        }
        match self.read_title(&write.key).await {
            Ok((version, title)) => (Answer::Written(version, title), None),
            Err(error) => (Answer::Unknown, Some(error)),
        }
    }

    /// Reads a node Lease, linearizably.
    ///
    /// # Errors
    /// When the API server does not answer in time, or with something unreadable.
    pub async fn read_node(&self, node: &NodeName) -> Result<At<NodeLease>, LeaseError> {
        let (version, lease) = self.read(LeaseName::node(&*node.0).to_string()).await?;
        Ok(match lease {
            Some(Seen::Node(_, lease)) => (lease.version, Some(lease)),
            _ => (version, None),
        })
    }

    /// Reads a vip Lease, linearizably.
    ///
    /// # Errors
    /// As [`LeaseClient::read_node`].
    pub async fn read_title(&self, key: &VipKey) -> Result<At<Title>, LeaseError> {
        let (version, lease) = self.read(key.lease_name()).await?;
        Ok(match lease {
            Some(Seen::Title(_, title)) => (title.version, Some(title)),
            _ => (version, None),
        })
    }

    /// Which of `addresses` other `VirtualIP`s list, as of a linearizable read sent now.
    ///
    /// # Errors
    /// As [`LeaseClient::read_node`].
    pub async fn taken(
        &self,
        key: &VipKey,
        addresses: &BTreeSet<IpAddr>,
    ) -> Result<BTreeSet<IpAddr>, LeaseError> {
        let list = self.call("list", "*", self.api.list(&ListParams::default())).await?;
        let mut taken = BTreeSet::new();
        for lease in &list.items {
            if let Some(Seen::Title(other, title)) = codec::read(lease)?
                && other != *key
            {
                let listed = &title.content.granted | &title.content.wanted;
                taken.extend(addresses & &listed);
            }
        }
        Ok(taken)
    }

    /// By a list of one, because only a list says as of which version something did not exist.
    async fn read(&self, name: String) -> Result<(Version, Option<Seen>), LeaseError> {
        let params = ListParams::default().fields(&format!("metadata.name={name}"));
        let list = self.call("read", &name, self.api.list(&params)).await?;
        let text = list.metadata.resource_version.unwrap_or_default();
        let unreadable = CodecError::Unreadable { lease: name, field: "list version", text: text.clone() };
        let version = text.parse().map_err(|_| unreadable)?;
        let seen = list.items.first().map(codec::read).transpose()?.flatten();
        Ok((version, seen))
    }

    async fn put(&self, mut lease: Lease, expect: Expect) -> Result<Lease, LeaseError> {
        // An empty entry has the API server forget who set which field: nobody merges these objects, and working that out
        // is a good part of what a write costs it.
        lease.metadata.managed_fields = Some(vec![ManagedFieldsEntry::default()]);
        let name = lease.metadata.name.clone().unwrap_or_default();
        let params = PostParams::default();
        match expect {
            Expect::Absent => self.call("create", &name, self.api.create(&params, &lease)).await,
            Expect::At(_) => self.call("update", &name, self.api.replace(&name, &params, &lease)).await,
        }
    }

    async fn call<T>(
        &self,
        verb: &'static str,
        lease: &str,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, LeaseError> {
        match tokio::time::timeout(self.duration, call).await {
            Ok(answer) => answer.map_err(|source| LeaseError::Api {
                verb,
                lease: lease.to_owned(),
                source: Box::new(source),
            }),
            Err(_) => Err(LeaseError::Timeout { verb, lease: lease.to_owned(), limit: self.duration }),
        }
    }
}

/// Only a conflict, or the object's absence, proves that a write can never take effect.
fn judge<T>(
    outcome: Result<Lease, LeaseError>,
    pick: impl Fn(Option<Seen>) -> Option<(Version, Option<T>)>,
) -> (Answer<T>, Option<LeaseError>) {
    match outcome.and_then(|lease| Ok(codec::read(&lease)?)) {
        Ok(seen) => match pick(seen) {
            Some((version, object)) => (Answer::Written(version, object), None),
            None => (Answer::Unknown, None),
        },
        Err(error) if is_conflict(&error) => (Answer::Conflict, None),
        Err(error) if is_not_found(&error) => (Answer::Conflict, None),
        Err(error) => (Answer::Unknown, Some(error)),
    }
}

fn is_conflict(error: &LeaseError) -> bool {
    code(error) == Some(409)
}

fn is_not_found(error: &LeaseError) -> bool {
    code(error) == Some(404)
}

fn code(error: &LeaseError) -> Option<u16> {
    match error {
        LeaseError::Api { source, .. } => match source.as_ref() {
            kube::Error::Api(status) => Some(status.code),
            _ => None,
        },
        LeaseError::Timeout { .. } | LeaseError::Codec(_) => None,
    }
}
