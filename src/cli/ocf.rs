//! `virtualip ocf`: the resource agent for Pacemaker.

use std::{
    env,
    fs::File,
    io::{self, Write},
    process::ExitCode,
};

use nix::sched::{CloneFlags, setns};

use crate::{
    network::Kernel,
    ocf::{self, Code, Invalid, METADATA, Monitored, OcfError, Parameters, Subject},
};

/// The action that the agent gives itself: see [`ocf::announce_rest`].
const ANNOUNCE: &str = "announce";

const USAGE: &str = "usage: virtualip ocf start|stop|monitor|status|validate-all|meta-data";

/// Act as a resource agent for Pacemaker, without a Kubernetes cluster
///
/// A drop-in for ocf:heartbeat:IPaddr2: the same parameters (`OCF_RESKEY_ip`, `OCF_RESKEY_nic` ...), actions and exit
/// codes. `virtualip ocf meta-data` describes them.
#[derive(Debug, clap::Args)]
#[command(after_help = OCF_CODES)]
pub struct Args {
    /// start, stop, monitor, status, validate-all or meta-data
    #[arg(value_name = "ACTION")]
    action: Option<String>,
}

const OCF_CODES: &str = "\
Exit codes (Open Cluster Framework):
  0  done; for monitor: the address is here
  1  it failed on this node; the reason is on standard error
  3  there is no such action
  4  the privileges do not suffice (CAP_NET_ADMIN and CAP_NET_RAW are needed)
  5  this node lacks something
  6  the parameters make no sense
  7  the address is not here

Examples:
  pcs resource create web ocf:virtualip:VirtualIP ip=192.0.2.10     # after `make install-ocf`
  crm configure primitive web ocf:virtualip:VirtualIP params ip=192.0.2.10 op monitor interval=10s
  OCF_RESKEY_ip=192.0.2.10 virtualip ocf validate-all               # by hand: would it start here?
  OCF_RESKEY_ip=192.0.2.10 virtualip ocf start";

/// Runs one action.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    let action = args.action.as_deref().unwrap_or_default();
    match action {
        "meta-data" => {
            let printed = io::stdout().lock().write_all(METADATA.as_bytes());
            return printed.map_or(Code::Generic, |()| Code::Success).into();
        }
        "start" | "stop" | "monitor" | "status" | "validate-all" | ANNOUNCE => {}
        _ => {
            eprintln!("{USAGE}");
            return Code::Unimplemented.into();
        }
    }
    act(action).unwrap_or_else(Failure::say).into()
}

/// Why an action ended badly, as Pacemaker shall see it.
struct Failure {
    code: Code,
    reason: String,
}

impl Failure {
    /// `ocf_exit_reason`: Pacemaker shows the line that starts so. Names in it are as they were written.
    fn say(self) -> Code {
        eprintln!("ocf-exit-reason:{}", self.reason.replace(char::is_control, " "));
        self.code
    }
}

impl From<OcfError> for Failure {
    fn from(error: OcfError) -> Self {
        Self { code: error.code(), reason: error.reason() }
    }
}

impl From<Invalid> for Failure {
    fn from(error: Invalid) -> Self {
        OcfError::from(error).into()
    }
}

fn act(action: &str) -> Result<Code, Failure> {
    enter_namespace()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| generic("start the runtime", &error))?;
    runtime.block_on(async {
        match action {
            "start" => {
                let parameters = Parameters::read(parameter)?;
                ocf::start(&open()?, &parameters).await?;
                Ok(Code::Success)
            }
            "stop" => stop().await,
            "validate-all" => {
                let parameters = Parameters::read(parameter)?;
                ocf::validate(&open()?, &parameters).await?;
                Ok(Code::Success)
            }
            ANNOUNCE => {
                let parameters = Parameters::read(parameter)?;
                ocf::announce_rest(&open()?, &parameters).await?;
                Ok(Code::Success)
            }
            _ => monitor().await,
        }
    })
}

/// What never was an address is not here either.
async fn stop() -> Result<Code, Failure> {
    match Subject::read(parameter) {
        Ok(subject) => ocf::stop(&open()?, &subject).await.map(|_| Code::Success).map_err(Failure::from),
        Err(invalid) => {
            eprintln!("nothing to stop: {invalid}");
            Ok(Code::Success)
        }
    }
}

async fn monitor() -> Result<Code, Failure> {
    // A probe asks on every node, also where the resource could never run.
    let probe = ocf::is_probe(parameter);
    let found = match Subject::read(parameter) {
        Ok(subject) => ocf::monitor(&open()?, &subject, ocf::needs_carrier(parameter)).await,
        Err(invalid) => Err(invalid.into()),
    };
    match found {
        Ok(Monitored::Running(place)) => {
            if let Some(settings) = ocf::refresh(parameter)
                && let Err(error) = ocf::announce(&open()?, &place, settings.count, &settings).await
            {
                eprintln!("not announced again: {}", error.reason());
            }
            Ok(Code::Success)
        }
        Ok(Monitored::Stopped) => Ok(Code::NotRunning),
        // It has to be stopped here before it may run elsewhere.
        Ok(Monitored::Broken(reason)) => Err(Failure { code: Code::Generic, reason }),
        Err(OcfError::Invalid(_) | OcfError::NoNic { .. }) if probe => Ok(Code::NotRunning),
        // It was there when the resource was started: this node's failure, not the configuration's.
        Err(error @ OcfError::NoNic { .. }) => Err(Failure { code: Code::Generic, ..error.into() }),
        Err(error) => Err(error.into()),
    }
}

fn open() -> Result<Kernel, OcfError> {
    Ok(Kernel::open()?)
}

/// What is no UTF-8 is no parameter left out: it is refused as what it is not.
fn parameter(name: &str) -> Option<String> {
    env::var_os(name).map(|text| text.to_string_lossy().into_owned())
}

/// Parameter `network_namespace`: one that `ip netns` made.
fn enter_namespace() -> Result<(), Failure> {
    let Some(name) = parameter("OCF_RESKEY_network_namespace").filter(|name| !name.is_empty()) else {
        return Ok(());
    };
    let what = format!("enter the network namespace {name}");
    let file = File::open(format!("/run/netns/{name}")).map_err(|error| generic(&what, &error))?;
    setns(file, CloneFlags::CLONE_NEWNET).map_err(|errno| generic(&what, &errno.into()))
}

fn generic(what: &str, error: &io::Error) -> Failure {
    Failure { code: Code::Generic, reason: format!("cannot {what}: {error}") }
}
