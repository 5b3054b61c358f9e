//! All Leases of the agents' namespace: a list, then a watch that goes on where the list ended.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use tokio::sync::Notify;
use tracing::{debug, warn};

use super::backoff::Backoff;
use super::codec::{self, CodecError, Seen};
use super::input::{Input, Inputs};
use crate::api::LeaseName;
use crate::ownership::{Event, NodeName, Version};

/// How long one watch lasts, in seconds; then the API server ends it and the next goes on.
const WATCH_SECONDS: u32 = 290;

/// The longest wait after a failure: this watch is the first to hear that the API server is back.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Why the watch was started again.
#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error("cannot list leases")]
    List(#[source] kube::Error),
    #[error("cannot watch leases")]
    Watch(#[source] kube::Error),
    #[error("the watch of leases was ended by the API server: {0}")]
    Ended(String),
    #[error("no answer to the list of leases")]
    Silent,
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// Feeds the loop with every version of every Lease, until the loop has gone.
pub struct LeaseWatch {
    api: Api<Lease>,
    inputs: Inputs,
    /// Told when the connection may be a dead one, so that the watch is started again.
    restart: Arc<Notify>,
    rests: Backoff,
    known: BTreeSet<String>,
    synced: bool,
}

impl LeaseWatch {
    /// A watch of `namespace`. `restart` starts it again; `back` says that the API server answers again.
    #[must_use]
    pub fn new(
        client: kube::Client,
        namespace: &str,
        inputs: Inputs,
        restart: Arc<Notify>,
        back: Arc<Notify>,
    ) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            inputs,
            restart,
            rests: Backoff::until(back, LONGEST_WAIT),
            known: BTreeSet::new(),
            synced: false,
        }
    }

    /// Runs for ever.
    pub async fn run(mut self) {
        let restart = self.restart.clone();
        loop {
            let attempt = self.rests.begin();
            let ended = tokio::select! {
                ended = self.once() => ended,
                () = restart.notified() => Ok(()),
            };
            if let Err(error) = ended {
                warn!(error = &error as &dyn std::error::Error, "leases are listed again");
                self.rests.failed(attempt).await;
            }
        }
    }

    async fn once(&mut self) -> Result<(), WatchError> {
        let mut version = self.list().await?;
        loop {
            version = self.watch(version).await?;
        }
    }

    async fn list(&mut self) -> Result<String, WatchError> {
        let params = ListParams::default();
        let list = self.api.list(&params);
        let list = tokio::time::timeout(Duration::from_secs(5), list)
            .await
            .map_err(|_| WatchError::Silent)?
            .map_err(WatchError::List)?;
        let text = list.metadata.resource_version.clone().unwrap_or_default();
        let unreadable =
            || CodecError::Unreadable { lease: "*".into(), field: "list version", text: text.clone() };
        let version = text.parse().map_err(|_| unreadable())?;
        let mut found = BTreeSet::new();
        for lease in &list.items {
            found.extend(lease.metadata.name.clone());
            self.tell(lease);
        }
        for gone in std::mem::replace(&mut self.known, found).difference(&self.known) {
            self.tell_gone(gone, version);
        }
        if !self.synced {
            self.synced = true;
            self.inputs.own(Event::Synced);
        }
        Ok(text)
    }

    async fn watch(&mut self, from: String) -> Result<String, WatchError> {
        let params = WatchParams::default().timeout(WATCH_SECONDS);
        let stream = self.api.watch(&params, &from).await.map_err(WatchError::Watch)?;
        self.rests.worked();
        pin_mut!(stream);
        let mut latest = from;
        while let Some(event) = stream.next().await {
            match event.map_err(WatchError::Watch)? {
                WatchEvent::Added(lease) | WatchEvent::Modified(lease) => {
                    latest = lease.metadata.resource_version.clone().unwrap_or(latest);
                    self.known.extend(lease.metadata.name.clone());
                    self.tell(&lease);
                }
                WatchEvent::Deleted(lease) => {
                    let name = lease.metadata.name.clone().unwrap_or_default();
                    latest = lease.metadata.resource_version.clone().unwrap_or(latest);
                    self.known.remove(&name);
                    self.tell_gone(&name, codec::version(&name, &lease.metadata)?);
                }
                WatchEvent::Bookmark(bookmark) => latest = bookmark.metadata.resource_version,
                WatchEvent::Error(status) => return Err(WatchError::Ended(status.message)),
            }
        }
        debug!("the watch of leases goes on");
        Ok(latest)
    }

    fn tell(&self, lease: &Lease) {
        let event = match codec::read(lease) {
            Ok(None | Some(Seen::Anchor { deleting: false })) => return,
            Ok(Some(Seen::Anchor { deleting: true })) => return self.inputs.send(Input::Uninstall),
            Ok(Some(Seen::Node(node, lease))) => {
                Event::Node { node, version: lease.version, lease: Some(lease) }
            }
            Ok(Some(Seen::Title(key, title))) => {
                Event::Title { key, version: title.version, title: Some(title) }
            }
            Err(error) => return warn!(error = &error as &dyn std::error::Error, "a lease is left alone"),
        };
        self.inputs.own(event);
    }

    fn tell_gone(&self, name: &str, version: Version) {
        match LeaseName::parse(name) {
            Some(LeaseName::Node(node)) => {
                self.inputs.own(Event::Node { node: NodeName(node.into()), version, lease: None });
            }
            Some(LeaseName::VirtualIp(key)) => self.inputs.own(Event::Title { key, version, title: None }),
            Some(LeaseName::Uninstall) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::api_fake::Fake;

    #[tokio::test(start_paused = true)]
    async fn an_api_server_in_trouble_is_asked_once_a_second() {
        let mut fake = Fake::answering(vec![503; 10_000]);
        let (inputs, _door) = Inputs::new();
        let (restart, back) = (Arc::default(), Arc::default());
        let watch = LeaseWatch::new(fake.client(), "virtualip-system", inputs, restart, back);
        let run = watch.run();
        assert!(tokio::time::timeout(Duration::from_secs(30), run).await.is_err());
        let count = fake.arrived();
        assert!((30..=70).contains(&count), "{count} requests in 30 s");
    }
}
