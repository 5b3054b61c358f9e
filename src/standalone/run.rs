//! The loop: files, kernel, wire and clock in; addresses and status out.

use std::{io::Write, path::PathBuf, time::Duration};

use futures::{FutureExt, StreamExt};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{MissedTickBehavior, interval, sleep_until},
};

use super::{
    Error, Printer,
    ears::Ears,
    files::Files,
    host::{Host, RENEWAL},
    wanted::wanted,
    watch::Watch,
};
use crate::network::{Change, HostLock, Monitor};

/// How often everything is compared although nothing was heard: what another host had may be free by now.
const REVIEW: Duration = Duration::from_secs(10);

/// Keeps the addresses of the manifests at `path` (a file or a folder) up until SIGTERM or SIGINT, and takes them away
/// then.
///
/// # Errors
/// [`Error`]: what made it impossible to go on.
pub async fn run<W: Write>(path: PathBuf, mut printer: Printer<W>) -> Result<(), Error> {
    let _lock = HostLock::take()?;
    let mut terminate = catch(SignalKind::terminate())?;
    let mut interrupt = catch(SignalKind::interrupt())?;
    // All ears are open before the first look, so that nothing falls between the two.
    let watch = Watch::open(&path)?;
    let mut changes = Monitor::open()?;
    let (mut ears, mut claims) = Ears::new();
    let mut host = Host::open().await?;
    changes.deaf_to(host.kernel());
    let mut files = Files::new(path);
    files.reload()?;
    let (mut renewal, mut review) = (interval(RENEWAL), interval(REVIEW));
    renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
    review.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let rows = host.settle(&wanted(files.objects())).await?;
        ears.follow(host.links(), host.up());
        printer.print(rows, &files.problems).map_err(Error::Print)?;
        loop {
            let due = host.next();
            tokio::select! {
                biased;
                _ = terminate.recv() => return leave(host, printer).await,
                _ = interrupt.recv() => return leave(host, printer).await,
                _ = renewal.tick() => host.renew().await?,
                () = async { if let Some(due) = due { sleep_until(due).await } }, if due.is_some() => drop(host.announce_due()),
                change = changes.next() => {
                    let mut news = concerns(&change.ok_or(Error::Deaf)?);
                    while let Some(Some(change)) = changes.next().now_or_never() {
                        news |= concerns(&change);
                    }
                    if news { break }
                }
                Some(claim) = claims.recv() => if host.defend(claim) { break },
                read = watch.changed() => {
                    read?;
                    reload(&mut files);
                    break;
                }
                _ = review.tick() => {
                    // The folder may have been replaced by another of the same name.
                    let _ = watch.renew();
                    reload(&mut files);
                    break;
                }
            }
        }
    }
}

/// Takes everything away, and says so to whoever still reads.
async fn leave<W: Write>(mut host: Host, mut printer: Printer<W>) -> Result<(), Error> {
    host.leave().await?;
    drop(printer.print(Vec::new(), &[]));
    Ok(())
}

/// What was read last counts until something can be read again.
fn reload(files: &mut Files) {
    if let Err(error) = files.reload() {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        eprintln!("virtualip: {error}: {cause}; what was read before stays in force");
    }
}

/// Our own addresses coming up are no news.
const fn concerns(change: &Change) -> bool {
    !matches!(change, Change::AddressSeen { marked: true, .. })
}

fn catch(kind: SignalKind) -> Result<Signal, Error> {
    signal(kind).map_err(|source| Error::System { what: "catch signals", source })
}
