//! The command line.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use clap::Parser;
use ipnet::Ipv4Net;

use crate::session::Plan;

/// Asks on the wire who has each ADDRESS, and reports who answered.
///
/// Sends an ARP request (IPv4, broadcast) or a neighbour solicitation (IPv6, solicited-node multicast) for every
/// address at a steady pace, and notes which hardware address answers which request. Announcements (gratuitous
/// ARP, unsolicited neighbour advertisements) are recorded as well.
///
/// Prints "ready" to standard error once it asks. Ends on SIGINT, SIGTERM or after --seconds, and prints one JSON
/// object to standard output. Needs `CAP_NET_RAW`.
#[derive(Debug, Parser)]
#[command(name = "observer", after_long_help = AFTER_HELP)]
pub struct Args {
    /// Interface to ask on
    #[arg(long, value_name = "NAME")]
    interface: String,

    /// Microseconds between two requests for one address
    ///
    /// All addresses together are asked for at most 2,000 times a second, or as often as one alone would be: with many
    /// addresses the interval grows.
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(200..))]
    interval_us: u64,

    /// End after this time
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,

    /// Ask from the addresses of this IPv4 prefix, in turn, instead of the interface's own
    ///
    /// An ARP reply repeats the asker's address and nothing else of the request. With a single one, a reply is
    /// taken for one to the latest request; with N in turn, a reply may be N intervals late and is still known.
    /// No other host may have these addresses; prefer ones of the subnet, or a node with `rp_filter` is silent.
    #[arg(long, value_name = "PREFIX")]
    senders: Option<Ipv4Net>,

    /// Addresses to ask for
    #[arg(required = true, value_name = "ADDRESS")]
    addresses: Vec<IpAddr>,
}

const AFTER_HELP: &str = "\
The report, times in microseconds since start_boottime_us (CLOCK_BOOTTIME):
  {\"start_boottime_us\":..,\"end_us\":..,\"interval_us\":..,\"addresses\":{\"192.0.2.1\":{
    \"asked\":..,\"answered\":..,          requests sent, requests with an answer
    \"longest_silence_us\":..,           from the first unanswered request to the next answer
    \"silences\":[{\"start_us\":..,\"length_us\":..}],     those longer than three intervals
    \"two_owner_us\":..,                 time in which two hosts answered, also when they alternate
    \"two_answer_requests\":..,          requests that two hosts answered
    \"owners\":[{\"mac\":..,\"first_us\":..,\"last_us\":..,\"answers\":..}],    in order of takeover
    \"announcements\":[{\"at_us\":..,\"mac\":..,\"form\":\"request|reply|na\"}]}}}

Examples:
  observer --interface eth0 --seconds 10 192.0.2.1 2001:db8::1
  observer --interface eth0 --interval-us 200 --senders 192.0.2.64/27 192.0.2.1

On a busy machine run it under `chrt --fifo 10`: a thread that has to wait asks late,
which makes its measurements coarser, never wrong.";

impl Args {
    /// What to observe.
    pub fn plan(self) -> Plan {
        let senders: Vec<Ipv4Addr> =
            self.senders.iter().flat_map(Ipv4Net::hosts).take(MOST_SENDERS).collect();
        let addresses = BTreeSet::from_iter(self.addresses);
        Plan {
            interface: self.interface,
            interval: Duration::from_micros(self.interval_us),
            limit: self.seconds.map(Duration::from_secs),
            senders,
            addresses: addresses.into_iter().collect(),
        }
    }
}

/// Each becomes an entry in the neighbour tables of the nodes, which begin to forget above 128.
const MOST_SENDERS: usize = 64;
