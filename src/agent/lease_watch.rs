//! The Leases of the agents' namespace: a list of all, then two watches that go on where the list ended. One is of what
//! matters to all agents, the other of those renewals of which this node is told: with one watch of everything each renewal of each node
//! would be delivered to each node.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt, select};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use tokio::sync::Notify;
use tracing::{debug, warn};

use super::backoff::Backoff;
use super::codec::{self, CodecError, Seen};
use super::input::{Input, Inputs};
use crate::api::LeaseName;
use crate::api::names::{LABEL_RENEWAL, told};
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

/// What is watched.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// Everything but renewals: who owns what, and where epochs begin and end.
    News,
    /// The renewals of which this node is told, its own among them.
    Renewals,
}

/// Up to which version of the namespace each was heard.
struct Reached {
    news: String,
    renewals: String,
}

impl Reached {
    fn go_on(&mut self, part: Part, version: Option<String>) {
        let Some(version) = version else { return };
        match part {
            Part::News => self.news = version,
            Part::Renewals => self.renewals = version,
        }
    }
}

/// None: the watch has ended.
type Events = BoxStream<'static, (Part, Option<kube::Result<WatchEvent<Lease>>>)>;

/// Feeds the loop with every version of every Lease that matters to this node, until the loop has gone.
pub struct LeaseWatch {
    api: Api<Lease>,
    me: NodeName,
    inputs: Inputs,
    /// Told when the connection may be a dead one, so that the watch is started again.
    restart: Arc<Notify>,
    rests: Backoff,
    known: BTreeSet<String>,
    synced: bool,
}

