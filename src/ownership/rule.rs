//! The rules that the model checker can drop, one at a time, to prove that each is missed.
//!
//! Only tests can drop one: everywhere else [`dropped`] is the constant `false`, and nothing of it is left in the program.
//! Which ones are missed is in `model::missed`, where worlds are small enough to look at every state, and in `model::walks` and
//! `model::plots`, where it takes more faults. Some stand behind one another: what each of two is enough against is missed
//! where both are dropped.

/// A rule of the protocol, by its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(test), expect(dead_code, reason = "some are kept by the model's own hand and API server"))]
pub(super) enum Rule {
    /// 1: an epoch begins only when nothing is answered for any more.
    SilentBeforeBegin,
    /// 1: starting another begin ends the one before. The only one that is not missed: where each write carries a nonce, a begin
    /// that takes effect late counts from when it was sent itself (rule 2), and nothing has been answered for since.
    OneBegin,
    /// 2: the right counts from the sending of the very write that took effect.
    OwnNonce,
    /// 3: when the right ends the epoch is over. A later renewal may restore the right, since it shows that nobody has closed
    /// the epoch; a later promise may not, but for that there is [`Rule::VotedIsVoted`] as well.
    OverAtItsEnd,
    /// 4: where a Lease is gone, its last right is outwaited.
    WaitForTheLost,
    /// 5: who closes has known the version for its whole duration.
    WholeWait,
    /// 5 and 13: a node Lease is closed at the version judged.
    CloseByCas,
    /// 6: a vip Lease is claimed at the version judged.
    ClaimByCas,
    /// 7: a Lease that names an earlier epoch of this node means nothing.
    ThisEpoch,
    /// 9: the address is silent before it is given.
    SilentBeforeGift,
    /// 9: what was given is not answered for, whether or not the write is known to have taken effect.
    GivenIsGiven,
    /// 9: a vip Lease is given at the version judged.
    GiveByCas,
    /// 10: a lifetime ends before the right does.
    LifetimeWithinRight,
    /// 10: after a call the clock is looked at again.
    LookAgain,
    /// 10: addresses have a lifetime.
    Lifetimes,
    /// 11: a vip Lease is removed at the version judged.
    RetireByCas,
    /// Restart, a: the old agent is dead before the new one starts.
    HostLock,
    /// Restart, b: a renewal of this life comes before anything else.
    RenewBeforeContinuing,
    /// Restart, c: an absent address is not added before a write of this life.
    ConfirmBeforeAdding,
    /// Restart, c: a vip Lease is confirmed at the version judged.
    ConfirmByCas,
    /// 12: a promise counts from when it was asked for.
    CountFromAsking,
    /// 12: a majority has promised.
    MajorityOfPromises,
    /// 13: nobody votes while its promise runs.
    NoVoteUnderPromise,
    /// 13: who has voted never promises again. Votes come when every promise has run out; but in mode both the epoch may live
    /// on, by the Lease, and be closed by those votes later.
    VotedIsVoted,
    /// 13: so many votes that no majority of promises can be running.
    EnoughVotes,
    /// 14: a promise counts under the incarnation that the choice names.
    NamedIncarnation,
    /// 14: a restarted witness votes for its former life only when what that may have promised has run out.
    SilentAfterStart,
    /// 15: the right is the minimum over all versions that the Lease may be in. With two witnesses [`Rule::NeverShorter`] alone is
    /// enough.
    MinimumOfAll,
    /// 15: a write that would shorten the right is not sent. Missed where lifetimes are the fence: an exact one is told of the
    /// shorter right first.
    NeverShorter,
    /// 16: in mode both the Lease has to be outwaited as well.
    BothWait,
    /// 16: in mode both votes are needed as well.
    VotesToClose,
    /// 17: what an owner says of its silence counts for the version of the Lease that it names.
    SilentAsOf,
    /// 17: the address is silent before the owner says so.
    SilentBeforeSaying,
    /// 17: who claims from a dead successor waits for the owner before it.
    ClaimWaits,
}

#[cfg(test)]
thread_local! {
    static DROPPED: std::cell::Cell<u128> = const { std::cell::Cell::new(0) };
}

/// Whether the rule is not to be followed.
#[cfg(test)]
pub(super) fn dropped(rule: Rule) -> bool {
    DROPPED.get() & (1 << rule as u32) != 0
}

/// Every rule is followed.
#[cfg(not(test))]
pub(super) const fn dropped(_: Rule) -> bool {
    false
}

/// Does something with these rules dropped, in this thread.
#[cfg(test)]
pub(super) fn with<T>(rules: &[Rule], work: impl FnOnce() -> T) -> T {
    DROPPED.set(rules.iter().fold(0, |set, rule| set | (1 << *rule as u32)));
    let done = work();
    DROPPED.set(0);
    done
}
