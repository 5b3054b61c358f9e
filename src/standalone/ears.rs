//! Hearing other hosts claim addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};

use crate::network::{Claim, Links, Listener, Mac};

/// Claims that wait to be looked at; more are dropped, and come again.
const ROOM: usize = 64;

/// One listener for each interface that could carry an address.
pub struct Ears {
    open: BTreeMap<(u32, Mac), AbortHandle>,
    heard: mpsc::Sender<Claim>,
    /// The addresses whose claims matter.
    heeded: watch::Sender<BTreeSet<IpAddr>>,
}

impl Ears {
    /// Nothing is listened on yet.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Claim>) {
        let (heard, claims) = mpsc::channel(ROOM);
        (Self { open: BTreeMap::new(), heard, heeded: watch::Sender::default() }, claims)
    }

    /// Listens on the interfaces that are there now for claims of the addresses that are `up`. Where that fails it is tried again the next time.
    pub fn follow(&mut self, links: &Links, up: BTreeSet<IpAddr>) {
        self.heeded.send_if_modified(|heeded| {
            *heeded != up && {
                *heeded = up;
                true
            }
        });
        let fit = |index: u32, mac: Mac| links.by_index(index).is_some_and(|link| link.mac == Some(mac));
        self.open.retain(|(index, mac), task| {
            let keep = fit(*index, *mac) && !task.is_finished();
            if !keep {
                task.abort();
            }
            keep
        });
        for link in links.iter().filter(|link| link.fit().is_ok()) {
            let Some(mac) = link.mac else { continue };
            if self.open.contains_key(&(link.index, mac)) {
                continue;
            }
            if let Ok(listener) = Listener::open(link, links.iter().filter_map(|link| link.mac)) {
                let task = tokio::spawn(hear(listener, self.heard.clone(), self.heeded.subscribe()));
                self.open.insert((link.index, mac), task.abort_handle());
            }
        }
    }
}

async fn hear(
    mut listener: Listener,
    heard: mpsc::Sender<Claim>,
    mut heeded: watch::Receiver<BTreeSet<IpAddr>>,
) {
    loop {
        let addresses = heeded.borrow_and_update().clone();
        if listener.heed(&addresses).is_err() {
            return;
        }
        tokio::select! {
            claim = listener.claim() => {
                let Ok(claim) = claim else { return };
                if let Err(mpsc::error::TrySendError::Closed(_)) = heard.try_send(claim) {
                    return;
                }
            }
            changed = heeded.changed() => if changed.is_err() { return },
        }
    }
}