impl LeaseWatch {
    /// A watch of `namespace` for the agent of `me`. `restart` starts it again; `back` says that the API server answers again.
    #[must_use]
    pub fn new(
        client: kube::Client,
        (namespace, me): (&str, NodeName),
        inputs: Inputs,
        restart: Arc<Notify>,
        back: Arc<Notify>,
    ) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            me,
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
        let listed = self.list().await?;
        let mut at = Reached { news: listed.clone(), renewals: listed };
        loop {
            self.watch(&mut at).await?;
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

    /// Watches both from where they are, until one of them ends, as the API server lets them now and then.
    async fn watch(&mut self, at: &mut Reached) -> Result<(), WatchError> {
        let news = self.open(Part::News, &at.news).await?;
        let renewals = self.open(Part::Renewals, &at.renewals).await?;
        self.rests.worked();
        let mut events = select(news, renewals);
        while let Some((part, Some(event))) = events.next().await {
            self.heed(part, event.map_err(WatchError::Watch)?, at)?;
        }
        debug!("the watch of leases goes on");
        Ok(())
    }

    /// Its events, and nothing when it ends.
    async fn open(&self, part: Part, from: &str) -> Result<Events, WatchError> {
        let labels = match part {
            Part::News => format!("!{LABEL_RENEWAL}"),
            Part::Renewals => told(&self.me.0),
        };
        let params = WatchParams::default().timeout(WATCH_SECONDS).labels(&labels);
        let events = self.api.watch(&params, from).await.map_err(WatchError::Watch)?;
        let ends = stream::once(async { None });
        Ok(events.map(Some).chain(ends).map(move |event| (part, event)).boxed())
    }

    fn heed(&mut self, part: Part, event: WatchEvent<Lease>, at: &mut Reached) -> Result<(), WatchError> {
        let version = match event {
            WatchEvent::Added(lease) | WatchEvent::Modified(lease) => {
                self.known.extend(lease.metadata.name.clone());
                self.tell(&lease);
                lease.metadata.resource_version
            }
            WatchEvent::Deleted(lease) => {
                self.left(part, &lease)?;
                lease.metadata.resource_version
            }
            WatchEvent::Bookmark(bookmark) => Some(bookmark.metadata.resource_version),
            WatchEvent::Error(status) => return Err(WatchError::Ended(status.message)),
        };
        at.go_on(part, version);
        Ok(())
    }

    /// A Lease is deleted, or only is not of this part any more; this is how it was before that.
    fn left(&mut self, part: Part, lease: &Lease) -> Result<(), WatchError> {
        let name = lease.metadata.name.clone().unwrap_or_default();
        match (part, LeaseName::parse(&name)) {
            // It ends, which is among the news; or this node is told no more; or somebody deleted it.
            (Part::Renewals, Some(LeaseName::Node(node))) => {
                self.inputs.send(Input::Reread(NodeName(node.into())));
            }
            // Its first renewal: it goes on. The policy lets nobody delete an open one; if it was, whoever is in line to close it
            // finds that out by trying.
            (Part::News, Some(LeaseName::Node(_))) if is_open(lease) => {}
            _ => {
                self.known.remove(&name);
                self.tell_gone(&name, codec::version(&name, &lease.metadata)?);
            }
        }
        Ok(())
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

fn is_open(lease: &Lease) -> bool {
    let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_ref());
    holder.is_some_and(|holder| !holder.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::api_fake::Fake;
    use serde_json::json;
    use tokio::sync::mpsc::UnboundedReceiver;

    fn watch() -> (LeaseWatch, UnboundedReceiver<Input>) {
        let (inputs, door) = Inputs::new();
        let (client, me) = (Fake::answering([]).client(), NodeName("n1".into()));
        (LeaseWatch::new(client, ("virtualip-system", me), inputs, Arc::default(), Arc::default()), door)
    }

    fn lease(name: &str, version: u64, holder: &str) -> Lease {
        let version = version.to_string();
        let metadata = json!({
            "name": name, "resourceVersion": version, "uid": "u",
            "annotations": {"virtualip.dev/epoch": "u/1"},
        });
        let spec = json!({"holderIdentity": holder, "leaseTransitions": 1, "leaseDurationSeconds": 3});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    /// What the loop hears of it, and up to where either part was heard then.
    fn heard(part: Part, event: WatchEvent<Lease>) -> (Option<Input>, [String; 2]) {
        let (mut watch, mut door) = watch();
        let mut at = Reached { news: "1".into(), renewals: "2".into() };
        watch.heed(part, event, &mut at).unwrap();
        (door.try_recv().ok(), [at.news, at.renewals])
    }

    #[tokio::test]
    async fn each_part_goes_on_where_it_was() {
        let (input, at) = heard(Part::News, WatchEvent::Modified(lease("node.n2", 7, "n2")));
        assert!(matches!(input, Some(Input::Own(Event::Node { version: 7, lease: Some(_), .. }))));
        assert_eq!(at, ["7", "2"]);
        let (_, at) = heard(Part::Renewals, WatchEvent::Added(lease("node.n2", 8, "n2")));
        assert_eq!(at, ["1", "8"]);
    }

    #[tokio::test]
    async fn a_lease_that_is_renewed_for_the_first_time_is_not_gone() {
        let (input, at) = heard(Part::News, WatchEvent::Deleted(lease("node.n2", 7, "n2")));
        assert!(input.is_none(), "{input:?}");
        assert_eq!(at, ["7", "2"]);
    }

    #[tokio::test]
    async fn what_is_gone_is_told_and_where_it_may_be_it_is_looked_at() {
        let (input, _) = heard(Part::News, WatchEvent::Deleted(lease("node.n2", 7, "")));
        assert!(matches!(input, Some(Input::Own(Event::Node { version: 7, lease: None, .. }))));
        let (input, _) = heard(Part::News, WatchEvent::Deleted(lease("vip.shop.web", 7, "n2")));
        assert!(matches!(input, Some(Input::Own(Event::Title { version: 7, title: None, .. }))));
        let (input, _) = heard(Part::Renewals, WatchEvent::Deleted(lease("node.n2", 7, "n2")));
        assert!(matches!(input, Some(Input::Reread(node)) if &*node.0 == "n2"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_in_trouble_is_asked_once_a_second() {
        let mut fake = Fake::answering(vec![503; 10_000]);
        let (mut watch, _door) = watch();
        watch.api = Api::namespaced(fake.client(), "virtualip-system");
        let run = watch.run();
        assert!(tokio::time::timeout(Duration::from_secs(30), run).await.is_err());
        let count = fake.arrived();
        assert!((30..=70).contains(&count), "{count} requests in 30 s");
    }
}
