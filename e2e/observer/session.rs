//! One observation: a thread that asks, one per protocol that listens, and the judge.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use crate::ask::{Question, ask};
use crate::judge::report::Report;
use crate::judge::{Event, Judge};
use crate::wire::interface::{self, Interface};
use crate::wire::{Heard, Socket, clock, listen};

/// No more requests than one in this time, or in the interval asked for if that is shorter, are sent, for all addresses
/// together: 2,000 a second. On a machine with few processors more of them, all broadcast to every host, would take from
/// the nodes what these need to keep their leases.
const SHORTEST_TICK: Duration = Duration::from_micros(500);

/// Answers may come for so long after the last request.
const LAST_ANSWERS: Duration = Duration::from_millis(100);

const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;

/// What to observe, and from where.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The interface to ask on.
    pub interface: String,
    /// Time between two requests for one address; longer when there are many addresses.
    pub interval: Duration,
    /// End after this time, if not stopped before.
    pub limit: Option<Duration>,
    /// IPv4 protocol addresses to ask from instead of the interface's own.
    pub senders: Vec<Ipv4Addr>,
    /// The addresses to ask for.
    pub addresses: Vec<IpAddr>,
}

/// Why an observation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The interface does not do.
    #[error(transparent)]
    Interface(#[from] interface::Error),
    /// Sockets are made for root.
    #[error("open a packet socket (needs CAP_NET_RAW)")]
    Open(#[source] io::Error),
    /// The kernel refused a request.
    #[error("ask")]
    Ask(#[source] io::Error),
    /// The kernel refused to receive.
    #[error("listen for answers")]
    Listen(#[source] io::Error),
}

/// Asks and listens until `stop` or the plan's limit, and reports. `ready` is called once asking has started.
///
/// Works in the network namespace of the calling thread.
///
/// # Errors
/// When the interface or the sockets fail; not when it is down for a while.
pub fn observe(plan: &Plan, stop: &AtomicBool, ready: impl FnOnce() + Send) -> Result<Report, Error> {
    let interface = Interface::find(&plan.interface)?;
    let questions = plan.addresses.iter().map(|address| {
        let senders = interface.senders(*address, &plan.senders)?;
        Ok(Question { address: *address, senders })
    });
    let questions = questions.collect::<Result<Vec<_>, Error>>()?;
    let open = |ethertype| Socket::open(interface.index, ethertype).map_err(Error::Open);
    let ears = [open(ETHERTYPE_ARP)?, open(ETHERTYPE_IPV6)?];
    let mouth = open(0)?;

    let count = u32::try_from(questions.len().max(1)).unwrap_or(u32::MAX);
    let tick = (plan.interval / count).max(plan.interval.min(SHORTEST_TICK));
    let start_us = clock::boottime_us();
    let mut judge = Judge::new(&plan.addresses, start_us, micros(tick * count));
    let limit_us = plan.limit.map_or(u64::MAX, |limit| start_us.saturating_add(micros(limit)));
    let over = || stop.load(Ordering::Relaxed) || clock::boottime_us() >= limit_us;

    let done = &AtomicBool::new(false);
    let (events, told) = channel();
    thread::scope(|scope| {
        let asking = events.clone();
        let asker = scope.spawn(move || {
            let asked = ask(&mouth, interface.mac, &questions, tick, &asking, over, ready);
            let end_us = clock::boottime_us();
            thread::sleep(LAST_ANSWERS);
            done.store(true, Ordering::Relaxed);
            asked.map(|()| end_us).map_err(Error::Ask)
        });
        let listeners = ears.map(|ear| {
            let events = events.clone();
            scope.spawn(move || listen(&ear, done, tell(events)).map_err(Error::Listen))
        });
        drop(events);
        for event in told {
            judge.tell(event);
        }
        for listener in listeners {
            join(listener)?;
        }
        Ok(judge.finish(join(asker)?))
    })
}

/// The judge may be gone before the last frame: nothing is left to say then.
fn tell(events: Sender<Event>) -> impl FnMut(u64, Heard) {
    move |at_us, heard| {
        let event = match heard {
            Heard::Answer { address, mac, sender } => Event::Answered { address, at_us, mac, sender },
            Heard::Announcement { address, mac, form } => Event::Announced { address, at_us, mac, form },
        };
        events.send(event).unwrap_or_default();
    }
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
