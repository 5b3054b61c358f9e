//! An interface that shall carry the address is up, and connected.

use std::time::Duration;

use futures::StreamExt;
use tokio::time::timeout;

use super::OcfError;
use crate::network::{Kernel, Link, Monitor, Unfit};

/// How long an interface that was just set up may take to find its carrier: autonegotiation takes up to three seconds,
/// and a start may take twenty.
const PATIENCE: Duration = Duration::from_secs(8);

/// Sets the interface up if it is down, and waits until it sends.
///
/// # Errors
/// When it has no carrier and needs one.
pub async fn ready(kernel: &Kernel, link: &Link, needed: bool) -> Result<Link, OcfError> {
    let no_carrier = || OcfError::Unfit(Unfit::NoCarrier { name: link.name.clone() });
    let satisfied = |link: &Link| link.up && (link.carrier || link.loopback || !needed);
    if satisfied(link) {
        return Ok(link.clone());
    }
    if link.up {
        return Err(no_carrier());
    }
    let mut changes = Monitor::open()?;
    kernel.bring_up(link.index).await?;
    let connected = async {
        loop {
            let links = kernel.links().await?;
            match links.by_index(link.index) {
                Some(link) if satisfied(link) => return Ok(link.clone()),
                Some(_) => changes.next().await,
                None => return Err(no_carrier()),
            };
        }
    };
    timeout(PATIENCE, connected).await.unwrap_or_else(|_| Err(no_carrier()))
}
