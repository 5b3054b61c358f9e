//! What the asking and the answers on the wire say about each address: pure, fed with events, no clock.
//!
//! Other programs use it as a module of their own (`#[path = "../observer/judge/mod.rs"] mod judge;`):
//! [`report`] has the types of the printed JSON, [`Judge`] the analysis behind them.

mod address;
pub mod report;
#[cfg(test)]
mod tests;
mod trail;

use std::collections::BTreeMap;
use std::net::IpAddr;

use pnet::util::MacAddr;

use address::AddressJudge;
use report::{Announcement, Form, Report};

/// For how long an answer may come late, or its event be delivered late, and still be attributed; µs.
///
/// Requests younger than this are kept; older ones are settled and enter the report.
pub const PATIENCE_US: u64 = 1_000_000;

/// Something seen or done on the wire. All times are microseconds of `CLOCK_BOOTTIME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A request for `address` is about to leave, from the protocol address `sender`.
    Asked {
        /// The address asked for.
        address: IpAddr,
        /// Read before the request left.
        at_us: u64,
        /// An answer repeats it, and so names its request.
        sender: IpAddr,
    },
    /// An answer came from `mac` to a request that `sender` had sent.
    Answered {
        /// The address that `mac` says it has.
        address: IpAddr,
        /// When the kernel received it.
        at_us: u64,
        /// Who answered.
        mac: MacAddr,
        /// To whom it answered.
        sender: IpAddr,
    },
    /// `mac` said unasked that it has `address`.
    Announced {
        /// The address announced.
        address: IpAddr,
        /// When the kernel received it.
        at_us: u64,
        /// Who announced.
        mac: MacAddr,
        /// How.
        form: Form,
    },
}

/// Collects events and ends in a [`Report`].
///
/// An `Asked` must be told before the answers to it; everything else may come up to [`PATIENCE_US`] late.
#[derive(Debug)]
pub struct Judge {
    start_us: u64,
    interval_us: u64,
    addresses: BTreeMap<IpAddr, AddressJudge>,
}

impl Judge {
    /// Begins at `start_us` (`CLOCK_BOOTTIME`); each address is to be asked for every `interval_us`.
    #[must_use]
    pub fn new(addresses: &[IpAddr], start_us: u64, interval_us: u64) -> Self {
        let addresses = addresses.iter().map(|address| (*address, AddressJudge::new(interval_us))).collect();
        Self { start_us, interval_us, addresses }
    }

    /// Takes one event; those about other addresses are ignored.
    pub fn tell(&mut self, event: Event) {
        let since = |at_us: u64| at_us.saturating_sub(self.start_us);
        match event {
            Event::Asked { address, at_us, sender } => {
                if let Some(judge) = self.addresses.get_mut(&address) {
                    judge.asked(since(at_us), sender);
                }
            }
            Event::Answered { address, at_us, mac, sender } => {
                if let Some(judge) = self.addresses.get_mut(&address) {
                    judge.answered(since(at_us), mac, sender);
                }
            }
            Event::Announced { address, at_us, mac, form } => {
                if let Some(judge) = self.addresses.get_mut(&address) {
                    let mac = mac.to_string();
                    judge.announced(Announcement { at_us: since(at_us), mac, form });
                }
            }
        }
    }

    /// Settles what is still open; `end_us` (`CLOCK_BOOTTIME`) is when the asking ended.
    #[must_use]
    pub fn finish(self, end_us: u64) -> Report {
        let end_us = end_us.saturating_sub(self.start_us);
        let reports = self.addresses.into_iter().map(|(address, judge)| (address, judge.finish(end_us)));
        Report {
            start_boottime_us: self.start_us,
            end_us,
            interval_us: self.interval_us,
            addresses: reports.collect(),
        }
    }
}
