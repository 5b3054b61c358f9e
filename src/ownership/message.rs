//! What agents tell each other directly. Any message may be lost, doubled, late or out of order; who sent it is
//! known for certain.

use std::time::Duration;

use super::lease::{Epoch, Holder, Incarnation, Key, Nonce, Version};

/// A message from one agent to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// The sender asks for a promise to its epoch (rule 12).
    Ask {
        /// The sender's epoch.
        epoch: Epoch,
        /// For which choice of witnesses.
        round: Nonce,
        /// The incarnation of the witness that the choice names; `None`: the sender does not know it yet, and asks only
        /// to be told.
        witness: Option<Incarnation>,
        /// How long the promise shall run, from when it is given.
        period: Duration,
        /// The incarnation of the sender, and the moment on its clock at which it asked.
        asked: Nonce,
    },
    /// The sender will not let the epoch be closed for the period asked for (rule 12).
    Promise {
        /// The epoch of whoever asked.
        epoch: Epoch,
        /// For which choice of witnesses.
        round: Nonce,
        /// The incarnation of the sender.
        witness: Incarnation,
        /// What it answers.
        asked: Nonce,
    },
    /// The sender promises nothing.
    Refuse {
        /// The epoch of whoever asked.
        epoch: Epoch,
        /// For which choice of witnesses.
        round: Nonce,
        /// The incarnation of the sender.
        witness: Incarnation,
        /// Why.
        why: Refusal,
    },
    /// The sender wants to close an epoch, and asks for a vote (rule 13).
    Canvass {
        /// Whose epoch.
        holder: Holder,
        /// For which choice of witnesses.
        round: Nonce,
        /// The incarnation of the witness that the choice names.
        witness: Incarnation,
        /// How long promises to that epoch run.
        period: Duration,
        /// `false`: only whether the answer would be yes, so that nobody votes in vain.
        binding: bool,
    },
    /// Yes. A binding vote is for ever.
    Vote {
        /// Whose epoch.
        holder: Holder,
        /// For which choice of witnesses.
        round: Nonce,
        /// The incarnation that votes, or for which its next one votes.
        witness: Incarnation,
        /// Whether it is a vote, or only says what the vote would be.
        binding: bool,
    },
    /// The address is silent at the sender, as the Lease wanted it at this version (rule 17).
    Silent {
        /// Of which `VirtualIP`.
        key: Key,
        /// The version of its Lease.
        version: Version,
        /// The version out of which the sender made it, if it did.
        onto: Option<Version>,
    },
}

/// Why a witness promises nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The choice of witnesses names another incarnation of it, or none.
    Unnamed,
    /// It has voted the epoch out.
    Voted,
    /// It knows that the epoch is dead.
    Dead,
}
