//! Where a node's right comes from: its Lease, the promises of witnesses, or both (rules 12 to 16).

use std::collections::BTreeMap;
use std::time::Duration;

use super::lease::{Incarnation, NodeName, Nonce};

/// The kinds of source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Renewals of the node Lease.
    #[default]
    Lease,
    /// Renewals and promises: whoever closes needs to outwait the one and outvote the other, so the right is the later
    /// of the two.
    Both,
    /// Promises only. The node Lease is not renewed.
    Witness,
}

/// What the node Lease says about the source of the right.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// [`Mode::Lease`].
    #[default]
    Lease,
    /// [`Mode::Both`].
    Both(Witnesses),
    /// [`Mode::Witness`].
    Witness(Witnesses),
}

impl Source {
    /// Its kind.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match self {
            Self::Lease => Mode::Lease,
            Self::Both(_) => Mode::Both,
            Self::Witness(_) => Mode::Witness,
        }
    }

    /// The witnesses, if it has any.
    #[must_use]
    pub fn witnesses(&self) -> Option<&Witnesses> {
        match self {
            Self::Lease => None,
            Self::Both(witnesses) | Self::Witness(witnesses) => Some(witnesses),
        }
    }
}

/// A choice of witnesses. The node itself is always one of them, and not listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Witnesses {
    /// Tells this choice from every other. Votes and promises are for one choice: a node that was voted out in vain
    /// makes a new one.
    pub round: Nonce,
    /// How long a promise runs.
    pub period: Duration,
    /// The others, each in the incarnation whose promises count (rule 14).
    pub others: BTreeMap<NodeName, Incarnation>,
}

impl Witnesses {
    /// How many others must have promised: with the node itself they are a majority.
    #[must_use]
    pub fn promises_needed(&self) -> usize {
        // h - 1 of w = others + 1, with h = w / 2 + 1.
        self.others.len().div_ceil(2)
    }

    /// How many must vote to close the epoch: so many that no majority of promises can be running (rule 13).
    #[must_use]
    pub fn votes_needed(&self) -> usize {
        // w - h + 1
        self.others.len() + 1 - self.promises_needed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_and_votes_cannot_both_have_what_they_need() {
        for others in 1..=4 {
            let names =
                (0..others).map(|index| (NodeName(format!("n{index}").into()), Incarnation(1))).collect();
            let w = Witnesses { round: Nonce::default(), period: Duration::from_secs(1), others: names };
            let all = w.others.len() + 1;
            assert_eq!(w.promises_needed(), all / 2, "with itself a majority of {all}");
            assert_eq!(
                w.promises_needed() + w.votes_needed(),
                w.others.len() + 1,
                "one of {all} would be in both"
            );
        }
    }
}
