//! The spans the protocol is built on, and which combinations are safe.

use std::time::Duration;

use super::source::Mode;

/// How late a kernel may remove an address after its whole-second lifetime ended: measured 0.01 to 0.36 s, and
/// up to 0.5 s after an extension.
pub const KERNEL_SLACK: Duration = Duration::from_millis(500);

/// The spans of one node. All are on the node's own clock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Timing {
    /// Duration that the node Lease states while the node owns or is about to: others may close it after that.
    pub duration: Duration,
    /// Interval between renewals while the node owns.
    pub renew: Duration,
    /// Duration that the node Lease states while the node owns nothing.
    pub idle_duration: Duration,
    /// How long a node owns nothing before it renews slowly.
    pub idle_after: Duration,
    /// A node placed `n`-th waits `n` times this long before it closes in place of a better one.
    pub grace: Duration,
    /// And this before it claims: a better one that lives may have hundreds to claim first, and claims of the same ones only make
    /// that take longer.
    pub turn: Duration,
    /// How long an offer may stay unaccepted before another successor is asked.
    pub offer: Duration,
    /// Wait after a failed or conflicting write.
    pub retry: Duration,
    /// The source of the right that this node strives for. It has less while its witnesses do not answer.
    pub source: Mode,
    /// How long a promise of a witness runs.
    pub period: Duration,
    /// Interval between two requests for a promise.
    pub ask: Duration,
}

/// What takes an address away when the agent does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// Lifetimes in the kernel, which are whole seconds and end late: see [`KERNEL_SLACK`].
    Lifetimes,
    /// An absolute deadline.
    Exact,
}

/// How long a promise runs unless told otherwise, where promises count alone and the fence is exact: a node that dies is replaced
/// when it is over.
const PERIOD_ALONE: Duration = Duration::from_millis(300);
/// The same where the Lease has to stand still as well before a dead node is replaced. A shorter promise would gain nothing then, and a
/// longer one bears a machine on which an agent does not come to a turn while the API server is away.
const PERIOD_BESIDE_LEASE: Duration = Duration::from_secs(2);
/// How long a promise runs unless told otherwise, where lifetimes are the fence.
const PERIOD_LIFETIMES: Duration = Duration::from_secs(3);

/// Why a duration and a renewal interval do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimingError {
    /// The kernel counts address lifetimes in whole seconds.
    #[error(
        "lease duration {duration:?} is too short: the kernel counts address lifetimes in whole seconds, so use 2s or more"
    )]
    TooShort {
        /// The duration asked for.
        duration: Duration,
    },
    /// The kernel would remove addresses between two renewals.
    #[error(
        "renew interval {renew:?} is too long for lease duration {duration:?}: an address may live {lifetime:?} after a renewal, so use a renew interval of at most {longest:?}"
    )]
    RenewTooSlow {
        /// The renewal interval asked for.
        renew: Duration,
        /// The duration asked for.
        duration: Duration,
        /// The whole seconds that an address may live after a renewal.
        lifetime: Duration,
        /// The longest renewal interval that fits.
        longest: Duration,
    },
    /// Promises would have to be asked for faster than agents can be relied upon to run.
    #[error("promise period {period:?} is too short: use 200ms or more")]
    PeriodTooShort {
        /// The period asked for.
        period: Duration,
    },
    /// The kernel would remove addresses between two promises.
    #[error(
        "promise period {period:?} is too short where the kernel's address lifetimes are the fence: they are whole seconds, and one would end before the next promise; use {shortest:?} or more"
    )]
    PeriodTooCoarse {
        /// The period asked for.
        period: Duration,
        /// The shortest that fits.
        shortest: Duration,
    },
    /// A renewal interval of zero would never rest.
    #[error("renew interval {renew:?} is too short: use 100ms or more")]
    RenewTooFast {
        /// The renewal interval asked for.
        renew: Duration,
    },
}

impl Timing {
    /// The spans for a Lease of `duration` that is renewed every `renew`.
    ///
    /// # Errors
    /// [`TimingError`] when the two do not fit together; its text says what would.
    pub fn new(duration: Duration, renew: Duration) -> Result<Self, TimingError> {
        if duration < Duration::from_secs(2) {
            return Err(TimingError::TooShort { duration });
        }
        if renew < Duration::from_millis(100) {
            return Err(TimingError::RenewTooFast { renew });
        }
        let timing = Self {
            duration,
            renew,
            idle_duration: duration * 10,
            idle_after: duration * 5,
            grace: Duration::from_millis(250),
            turn: Duration::from_secs(2),
            offer: Duration::from_millis(500),
            retry: Duration::from_millis(50),
            source: Mode::Lease,
            period: PERIOD_LIFETIMES,
            ask: ask_of(PERIOD_LIFETIMES),
        };
        // A renewal needs a moment itself: a tenth of the duration is left for it.
        let lifetime = timing.kernel_lifetime(duration / 30);
        let longest = lifetime * 3 / 5;
        if renew > longest {
            return Err(TimingError::RenewTooSlow { renew, duration, lifetime, longest });
        }
        Ok(timing)
    }

