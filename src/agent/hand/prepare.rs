//! Interfaces that were down and without an address: set up while a `VirtualIP` may need them, and left as found.

use std::collections::BTreeSet;

use tokio::time::Instant;
use tracing::{info, warn};

use super::Hand;
use crate::network::Link;

impl Hand {
    /// Has exactly these set up. One that somebody else has given an address to meanwhile is his.
    pub(super) async fn prepare(&mut self, wanted: &BTreeSet<u32>) {
        let idle = |link: &Link| link.prepared && link.is_bare() && !self.carries(link.index);
        let (mut up, mut down) = (Vec::new(), Vec::new());
        for link in self.links.iter() {
            if wanted.contains(&link.index) && !link.up {
                up.push(link.clone());
            } else if !wanted.contains(&link.index) && idle(link) {
                down.push(link.clone());
            }
        }
        for link in up {
            match self.kernel.prepare(link.index).await {
                Ok(()) => info!(link = link.name, "an interface without an address was set up"),
                Err(error) => warn!(error = &error as &dyn std::error::Error, "not set up"),
            }
        }
        for link in down {
            self.leave_link(&link).await;
        }
    }

    fn carries(&self, link: u32) -> bool {
        self.up.values().flat_map(|up| up.values()).any(|up| up.spot.link == link)
    }

    async fn leave_link(&self, link: &Link) {
        match self.kernel.leave_as_found(link.index).await {
            Ok(()) => info!(link = link.name, "the interface is down again, as it was found"),
            Err(error) => warn!(error = &error as &dyn std::error::Error, "not left as found"),
        }
    }

    /// The loop has ended: what is left over from it is put away.
    pub(super) async fn leave(mut self) {
        self.loopback(BTreeSet::new()).await;
        self.ready.values_mut().for_each(|(_, until)| *until = Instant::now());
        self.put_away().await;
        if let Ok(links) = self.kernel.links().await {
            self.links = links;
        }
        self.prepare(&BTreeSet::new()).await;
    }
}
