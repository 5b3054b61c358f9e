//! What the agent hears from its node: the kernel's changes, claims of other hosts, signals.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use futures::StreamExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{debug, error, warn};

use super::input::{Input, Inputs};
use super::uninstall::{self, Rights};
use crate::network::{Change, Kernel, Link, Links, Listener, Mac, Monitor};

/// Follows links and addresses, and listens on every interface that could carry an address.
///
/// Only claims of addresses that are `answering` here are told: a segment is full of others.
pub async fn follow_kernel(
    mut monitor: Monitor,
    kernel: Kernel,
    inputs: Inputs,
    answering: watch::Receiver<BTreeSet<IpAddr>>,
) {
    let mut ears = Ears { inputs: inputs.clone(), answering, open: BTreeMap::new() };
    if let Ok(links) = kernel.links().await {
        ears.listen(&links);
    }
    while let Some(change) = monitor.next().await {
        match change {
            Change::AddressGone { link, address, marked: true } => inputs.send(Input::Gone { link, address }),
            Change::AddressUsable { link, address } => inputs.send(Input::Usable { link, address }),
            Change::AddressSeen { marked: true, .. } => {}
            Change::FilterGone => inputs.send(Input::FilterGone),
            Change::Links | Change::AddressSeen { .. } | Change::AddressGone { .. } => {
                look(&kernel, &inputs, &mut ears).await;
            }
            Change::Resync => {
                warn!("the kernel said more than was heard: everything is compared");
                look(&kernel, &inputs, &mut ears).await;
                inputs.send(Input::Compare);
            }
        }
    }
    // Half deaf is worse than dead: the kubelet starts the agent again.
    error!("the kernel's changes cannot be heard any more");
    inputs.send(Input::Terminate);
}

async fn look(kernel: &Kernel, inputs: &Inputs, ears: &mut Ears) {
    match kernel.links().await {
        Ok(links) => {
            ears.listen(&links);
            inputs.send(Input::Links(links));
        }
        Err(error) => warn!(error = &error as &dyn std::error::Error, "cannot list interfaces"),
    }
}

/// One listener for each interface.
struct Ears {
    inputs: Inputs,
    answering: watch::Receiver<BTreeSet<IpAddr>>,
    open: BTreeMap<(u32, Mac), JoinHandle<()>>,
}

impl Ears {
    fn listen(&mut self, links: &Links) {
        let own: Vec<Mac> = links.iter().filter_map(|link| link.mac).collect();
        let wanted: BTreeMap<(u32, Mac), &Link> = links
            .iter()
            .filter(|link| link.up && !link.loopback && !link.no_arp && !link.port)
            .filter_map(|link| Some(((link.index, link.mac?), link)))
            .collect();
        self.open.retain(|ear, task| {
            let keep = wanted.contains_key(ear) && !task.is_finished();
            if !keep {
                task.abort();
            }
            keep
        });
        for (ear, link) in wanted {
            if let std::collections::btree_map::Entry::Vacant(free) = self.open.entry(ear) {
                match Listener::open(link, own.iter().copied()) {
                    Ok(listener) => {
                        free.insert(tokio::spawn(hear(
                            listener,
                            self.inputs.clone(),
                            self.answering.clone(),
                        )));
                    }
                    Err(error) => {
                        debug!(link = link.name, error = &error as &dyn std::error::Error, "cannot listen");
                    }
                }
            }
        }
    }
}

async fn hear(mut listener: Listener, inputs: Inputs, mut answering: watch::Receiver<BTreeSet<IpAddr>>) {
    loop {
        let heeded = answering.borrow_and_update().clone();
        if let Err(error) = listener.heed(&heeded) {
            return debug!(error = &error as &dyn std::error::Error, "listening ended");
        }
        tokio::select! {
            claim = listener.claim() => match claim {
                Ok(claim) if !heeded.contains(&claim.address) => {}
                Ok(claim) => inputs.send(Input::Claimed { address: claim.address, mac: claim.mac }),
                Err(error) => return debug!(error = &error as &dyn std::error::Error, "listening ended"),
            },
            changed = answering.changed() => if changed.is_err() { return },
        }
    }
}

/// Tells the loop when the agent shall leave.
///
/// # Errors
/// When the signals cannot be caught.
pub fn catch_signals(inputs: Inputs, rights: Rights) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            // Whoever is told to end because everything is being deleted tidies up first.
            if uninstall::under_way(&rights).await {
                inputs.send(Input::Uninstall);
                uninstall::see_through(&rights).await;
            }
            inputs.send(Input::Terminate);
        }
    });
    Ok(())
}
