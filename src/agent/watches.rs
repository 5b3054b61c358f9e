//! The objects that say what should be: `VirtualIP`s, `VirtualIPNode`s and Nodes.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::core::v1::NodeStatus;
use kube::api::Api;
use kube::runtime::reflector::{self, ObjectRef, Store, store};
use kube::runtime::{WatchStreamExt, watcher};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tracing::warn;

use super::backoff::Backoff;
use super::input::{Input, Inputs};
use crate::api::{VirtualIP, VirtualIPNode};

/// How long one watch lasts, in seconds: shorter than the clients' read timeout, so that a dead connection shows.
pub const WATCH_SECONDS: u32 = 50;

/// The longest wait after a failure. It ends when the watch of Leases, which waits less, finds the API server back.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What the API server last said.
#[derive(Clone)]
pub struct Objects {
    /// All `VirtualIP`s.
    pub vips: Store<VirtualIP>,
    /// All `VirtualIPNode`s.
    pub vipnodes: Store<VirtualIPNode>,
    /// All Nodes; only their labels and addresses are kept.
    pub nodes: Store<Node>,
}

impl Objects {
    /// Begins to watch; each change is told to the loop. `restart` starts all watches again; `back` says that
    /// the API server answers again.
    #[must_use]
    pub fn watch(client: &kube::Client, inputs: &Inputs, restart: &Arc<Notify>, back: &Arc<Notify>) -> Self {
        let config = || watcher::Config::default().timeout(WATCH_SECONDS);
        let vips = Api::<VirtualIP>::all(client.clone());
        let vipnodes = Api::<VirtualIPNode>::all(client.clone());
        let nodes = Api::<Node>::all(client.clone());
        Self {
            vips: follow(
                "virtualips",
                move || watcher(vips.clone(), config()).modify(lighten).boxed(),
                inputs,
                restart,
                back,
            ),
            vipnodes: follow(
                "virtualipnodes",
                move || watcher(vipnodes.clone(), config()).modify(lighten).boxed(),
                inputs,
                restart,
                back,
            ),
            nodes: follow(
                "nodes",
                move || watcher(nodes.clone(), config()).modify(trim).boxed(),
                inputs,
                restart,
                back,
            ),
        }
    }

    /// Before anything was listed.
    #[cfg(test)]
    #[must_use]
    pub fn nothing() -> Self {
        Self { vips: store().0, vipnodes: store().0, nodes: store().0 }
    }

    /// Returns when all of them were listed once.
    pub async fn ready(&self) {
        // An error says that the watch has ended, as everything does then.
        let _ = tokio::join!(
            self.vips.wait_until_ready(),
            self.vipnodes.wait_until_ready(),
            self.nodes.wait_until_ready()
        );
    }
}

/// Takes off who wrote which field, which is the larger part of a small object; there may be thousands.
fn lighten(object: &mut impl kube::Resource) {
    object.meta_mut().managed_fields = None;
}

/// Takes off what makes a Node large: images, conditions, volumes.
fn trim(node: &mut Node) {
    node.spec = None;
    lighten(node);
    node.metadata.annotations = None;
    let addresses = node.status.take().and_then(|status| status.addresses);
    node.status = Some(NodeStatus { addresses, ..NodeStatus::default() });
}

/// What a watcher tells.
pub type Events<K> = futures::stream::BoxStream<'static, watcher::Result<watcher::Event<K>>>;

/// Events that come no sooner after a failure than they should, and at once when the API server is `back`.
pub fn paced<K: Send + 'static>(events: Events<K>, back: &Arc<Notify>) -> Events<K> {
    let rests = Backoff::until(back.clone(), LONGEST_WAIT);
    let paced = events.then(move |event| {
        let rests = rests.clone();
        async move {
            match &event {
                Err(_) => rests.failed(rests.begin()).await,
                // It is said before anything was asked.
                Ok(watcher::Event::Init) => {}
                Ok(_) => rests.worked(),
            }
            event
        }
    });
    paced.boxed()
}

fn follow<K>(
    what: &'static str,
    begin: impl Fn() -> Events<K> + Send + 'static,
    inputs: &Inputs,
    restart: &Arc<Notify>,
    back: &Arc<Notify>,
) -> Store<K>
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + PartialEq + Send + Sync + 'static,
    K::DynamicType: Eq + Hash + Clone + Default + Send + Sync,
{
    let (reader, mut writer): (Store<K>, reflector::store::Writer<K>) = store();
    let (inputs, restart, back) = (inputs.clone(), restart.clone(), back.clone());
    let known = reader.clone();
    tokio::spawn(async move {
        loop {
            let mut events = paced(begin(), &back);
            loop {
                let event = tokio::select! {
                    event = events.next() => event,
                    () = restart.notified() => break,
                };
                match event {
                    None => break,
                    Some(Err(error)) => {
                        warn!(what, error = &error as &dyn std::error::Error, "the watch begins again");
                    }
                    Some(Ok(event)) => {
                        let news = is_news(&known, &event);
                        writer.apply_watcher_event(&event);
                        if news {
                            inputs.send(Input::Objects);
                        }
                    }
                }
            }
        }
    });
    reader
}

/// Whether something is to be thought about again. Of each node the kubelet says every few seconds that it lives, which is a
/// new version of an object with nothing new in it.
fn is_news<K>(known: &Store<K>, event: &watcher::Event<K>) -> bool
where
    K: kube::Resource + Clone + PartialEq,
    K::DynamicType: Eq + Hash + Clone + Default,
{
    match event {
        watcher::Event::Init | watcher::Event::InitApply(_) => false,
        watcher::Event::InitDone | watcher::Event::Delete(_) => true,
        watcher::Event::Apply(object) => known.get(&ObjectRef::from_obj(object)).is_none_or(|known| {
            let mut before = K::clone(&known);
            before.meta_mut().resource_version.clone_from(&object.meta().resource_version);
            before != *object
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::ResourceExt;

    fn node(version: &str) -> Node {
        let mut node = Node::default();
        node.metadata.name = Some("n1".to_owned());
        node.metadata.resource_version = Some(version.to_owned());
        node
    }

    #[test]
    fn a_new_version_of_the_same_is_no_news() {
        let (known, mut writer) = store();
        let first = watcher::Event::Apply(node("1"));
        assert!(is_news(&known, &first), "a node that nobody knew");
        writer.apply_watcher_event(&first);
        assert!(!is_news(&known, &watcher::Event::Apply(node("2"))));
        let mut labelled = node("3");
        labelled.labels_mut().insert("zone".to_owned(), "a".to_owned());
        assert!(is_news(&known, &watcher::Event::Apply(labelled)));
        assert!(is_news(&known, &watcher::Event::Delete(node("4"))));
    }
}