    /// The same spans with a right that comes from witnesses as soon as they answer: `source` is what is striven for,
    /// `period` how long a promise runs, if that is not left to [`Timing::usual_period`].
    ///
    /// # Errors
    /// [`TimingError`] when the period does not fit the fence; its text says what would.
    pub fn with_witnesses(
        self,
        source: Mode,
        period: Option<Duration>,
        fence: Fence,
    ) -> Result<Self, TimingError> {
        let period = period.unwrap_or_else(|| self.usual_period(source, fence));
        if period < Duration::from_millis(200) {
            return Err(TimingError::PeriodTooShort { period });
        }
        if fence == Fence::Lifetimes && period < PERIOD_LIFETIMES {
            return Err(TimingError::PeriodTooCoarse { period, shortest: PERIOD_LIFETIMES });
        }
        // Whole milliseconds, as the Lease states it.
        let period = Duration::from_millis(u64::try_from(period.as_millis()).unwrap_or(u64::MAX));
        Ok(Self { source, period, ask: ask_of(period), ..self })
    }

    /// How long a promise runs unless told otherwise, for a right that comes from `source`.
    fn usual_period(&self, source: Mode, fence: Fence) -> Duration {
        match (fence, source) {
            (Fence::Lifetimes, _) => PERIOD_LIFETIMES,
            (Fence::Exact, Mode::Witness) => PERIOD_ALONE,
            // It ends before a Lease has stood still that was renewed in time, or it would put off the replacement.
            (Fence::Exact, _) => PERIOD_BESIDE_LEASE.min(self.duration.saturating_sub(self.renew)),
        }
    }

    /// So much before its time a witness is asked by who is awake anyway: nodes that ask each other then wake together. It is less
    /// than the time after which a witness that has not answered is asked again, or that would be in every step.
    #[must_use]
    pub fn early(&self) -> Duration {
        self.ask / 5
    }

    /// How long a renewal gives a right when the Lease states `duration`, counted from before it was sent; and likewise a
    /// promise that runs for `duration`. What is taken off bears clocks that run at rates 5 % apart.
    #[must_use]
    pub fn right_of(&self, duration: Duration) -> Duration {
        duration * 9 / 10
    }

    /// The lifetime, in whole seconds, that the kernel may be given `age` after the renewal was sent:
    /// `age + lifetime + slack <= duration - margin` (rule 10). Zero when no lifetime fits any more.
    #[must_use]
    pub fn kernel_lifetime(&self, age: Duration) -> Duration {
        whole_lifetime(self.right_of(self.duration).saturating_sub(age))
    }

    /// How long a write may take before its answer is given up.
    #[must_use]
    pub fn call_timeout(&self) -> Duration {
        self.duration / 6
    }
}

/// How often a promise that runs for `period` is asked for. Each time costs both nodes something; but a right that is left with less
/// than half of it would be lost to a busy machine.
fn ask_of(period: Duration) -> Duration {
    period * 2 / 5
}

/// The lifetime in whole seconds that fits into the rest of a right, with the kernel's slack.
#[must_use]
pub fn whole_lifetime(rest: Duration) -> Duration {
    Duration::from_secs(rest.saturating_sub(KERNEL_SLACK).as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_gives_the_kernel_two_seconds() {
        let timing = Timing::new(Duration::from_secs(3), Duration::from_secs(1)).unwrap();
        assert_eq!(timing.kernel_lifetime(Duration::from_millis(5)), Duration::from_secs(2));
        assert_eq!(timing.kernel_lifetime(Duration::from_millis(300)), Duration::from_secs(1));
        assert_eq!(timing.kernel_lifetime(Duration::from_millis(1300)), Duration::ZERO);
    }

    #[test]
    fn a_promise_is_as_long_as_it_may_be_without_putting_off_a_replacement() {
        let timing = |duration, renew| {
            Timing::new(Duration::from_secs(duration), Duration::from_millis(renew)).unwrap()
        };
        let usual = |timing: Timing, source| timing.usual_period(source, Fence::Exact);
        assert_eq!(usual(timing(3, 1000), Mode::Both), Duration::from_secs(2));
        assert_eq!(usual(timing(2, 500), Mode::Both), Duration::from_millis(1500));
        assert_eq!(usual(timing(20, 1000), Mode::Both), Duration::from_secs(2));
        assert_eq!(usual(timing(3, 1000), Mode::Witness), Duration::from_millis(300));
    }

    #[test]
    fn spans_that_do_not_fit_are_refused_with_what_would() {
        let slow = Timing::new(Duration::from_secs(3), Duration::from_secs(2)).unwrap_err();
        assert!(slow.to_string().contains("at most 1.2s"), "{slow}");
        assert!(Timing::new(Duration::from_secs(1), Duration::from_millis(300)).is_err());
        let timing = || Timing::new(Duration::from_secs(3), Duration::from_secs(1)).unwrap();
        let fast = Some(Duration::from_millis(300));
        assert!(timing().with_witnesses(Mode::Witness, fast, Fence::Exact).is_ok());
        let coarse = timing().with_witnesses(Mode::Witness, fast, Fence::Lifetimes).unwrap_err();
        assert!(coarse.to_string().contains("use 3s or more"), "{coarse}");
        assert!(timing().with_witnesses(Mode::Both, Some(Duration::ZERO), Fence::Exact).is_err());
        assert!(Timing::new(Duration::from_secs(3), Duration::ZERO).is_err());
    }
}
