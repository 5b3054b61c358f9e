//! What an agent is told at start, and which of it makes sense.

use std::net::SocketAddr;
use std::time::Duration;

use crate::api::names::MAX_NODE_NAME;
use crate::ownership::{Fence, Mode, Timing, TimingError};

/// Much longer than a key needs to be known everywhere, and than a former one is accepted.
const KEY_PERIOD_MIN: Duration = Duration::from_mins(5);

/// What an agent is told at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The name of this node's Node object.
    pub node: String,
    /// The namespace of the agents and their Leases.
    pub namespace: String,
    /// After this time without a renewal other nodes may close this one.
    pub lease_duration: Duration,
    /// Time between two renewals.
    pub renew_interval: Duration,
    /// UDP port of all agents for messages between them; zero: there are none.
    pub peer_port: u16,
    /// Where the right to answer shall come from; none: what the port allows.
    pub source: Option<Mode>,
    /// How long a promise of a witness runs; none: what fits the fence.
    pub promise_period: Option<Duration>,
    /// How often the key of those messages is changed.
    pub key_period: Duration,
    /// Where /healthz, /readyz and /metrics are served.
    pub listen: SocketAddr,
}

/// Why an agent cannot run with its [`Options`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// Others wait for what the Lease says, which is a whole number of seconds.
    #[error(
        "lease duration {0:?} is refused: a Lease states its duration in whole seconds, so use whole seconds"
    )]
    Fraction(Duration),
    /// The two spans do not fit together.
    #[error(transparent)]
    Timing(#[from] TimingError),
    /// Promises are messages.
    #[error(
        "a right from witnesses needs messages between agents, and peer port 0 switches them off: use another port, 7473 on every node unless it is taken, or the right source lease"
    )]
    Mute,
    /// Nobody is asked for promises.
    #[error(
        "promise period {0:?} is given, but no witness is asked for a promise: leave it out, or use the right source both or witness with a peer port other than 0"
    )]
    NoPromises(Duration),
    /// Keys must live longer than agents need to hear of them.
    #[error("key period {0:?} is too short: agents need time to hear of a new key, so use 5m or more")]
    KeyPeriod(Duration),
    /// The name of the Node is needed.
    #[error("the name of this node is empty: set NODE_NAME from the pod's spec.nodeName, or use --node-name")]
    NoNode,
    /// `node.<node>` must be the name of a Lease.
    #[error(
        "the node name {0:?} is too long: its Lease could not be named after it, so use at most {MAX_NODE_NAME} characters"
    )]
    LongNode(String),
    /// The namespace is needed.
    #[error(
        "the namespace is empty: set POD_NAMESPACE from the pod's metadata.namespace, or use --namespace"
    )]
    NoNamespace,
}

impl Options {
    /// The spans of the protocol.
    ///
    /// # Errors
    /// When the lease duration, the renewal interval and the promise period do not fit together, or to the fence, or cannot be
    /// stated in a Lease.
    pub fn timing(&self, fence: Fence) -> Result<Timing, OptionsError> {
        if self.lease_duration.subsec_nanos() != 0 {
            return Err(OptionsError::Fraction(self.lease_duration));
        }
        let timing = Timing::new(self.lease_duration, self.renew_interval)?;
        let source = self.source()?;
        match (source, self.promise_period) {
            (Mode::Lease, Some(period)) => Err(OptionsError::NoPromises(period)),
            (Mode::Lease, None) => Ok(timing),
            (_, period) => Ok(timing.with_witnesses(source, period, fence)?),
        }
    }

    /// Where the right shall come from.
    fn source(&self) -> Result<Mode, OptionsError> {
        match (self.source, self.peer_port) {
            (None | Some(Mode::Lease), 0) => Ok(Mode::Lease),
            (Some(_), 0) => Err(OptionsError::Mute),
            (source, _) => Ok(source.unwrap_or(Mode::Both)),
        }
    }

    /// How often keys are changed.
    ///
    /// # Errors
    /// When that is too often.
    pub fn check_key_period(&self) -> Result<(), OptionsError> {
        if self.key_period < KEY_PERIOD_MIN { Err(OptionsError::KeyPeriod(self.key_period)) } else { Ok(()) }
    }

    /// Looks at the names: an empty environment variable is as good as none.
    ///
    /// # Errors
    /// When a name is empty, or too long to be part of a Lease's name.
    pub fn check_names(&self) -> Result<(), OptionsError> {
        if self.node.is_empty() {
            return Err(OptionsError::NoNode);
        }
        if self.node.len() > MAX_NODE_NAME {
            return Err(OptionsError::LongNode(self.node.clone()));
        }
        if self.namespace.is_empty() {
            return Err(OptionsError::NoNamespace);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            node: "n1".to_owned(),
            namespace: "virtualip-system".to_owned(),
            lease_duration: Duration::from_secs(3),
            renew_interval: Duration::from_secs(1),
            peer_port: 7473,
            source: None,
            promise_period: None,
            key_period: Duration::from_hours(24),
            listen: ([127, 0, 0, 1], 7472).into(),
        }
    }

    #[test]
    fn names_must_be_there_and_fit_into_the_name_of_a_lease() {
        assert_eq!(options().check_names(), Ok(()));
        assert_eq!(Options { node: String::new(), ..options() }.check_names(), Err(OptionsError::NoNode));
        let long = "n".repeat(MAX_NODE_NAME + 1);
        assert_eq!(
            Options { node: long.clone(), ..options() }.check_names(),
            Err(OptionsError::LongNode(long))
        );
        let nowhere = Options { namespace: String::new(), ..options() };
        assert_eq!(nowhere.check_names(), Err(OptionsError::NoNamespace));
    }

    #[test]
    fn promises_need_a_port_and_a_period_that_fits_the_fence() {
        let timing = options().timing(Fence::Exact).unwrap();
        assert_eq!((timing.source, timing.period), (Mode::Both, Duration::from_secs(2)));
        let mute = Options { peer_port: 0, ..options() };
        assert_eq!(mute.timing(Fence::Exact).unwrap().source, Mode::Lease);
        let witness = Options { source: Some(Mode::Witness), ..mute.clone() };
        assert_eq!(witness.timing(Fence::Exact), Err(OptionsError::Mute));
        let period = Duration::from_millis(300);
        let unasked = Options { promise_period: Some(period), ..mute };
        assert_eq!(unasked.timing(Fence::Exact), Err(OptionsError::NoPromises(period)));
        let fast = Options { promise_period: Some(period), ..options() };
        assert_eq!(fast.timing(Fence::Exact).unwrap().period, period);
        let error = fast.timing(Fence::Lifetimes).unwrap_err().to_string();
        assert!(error.contains("use 3s or more"), "{error}");
    }

    #[test]
    fn keys_live_for_a_while() {
        assert_eq!(options().check_key_period(), Ok(()));
        let period = Duration::from_secs(299);
        let hasty = Options { key_period: period, ..options() };
        assert_eq!(hasty.check_key_period(), Err(OptionsError::KeyPeriod(period)));
    }

    #[test]
    fn a_lease_states_whole_seconds() {
        let duration = Duration::from_millis(3_500);
        let options = Options { lease_duration: duration, ..options() };
        assert_eq!(options.timing(Fence::Exact), Err(OptionsError::Fraction(duration)));
    }
}
