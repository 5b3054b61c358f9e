//! The asking: one request per tick, evenly paced, for one address after the other.

use std::io;
use std::net::IpAddr;
use std::sync::mpsc::Sender;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};
use pnet::util::MacAddr;

use crate::judge::Event;
use crate::wire::{self, Socket, clock};

/// An address and the protocol addresses from which to ask for it, in turn.
#[derive(Clone, Debug)]
pub struct Question {
    /// The address asked for.
    pub address: IpAddr,
    /// Never empty.
    pub senders: Vec<IpAddr>,
}

/// Asks for all questions in turn, one every `tick`, until `stop` says so; `ready` is called once, after the
/// first request left.
///
/// After a pause of the thread the missed ticks are left out, not made up for.
///
/// # Errors
/// The kernel's; an interface that is down or busy is none.
pub fn ask(
    socket: &Socket,
    mac: MacAddr,
    questions: &[Question],
    tick: Duration,
    events: &Sender<Event>,
    stop: impl Fn() -> bool,
    ready: impl FnOnce(),
) -> io::Result<()> {
    // Without it the kernel may wake this thread 50 microseconds late, to save power.
    nix::sys::prctl::set_timerslack(1)?;
    let mut ready = Some(ready);
    let mut next = now()?;
    for round in 0.. {
        for Question { address, senders } in questions {
            if stop() {
                return Ok(());
            }
            let Some(sender) = senders.get(round % senders.len()).copied() else { continue };
            let frame =
                wire::question(mac, sender, *address).ok_or_else(|| io::Error::other("build a request"))?;
            // Told before it leaves, so that no answer is told before its question.
            let at_us = clock::boottime_us();
            if events.send(Event::Asked { address: *address, at_us, sender }).is_err() {
                return Ok(());
            }
            tolerate(socket.send(&frame))?;
            if let Some(ready) = ready.take() {
                ready();
            }
            next = (next + tick).max(now()?);
            sleep_until(next)?;
        }
    }
    Ok(())
}

/// A request that could not leave is one without answer.
fn tolerate(sent: io::Result<()>) -> io::Result<()> {
    match sent {
        Err(error) if is_passing(&error) => Ok(()),
        sent => sent,
    }
}

fn is_passing(error: &io::Error) -> bool {
    let passing = [Errno::ENETDOWN, Errno::ENOBUFS, Errno::EINTR, Errno::EAGAIN];
    error.raw_os_error().is_some_and(|errno| passing.contains(&Errno::from_raw(errno)))
}

fn now() -> io::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_MONOTONIC)?.into())
}

fn sleep_until(time: Duration) -> io::Result<()> {
    let until = TimeSpec::from(time);
    match clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::TIMER_ABSTIME, &until) {
        // Woken early is asked early.
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
