//! `virtualip agent`: what runs on every node.

use std::net::SocketAddr;
use std::time::Duration;

use super::duration;
use crate::agent::{self, Options, OptionsError};
use crate::api::names::DEFAULT_NAMESPACE;
use crate::observe::log::{self, Format};
use crate::ownership::{Fence, Mode};

/// Run on a node: answer for the addresses that are its own
///
/// One agent runs on every node, in the node's network, as a pod of a DaemonSet. It needs `CAP_NET_ADMIN` and
/// `CAP_NET_RAW`. On SIGTERM it hands its addresses over to other nodes and exits.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = super::EXIT_CODES)]
pub struct Args {
    /// Name of this node's Node object
    #[arg(long, env = "NODE_NAME", value_name = "NAME")]
    node_name: String,

    /// Namespace of the agents and their Leases
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE", default_value = DEFAULT_NAMESPACE)]
    namespace: String,

    /// After how long without a renewal other nodes may take over
    ///
    /// Whole seconds, 2s or more, and the same on every node. A node that dies is noticed after this time.
    #[arg(long, env = "VIRTUALIP_LEASE_DURATION", value_name = "DURATION", default_value = "3s",
        value_parser = duration::parse)]
    lease_duration: Duration,

    /// Time between two renewals of the node's Lease
    ///
    /// The kernel removes the addresses by itself when they are not renewed, and counts in whole seconds, so that a
    /// renewal must come early enough: a third of the lease duration fits, more is refused where it does not.
    #[arg(long, env = "VIRTUALIP_RENEW_INTERVAL", value_name = "DURATION", default_value = "1s",
        value_parser = duration::parse)]
    renew_interval: Duration,

    /// UDP port for messages between agents, the same on every node; 0 switches them off
    ///
    /// Agents reach each other at the `InternalIP` of their nodes. What comes from others is dropped unanswered. Where the
    /// port is closed, or with 0, each node lives on its Lease alone: its addresses go silent while the API server is away.
    #[arg(long, env = "VIRTUALIP_PEER_PORT", value_name = "PORT", default_value_t = 7473)]
    peer_port: u16,

    /// Where the right to answer shall come from: the API server, witnesses, or either [default: both]
    ///
    /// Witnesses are a few other nodes that promise, again and again, not to let this one be declared dead. With `both` a node
    /// keeps its addresses while the API server is away, and with `witness` it does not even write to it. Until its
    /// witnesses answer a node has `lease`, and says why in the status of its `VirtualIPNode`.
    #[arg(long, env = "VIRTUALIP_RIGHT_SOURCE", value_name = "SOURCE")]
    right_source: Option<Source>,

    /// How long a promise of a witness runs [default: 2s with `both`, 300ms with `witness`, or 3s where the kernel's address lifetimes are
    /// the fence]
    ///
    /// Promises are asked for again after two fifths of it. With `witness` a node that dies is noticed after this time; with `both`
    /// its Lease has to stand still for longer anyway.
    #[arg(long, env = "VIRTUALIP_PROMISE_PERIOD", value_name = "DURATION", value_parser = duration::parse)]
    promise_period: Option<Duration>,

    /// How often the agents change the key that authenticates those messages
    ///
    /// It is in the Secret `virtualip-keys`, which they make themselves. A key is known to all of them for this long before
    /// it is used, and accepted for this long after.
    #[arg(long, env = "VIRTUALIP_KEY_PERIOD", value_name = "DURATION", default_value = "24h",
        value_parser = duration::parse)]
    key_period: Duration,

    /// Address and port of /healthz, /readyz and /metrics
    ///
    /// The agent is in the node's own network: every other address than a loopback one is open to whoever can
    /// reach the node.
    #[arg(long, env = "VIRTUALIP_LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7472")]
    listen: SocketAddr,

    /// Format of the logs
    #[arg(long, env = "VIRTUALIP_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    log_format: Format,

    /// What to log: a level, or levels by module as in `info,virtualip::network=debug`
    #[arg(long, env = "VIRTUALIP_LOG", value_name = "FILTER", default_value = "info")]
    log: String,
}

/// Where a right to answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Source {
    /// Renewals in the API server.
    Lease,
    /// Either of the two.
    Both,
    /// Promises of other nodes.
    Witness,
}

impl From<Source> for Mode {
    fn from(source: Source) -> Self {
        match source {
            Source::Lease => Self::Lease,
            Source::Both => Self::Both,
            Source::Witness => Self::Witness,
        }
    }
}

/// Why the agent ended.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// No logs, no agent.
    #[error("cannot start logging")]
    Log(#[from] log::LogError),
    /// The system refused threads or an event queue.
    #[error("cannot start the runtime")]
    Runtime(#[source] std::io::Error),
    /// The agent itself.
    #[error(transparent)]
    Agent(#[from] agent::Error),
}

impl Args {
    /// What the agent is told, checked.
    ///
    /// # Errors
    /// [`OptionsError`] says what does not fit and what would.
    pub fn options(&self) -> Result<Options, OptionsError> {
        let options = Options {
            node: self.node_name.clone(),
            namespace: self.namespace.clone(),
            lease_duration: self.lease_duration,
            renew_interval: self.renew_interval,
            peer_port: self.peer_port,
            source: self.right_source.map(Mode::from),
            promise_period: self.promise_period,
            key_period: self.key_period,
            listen: self.listen,
        };
        // Which fence there is shows at start; this one bears the shortest periods.
        options.timing(Fence::Exact)?;
        options.check_names()?;
        options.check_key_period()?;
        Ok(options)
    }
}

/// For what the kernel makes wait, such as the end of connections and of packet sockets.
const BLOCKING_THREADS: usize = 16;

/// Runs the agent until it is told to stop.
///
/// # Errors
/// [`AgentError`]: what made it impossible to go on.
pub fn run(args: &Args, options: Options) -> Result<(), AgentError> {
    log::start(args.log_format, &args.log)?;
    // The loop that keeps the rights and the hand have threads of their own; this is for everything that they do not wait for.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()
        .map_err(AgentError::Runtime)?;
    Ok(runtime.block_on(agent::run(options))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn options(arguments: &[&str]) -> Result<Options, String> {
        let line = ["agent", "--node-name", "n1"].iter().chain(arguments);
        let args = Line::try_parse_from(line).map_err(|error| error.to_string())?.args;
        args.options().map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_safe() {
        let options = options(&[]).unwrap();
        assert_eq!(options.lease_duration, Duration::from_secs(3));
        assert_eq!(options.renew_interval, Duration::from_secs(1));
        assert_eq!(options.namespace, "virtualip-system");
        assert!(options.listen.ip().is_loopback(), "a port of the host network is not open to the world");
    }

    #[test]
    fn spans_that_do_not_fit_are_refused_with_what_would() {
        let error = options(&["--lease-duration", "3s", "--renew-interval", "2s"]).unwrap_err();
        assert!(error.contains("renew interval"), "{error}");
        let error = options(&["--lease-duration", "2500ms"]).unwrap_err();
        assert!(error.contains("whole seconds"), "{error}");
        let error = options(&["--lease-duration", "3"]).unwrap_err();
        assert!(error.contains("3s or 500ms"), "{error}");
    }
}
