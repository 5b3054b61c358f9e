//! `virtualip close-node`: by hand, what the other nodes do as soon as they may.

use std::io::{self, Write};

use crate::agent::{CloseError, Closed, close};
use crate::api::names::DEFAULT_NAMESPACE;

/// Declare a node dead, so that others may take over its addresses
///
/// Almost never needed: the other nodes find out by themselves that a node is dead, and take over. They cannot where the
/// node lived on the promises of witnesses and most of these were destroyed together with it; then its addresses stay
/// without an owner until it comes back, or until somebody who has seen that it is off says so here.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The node, by the name of its Node object
    #[arg(value_name = "NODE")]
    node: String,

    /// Confirm that the node has no power, or no way to the network of the addresses
    ///
    /// Unreachable is not off: a node that nobody can reach may still answer for its addresses on the wire.
    #[arg(long, required = true)]
    i_know_it_is_off: bool,

    /// Namespace of the agents and their Leases
    #[arg(long, value_name = "NAMESPACE", default_value = DEFAULT_NAMESPACE)]
    namespace: String,
}

const AFTER_HELP: &str = "\
What this risks:
  If the node is NOT off it goes on answering, for as long as the witnesses that are left keep it alive, or until it hears
  of this. Another node answers for the same addresses at once: two owners, the one thing that virtualip otherwise
  never lets happen. Connections break, and clients see either of the two.
  So look at the node's power, or pull its cables, BEFORE running this. A node that only lost the API server is not off.

What it does:
  It empties the holder of the Lease node.NODE, if nobody has written that Lease since it was read. The node's epoch
  is over for ever; when the node comes back it begins a new one and owns nothing. It uses the current kubeconfig,
  and needs the right to get and update Leases in the namespace of the agents.

Exit codes:
  0  the node is closed
  1  it is not; standard error says why
  2  the arguments do not make sense; nothing was done";

/// Why the node was not closed.
#[derive(Debug, thiserror::Error)]
pub enum CloseNodeError {
    /// The system refused an event queue.
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
    /// No kubeconfig, or one that makes no sense.
    #[error("cannot find the API server's address and credentials")]
    Config(#[from] kube::config::InferConfigError),
    /// A client cannot be built.
    #[error("cannot build a client for the API server")]
    Client(#[source] Box<kube::Error>),
    /// It was tried.
    #[error(transparent)]
    Close(#[from] CloseError),
    /// Nobody reads what is said.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

/// Closes the node.
///
/// # Errors
/// [`CloseNodeError`]: why it was not closed.
pub fn run(args: &Args) -> Result<(), CloseNodeError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CloseNodeError::Runtime)?;
    let closed = runtime.block_on(async {
        let config = kube::Config::infer().await?;
        let client =
            kube::Client::try_from(config).map_err(|error| CloseNodeError::Client(Box::new(error)))?;
        Ok::<_, CloseNodeError>(close(client, &args.namespace, &args.node).await?)
    })?;
    let text = match closed {
        Closed::Now => "is closed: others take over what it held",
        Closed::Before => "was closed already; nothing was changed",
    };
    writeln!(io::stdout(), "node {} {text}", args.node).map_err(CloseNodeError::Output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn nothing_is_closed_without_the_confirmation() {
        let error = Line::try_parse_from(["close-node", "n1"]).unwrap_err().to_string();
        assert!(error.contains("--i-know-it-is-off"), "{error}");
        assert!(Line::try_parse_from(["close-node", "n1", "--i-know-it-is-off"]).is_ok());
    }

    #[test]
    fn the_help_says_what_it_risks() {
        let help = Line::command().render_long_help().to_string();
        assert!(help.contains("two owners") && help.contains("Unreachable is not off"), "{help}");
    }
}
