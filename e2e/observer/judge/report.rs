//! The report as it is printed. Times are microseconds since `start_boottime_us`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// One observation of one or more addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// `CLOCK_BOOTTIME` in microseconds when the asking began; all other times count from it.
    pub start_boottime_us: u64,
    /// When the asking ended.
    pub end_us: u64,
    /// Time between two requests for one address, after scaling to the number of addresses.
    pub interval_us: u64,
    /// By address.
    pub addresses: BTreeMap<IpAddr, AddressReport>,
}

/// What was seen of one address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressReport {
    /// Requests sent.
    pub asked: u64,
    /// Requests that at least one host answered.
    pub answered: u64,
    /// The longest of all silences; 0 when every request was answered.
    pub longest_silence_us: u64,
    /// Silences longer than three intervals.
    pub silences: Vec<Silence>,
    /// Total time in which two hosts answered: the intervals of requests with two answers, and the time in
    /// which one host answered between two answers of another one (less than three intervals apart).
    pub two_owner_us: u64,
    /// Requests that two or more hosts answered.
    pub two_answer_requests: u64,
    /// Who answered, in order of takeover; a host appears again when it takes over again.
    pub owners: Vec<Owner>,
    /// Who said unasked that it has the address.
    pub announcements: Vec<Announcement>,
}

/// A time without answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// When the first request without answer was sent.
    pub start_us: u64,
    /// From there to the arrival of the next answer, or to the end.
    pub length_us: u64,
}

/// A time in which one host answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Its hardware address, in lower case with colons.
    pub mac: String,
    /// Its first answer.
    pub first_us: u64,
    /// Its last answer.
    pub last_us: u64,
    /// Requests it answered.
    pub answers: u64,
}

/// A gratuitous ARP packet or an unsolicited neighbour advertisement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// When it arrived.
    pub at_us: u64,
    /// The hardware address it announces.
    pub mac: String,
    /// How it was said.
    pub form: Form,
}

/// The forms of an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Gratuitous ARP, request form (RFC 5227, section 3).
    Request,
    /// Gratuitous ARP, reply form.
    Reply,
    /// Unsolicited neighbour advertisement (RFC 4861, section 7.2.6).
    Na,
}
