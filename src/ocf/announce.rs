//! Announcements: the first at once, the others by a process that outlives the action.

use std::{
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    time::Duration,
};

use ipnet::IpNet;
use tokio::time::sleep;

use super::{OcfError, Parameters, Place, verbs::ours};
use crate::network::{Announcer, Kernel, Link};

/// Announces the address `count` times: once now, and then here or in the background as `arp_bg` says.
///
/// # Errors
/// When an announcement cannot be sent.
pub async fn announce(
    kernel: &Kernel,
    place: &Place,
    count: u32,
    settings: &Parameters,
) -> Result<(), OcfError> {
    if !place.is_heard() || count == 0 {
        return Ok(());
    }
    let now = if settings.background { 1 } else { count };
    repeat(kernel, &place.link, place.net, now, settings.interval).await?;
    if count > now { in_background(count) } else { Ok(()) }
}

/// What the process in the background does: all announcements but the first.
///
/// # Errors
/// When an announcement cannot be sent.
pub async fn announce_rest(kernel: &Kernel, settings: &Parameters) -> Result<(), OcfError> {
    let links = kernel.links().await?;
    for there in ours(kernel, &settings.subject, &links).await? {
        if let Some(link) = links.by_index(there.link) {
            sleep(settings.interval).await;
            repeat(kernel, link, there.address, settings.count.saturating_sub(1), settings.interval).await?;
        }
    }
    Ok(())
}

/// Looks before each one whether the address is still here: another node may have it by now.
async fn repeat(
    kernel: &Kernel,
    link: &Link,
    net: IpNet,
    count: u32,
    interval: Duration,
) -> Result<(), OcfError> {
    let announcer = Announcer::open()?;
    for round in 0..count {
        if round > 0 {
            sleep(interval).await;
        }
        let mut marked = kernel.marked().await?.into_iter().filter(|there| !there.is_agents());
        if !marked.any(|there| there.link == link.index && there.address == net) {
            return Ok(());
        }
        announcer.announce(link, net.addr())?;
    }
    Ok(())
}

/// A process of its own, in a group of its own: Pacemaker waits for whoever has its pipes, and ends the group of an
/// action that takes too long.
fn in_background(count: u32) -> Result<(), OcfError> {
    let mut command = Command::new("/proc/self/exe");
    command.args(["ocf", "announce"]).env("OCF_RESKEY_arp_count", count.to_string()).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(drop).map_err(OcfError::Announcer)
}
