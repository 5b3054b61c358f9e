//! Hearing other hosts claim addresses.

use std::collections::BTreeMap;

use tokio::{sync::mpsc, task::AbortHandle};

use crate::network::{Claim, Links, Listener, Mac};

/// Claims that wait to be looked at; more are dropped, and come again.
const ROOM: usize = 64;

/// One listener for each interface that could carry an address.
pub struct Ears {
    open: BTreeMap<(u32, Mac), AbortHandle>,
    heard: mpsc::Sender<Claim>,
}

impl Ears {
    /// Nothing is listened on yet.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Claim>) {
        let (heard, claims) = mpsc::channel(ROOM);
        (Self { open: BTreeMap::new(), heard }, claims)
    }

    /// Listens on the interfaces that are there now. Where that fails it is tried again the next time.
    pub fn follow(&mut self, links: &Links) {
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
                let task = tokio::spawn(hear(listener, self.heard.clone()));
                self.open.insert((link.index, mac), task.abort_handle());
            }
        }
    }
}

async fn hear(mut listener: Listener, heard: mpsc::Sender<Claim>) {
    while let Ok(claim) = listener.claim().await {
        if let Err(mpsc::error::TrySendError::Closed(_)) = heard.try_send(claim) {
            return;
        }
    }
}
