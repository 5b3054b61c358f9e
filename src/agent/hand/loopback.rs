//! Addresses on the loopback interface, of nodes that do not own them (direct routing).
//!
//! They need no right, since nobody is answered for them: that holds while the kernel's settings say so, which is looked at
//! again and again, and the kernel removes them soon if nobody does.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use tokio::time::Instant;
use tracing::{info, warn};

use super::super::input::Input;
use super::Hand;
use crate::network::{AddressError, Setup, Spot};

/// How long the kernel keeps them without us, in whole seconds.
const LIFETIME: u32 = 30;

/// How often the settings are looked at, and that time begins anew.
const REVIEW: Duration = Duration::from_secs(4);

/// What is wanted there.
#[derive(Debug, Default)]
pub(super) struct Loopback {
    wanted: BTreeSet<IpAddr>,
    review: Option<Instant>,
}

impl Loopback {
    /// When to look again.
    pub const fn review(&self) -> Option<Instant> {
        self.review
    }
}

impl Hand {
    pub(super) async fn loopback(&mut self, wanted: BTreeSet<IpAddr>) {
        self.loopback.wanted = wanted;
        self.apply_loopback().await;
    }

    /// Settings change without a word.
    pub(super) async fn review_loopback(&mut self) {
        if let Ok(links) = self.kernel.links().await {
            self.links = links.clone();
            self.inputs.send(Input::Links(links));
        }
        self.apply_loopback().await;
    }

    async fn apply_loopback(&mut self) {
        self.loopback.review = (!self.loopback.wanted.is_empty()).then(|| Instant::now() + REVIEW);
        let Some(link) = self.links.iter().find(|link| link.loopback).map(|link| link.index) else { return };
        let refused = self.links.loopback_refused().is_some();
        let allowed = |ip: &&IpAddr| ip.is_ipv6() || !refused;
        let wanted: BTreeSet<IpNet> =
            self.loopback.wanted.iter().filter(allowed).map(|ip| IpNet::from(*ip)).collect();
        let present = match self.kernel.marked().await {
            Ok(marked) => marked,
            Err(error) => return warn!(error = &error as &dyn std::error::Error, "cannot look at loopback"),
        };
        let ours = present.iter().filter(|there| there.link == link && there.is_agents());
        let present: BTreeSet<IpNet> = ours.map(|there| there.address).collect();
        let surplus: Vec<(u32, IpNet)> = present.difference(&wanted).map(|net| (link, *net)).collect();
        let spots: Vec<Spot> =
            wanted.iter().map(|net| Spot { link, net: *net, setup: Setup::permanent() }).collect();
        if wanted != present {
            info!(addresses = wanted.len(), "addresses of other nodes on the loopback interface");
        }
        if let Err(error) = self.kernel.remove_all(&surplus).await {
            warn!(error = &error as &dyn std::error::Error, "addresses stay on the loopback interface");
        }
        match self.kernel.add_all(&spots, LIFETIME).await {
            Ok(outcomes) => {
                // What an administrator has put there himself is as good.
                let failed = outcomes.into_iter().filter_map(Result::err);
                for error in failed.filter(|error| !matches!(error, AddressError::Foreign { .. })) {
                    warn!(error = &error as &dyn std::error::Error, "not on the loopback interface");
                }
            }
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "nothing on the loopback interface");
            }
        }
    }
}
