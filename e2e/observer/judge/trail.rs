//! The trail of owners: who answered when, and for how long two did.

use std::collections::VecDeque;

use pnet::util::MacAddr;

use super::report::Owner;

/// Fed with answers in the order of their requests.
#[derive(Debug)]
pub struct Trail {
    /// A host that answers again within this time never stopped: who answered in between was a second owner.
    memory_us: u64,
    owners: Vec<(MacAddr, Owner)>,
    /// The answers of the last `memory_us`.
    recent: VecDeque<(MacAddr, u64)>,
    two_owner_us: u64,
    /// Two owners are counted up to here, so that no time counts twice.
    counted_to_us: u64,
}

impl Trail {
    /// `memory_us`: see the field.
    pub fn new(memory_us: u64) -> Self {
        Self { memory_us, owners: Vec::new(), recent: VecDeque::new(), two_owner_us: 0, counted_to_us: 0 }
    }

    /// One request, whose interval is `from_us..to_us`, was answered by two hosts.
    pub fn two_answered(&mut self, from_us: u64, to_us: u64) {
        let from_us = from_us.max(self.counted_to_us);
        self.two_owner_us += to_us.saturating_sub(from_us);
        self.counted_to_us = self.counted_to_us.max(to_us);
    }

    /// `mac` answered at `at_us`.
    pub fn answered(&mut self, mac: MacAddr, at_us: u64) {
        while self.recent.front().is_some_and(|(_, seen_us)| seen_us + self.memory_us < at_us) {
            self.recent.pop_front();
        }
        let before = self.recent.iter().rposition(|(known, _)| *known == mac);
        if let Some((_, other_us)) = before.and_then(|before| self.recent.get(before + 1)).copied() {
            self.two_answered(other_us, at_us);
        }
        self.extend_or_begin(mac, at_us, before.is_some());
        self.recent.push_back((mac, at_us));
    }

    fn extend_or_begin(&mut self, mac: MacAddr, at_us: u64, never_stopped: bool) {
        let owns = self.owners.last().is_some_and(|(last, _)| *last == mac);
        if (owns || never_stopped)
            && let Some((_, owner)) = self.owners.iter_mut().rev().find(|(known, _)| *known == mac)
        {
            owner.last_us = at_us;
            owner.answers += 1;
            return;
        }
        let owner = Owner { mac: mac.to_string(), first_us: at_us, last_us: at_us, answers: 1 };
        self.owners.push((mac, owner));
    }

    /// Total time with two owners.
    pub fn two_owner_us(&self) -> u64 {
        self.two_owner_us
    }

    /// The owners in order of takeover.
    pub fn into_owners(self) -> Vec<Owner> {
        self.owners.into_iter().map(|(_, owner)| owner).collect()
    }
}
