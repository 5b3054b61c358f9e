//! Follows the Secret, and writes it when that is due. Tells the loop which keys count.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};
use kube::runtime::watcher;
use tokio::sync::Notify;
use tracing::{debug, info, warn};

use super::slots::Slots;
use super::store::{Seen, Spans, Store, Write};
use crate::agent::input::{Input, Inputs};
use crate::agent::watches::{WATCH_SECONDS, paced};
use crate::api::names::{KEY_SECRET, KEY_SECRET_TYPE, LABEL_NAME};
use crate::mesh::{Key, KeyRing};

/// How long a write may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Where the Secret is.
pub struct Place {
    /// A client for it.
    pub client: kube::Client,
    /// The namespace of the agents.
    pub namespace: String,
    /// Says that the API server answers again.
    pub back: Arc<Notify>,
}

/// Follows the Secret for ever.
pub async fn follow(place: Place, spans: Spans, inputs: Inputs) {
    let api: Api<Secret> = Api::namespaced(place.client, &place.namespace);
    let config =
        watcher::Config::default().fields(&format!("metadata.name={KEY_SECRET}")).timeout(WATCH_SECONDS);
    let mut events = paced(watcher(api.clone(), config).boxed(), &place.back);
    let mut store = Store::new(spans, Instant::now());
    let (mut told, mut listed) = (KeyRing::default(), None);
    loop {
        let wake = store.wakes().unwrap_or_else(|| Instant::now() + Duration::from_mins(1));
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) => note(&mut store, &mut listed, event),
                Some(Err(error)) => warn!(error = &error as &dyn std::error::Error, "the Secret of the peers' keys cannot be followed"),
                None => return,
            },
            () = tokio::time::sleep_until(wake.into()) => {}
        }
        if let Some(write) = store.due(Instant::now(), || Key::random().ok()) {
            put(&api, write).await;
        }
        let ring = store.ring(Instant::now());
        if ring != told {
            debug!(signing = ?ring.signing(), accepted = ring.accepted().len(), "other keys count");
            told = ring.clone();
            inputs.send(Input::Keys(ring));
        }
    }
}

/// `listed`: what the list under way has found.
fn note(store: &mut Store, listed: &mut Option<Seen>, event: watcher::Event<Secret>) {
    let seen = match event {
        watcher::Event::Init => {
            *listed = None;
            return;
        }
        watcher::Event::InitApply(secret) => {
            *listed = Some(read(&secret));
            return;
        }
        watcher::Event::InitDone => listed.take().unwrap_or(Seen::Absent),
        watcher::Event::Apply(secret) => read(&secret),
        watcher::Event::Delete(_) => Seen::Absent,
    };
    store.observe(seen, Instant::now());
}

fn read(secret: &Secret) -> Seen {
    let version = secret.metadata.resource_version.clone().unwrap_or_default();
    match Slots::read(secret.data.as_ref().unwrap_or(&std::collections::BTreeMap::new())) {
        Ok(slots) => Seen::Keys(version, slots),
        Err(error) => {
            warn!(error = &error as &dyn std::error::Error, "the Secret {KEY_SECRET} is written anew");
            Seen::Broken(version)
        }
    }
}

/// Whoever is second meets a conflict, and hears of the other's keys.
async fn put(api: &Api<Secret>, write: Write) {
    let params = PostParams::default();
    let expect = write.expect.clone();
    let secret = object(write);
    let call = async {
        match expect {
            None => api.create(&params, &secret).await,
            Some(_) => api.replace(KEY_SECRET, &params, &secret).await,
        }
    };
    match tokio::time::timeout(LIMIT, call).await {
        Ok(Ok(_)) => info!("the peers' keys were changed"),
        Ok(Err(kube::Error::Api(status))) if status.code == 409 || status.code == 404 => {}
        Ok(Err(error)) => {
            warn!(error = &error as &dyn std::error::Error, "the Secret {KEY_SECRET} cannot be written");
        }
        Err(_) => warn!("no answer to a write of the Secret {KEY_SECRET}"),
    }
}

fn object(write: Write) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(KEY_SECRET.to_owned()),
            resource_version: write.expect,
            labels: Some([(LABEL_NAME.to_owned(), "virtualip".to_owned())].into()),
            ..ObjectMeta::default()
        },
        type_: Some(KEY_SECRET_TYPE.to_owned()),
        data: Some(write.slots.data()),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_without_the_secret_says_that_there_is_none() {
        let key = |byte| Key::new(&[byte; 32]).unwrap();
        let slots = Slots { previous: None, current: key(1), next: key(2) };
        let secret = object(Write { expect: Some("7".into()), slots: slots.clone() });
        let spans = Spans { period: Duration::from_hours(1), jitter: Duration::ZERO };
        let (mut store, mut listed) = (Store::new(spans, Instant::now()), None);
        note(&mut store, &mut listed, watcher::Event::Init);
        note(&mut store, &mut listed, watcher::Event::InitApply(secret.clone()));
        note(&mut store, &mut listed, watcher::Event::InitDone);
        assert_eq!(read(&secret), Seen::Keys("7".into(), slots));
        assert_eq!(store.ring(Instant::now()).signing(), Some(&key(1)));
        note(&mut store, &mut listed, watcher::Event::Init);
        note(&mut store, &mut listed, watcher::Event::InitDone);
        let write = store.due(Instant::now(), || Some(key(9))).unwrap();
        assert_eq!((write.expect, write.slots.previous), (None, Some(key(1))));
    }
}
