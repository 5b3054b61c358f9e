//! The analysis of one address: which request was answered by whom, and where nobody or two did.

use std::collections::VecDeque;
use std::net::IpAddr;

use pnet::util::MacAddr;

use super::PATIENCE_US;
use super::report::{AddressReport, Announcement, Silence};
use super::trail::Trail;

/// A request that may still be answered.
#[derive(Debug)]
struct Request {
    asked_us: u64,
    sender: IpAddr,
    /// Each host once, in the order in which the answers were told.
    answers: Vec<(MacAddr, u64)>,
}

/// Attributes answers to requests, and settles the requests in the order in which they were asked.
#[derive(Debug)]
pub struct AddressJudge {
    /// Asked less than [`PATIENCE_US`] ago, oldest first.
    open: VecDeque<Request>,
    /// When the first request of the running silence was asked.
    silent_since_us: Option<u64>,
    trail: Trail,
    interval_us: u64,
    report: AddressReport,
}

impl AddressJudge {
    /// For an address that is asked for every `interval_us`.
    pub fn new(interval_us: u64) -> Self {
        Self {
            open: VecDeque::new(),
            silent_since_us: None,
            trail: Trail::new(3 * interval_us),
            interval_us,
            report: AddressReport::default(),
        }
    }

    /// A request leaves at `at_us`.
    pub fn asked(&mut self, at_us: u64, sender: IpAddr) {
        self.open.push_back(Request { asked_us: at_us, sender, answers: Vec::new() });
        while self.open.front().is_some_and(|oldest| oldest.asked_us + PATIENCE_US < at_us) {
            self.settle_oldest(at_us);
        }
    }

    /// Attributes an answer to the latest request of `sender` that was sent before it arrived.
    ///
    /// With one sender that is a guess: the latest request at all. With several, an answer must be late by
    /// (number of senders) intervals before it is attributed wrongly.
    pub fn answered(&mut self, at_us: u64, mac: MacAddr, sender: IpAddr) {
        let asked = |request: &&mut Request| request.sender == sender && request.asked_us <= at_us;
        if let Some(request) = self.open.iter_mut().rev().find(asked)
            && !request.answers.iter().any(|(known, _)| *known == mac)
        {
            request.answers.push((mac, at_us));
        }
    }

    /// Notes an announcement.
    pub fn announced(&mut self, announcement: Announcement) {
        self.report.announcements.push(announcement);
    }

    /// Settles all; the asking ended at `end_us`.
    pub fn finish(mut self, end_us: u64) -> AddressReport {
        while !self.open.is_empty() {
            self.settle_oldest(end_us);
        }
        if let Some(start_us) = self.silent_since_us {
            self.note_silence(start_us, end_us);
        }
        self.report.two_owner_us = self.trail.two_owner_us();
        self.report.owners = self.trail.into_owners();
        self.report.announcements.sort_by_key(|announcement| announcement.at_us);
        self.report
    }

    /// Enters the oldest open request into the report; the last one reaches to `end_us`.
    fn settle_oldest(&mut self, end_us: u64) {
        let Some(mut request) = self.open.pop_front() else { return };
        let next_us = self.open.front().map_or(end_us, |next| next.asked_us);
        self.report.asked += 1;
        request.answers.sort_by_key(|(_, at_us)| *at_us);
        let Some((_, first_us)) = request.answers.first().copied() else {
            self.silent_since_us.get_or_insert(request.asked_us);
            return;
        };
        self.report.answered += 1;
        if let Some(start_us) = self.silent_since_us.take() {
            self.note_silence(start_us, first_us);
        }
        if request.answers.len() > 1 {
            self.report.two_answer_requests += 1;
            self.trail.two_answered(request.asked_us, next_us);
        }
        for (mac, at_us) in request.answers {
            self.trail.answered(mac, at_us);
        }
    }

    fn note_silence(&mut self, start_us: u64, end_us: u64) {
        let length_us = end_us.saturating_sub(start_us);
        self.report.longest_silence_us = self.report.longest_silence_us.max(length_us);
        if length_us > 3 * self.interval_us {
            self.report.silences.push(Silence { start_us, length_us });
        }
    }
}
