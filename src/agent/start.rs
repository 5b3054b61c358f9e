//! Builds an agent from its parts and runs it.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use kube::api::{Api, PostParams};
use kube::client::ClientBuilder;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, watch};
use tower::timeout::TimeoutLayer;
use tower_http::timeout::ResponseBodyTimeoutLayer;
use tracing::{info, warn};

use super::deadline::Deadline;
use super::fencing::Fencing;
use super::guards::Guards;
use super::hand::Hand;
use super::input::{Input, Inputs};
use super::keys;
use super::lease_client::LeaseClient;
use super::lease_watch::LeaseWatch;
use super::options::{Options, OptionsError};
use super::own_thread::{on_own_thread, own_runtime};
use super::peers::Peers;
use super::perform::Performer;
use super::planner::Planner;
use super::realtime::{self, Priority};
use super::report::{Report, Sinks};
use super::run::{Agent, Outside, planning};
use super::senses;
use super::uninstall::{self, Rights};
use super::wait::Wait;
use super::watches::Objects;
use crate::api::{VirtualIPNode, VirtualIPNodeSpec};
use crate::network::{Announcer, HostLock, Kernel, KernelError, LockError, Monitor, WireError};
use crate::observe::health::{self, Health, HealthError};
use crate::observe::metrics::{self, Metrics};
use crate::observe::urgent::Urgent;
use crate::observe::{Datagrams, StatusWriter, events};
use crate::ownership::{Machine, NodeName};

/// How long a former agent of this node may take to end.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// How long the hand may take to be rid of what is silent already.
const TIDYING: Duration = Duration::from_millis(300);

/// A connection over which nothing was read for so long although an answer, or more of one, is due, is a dead one; watches are begun again
/// before.
const READ_LIMIT: Duration = Duration::from_mins(1);

/// Why an agent cannot run, or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What it was told makes no sense.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// Another agent runs on this node.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The kernel cannot be talked to.
    #[error("cannot talk to the kernel")]
    Kernel(#[from] KernelError),
    /// The wire cannot be talked to.
    #[error("cannot announce addresses")]
    Wire(#[from] WireError),
    /// The process cannot find out how to reach the API server.
    #[error("cannot find the API server's address and credentials")]
    Config(#[from] kube::config::InferConfigError),
    /// A client cannot be built.
    #[error("cannot build a client for the API server")]
    Client(#[from] kube::Error),
    /// The health endpoints cannot be served.
    #[error(transparent)]
    Health(#[from] HealthError),
    /// Signals cannot be caught.
    #[error("cannot catch signals")]
    Signals(#[source] std::io::Error),
    /// The system refuses a thread, or an event queue.
    #[error("cannot start the thread that keeps the rights")]
    Thread(#[source] std::io::Error),
    /// The kernel gives no random bytes.
    #[error("cannot draw a random number")]
    Random(#[source] std::io::Error),
}

/// Runs the agent of one node until SIGTERM.
///
/// # Errors
/// What made it impossible to start.
pub async fn run(options: Options) -> Result<(), Error> {
    // Before the first look at the kernel and the first write: two agents of one node would undo every rule.
    let _lock = lock().await?;
    let mut monitor = Monitor::open()?;
    let kernel = Kernel::open()?;
    monitor.deaf_to(&kernel);
    let (fencing, fence) = Fencing::open(&kernel);
    let timing = options.timing(fencing.kind())?;
    let links = kernel.links().await?;
    let (inputs, door) = Inputs::new();
    let clients = Clients::new().await?;
    let rights = Rights::new(clients.objects.clone(), &options.namespace);
    senses::catch_signals(inputs.clone(), rights.clone()).map_err(Error::Signals)?;
    let (restart, back) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let objects = Objects::watch(&clients.objects, &inputs, &restart, &back);
    let peers = Peers::open(&options.node, options.peer_port);
    let urgent = Urgent::default();
    let sinks = sinks(&options, &clients, &peers, &urgent).await?;
    let lease_client =
        |client: &kube::Client| LeaseClient::new(client.clone(), &options.namespace, timing.duration);
    let performer = Performer::new(
        lease_client(&clients.life),
        lease_client(&clients.titles),
        timing.call_timeout(),
        inputs.clone(),
        (sinks.metrics.clone(), urgent),
        &back,
    );

    let (deadline, gates) = (Deadline::behind(fencing.deadline()), fencing.gates());
    let (orders, hand_door) = mpsc::unbounded_channel();
    let (answering, claimable) = watch::channel(BTreeSet::new());
    let hand = Hand::new(
        (kernel.clone(), fencing),
        Announcer::open()?,
        deadline.clone(),
        inputs.clone(),
        sinks.metrics.clone(),
        links.clone(),
        answering,
    );
    let hand_runtime = own_runtime().map_err(Error::Thread)?;
    let handling = move || hand_runtime.block_on(hand.run(hand_door));
    let hand = tokio::spawn(on_own_thread("hand", Priority::Hand, drop, handling));
    tokio::spawn(senses::follow_kernel(monitor, kernel.clone(), inputs.clone(), claimable));
    let leases = LeaseWatch::new(
        clients.leases.clone(),
        (&options.namespace, NodeName(options.node.as_str().into())),
        inputs.clone(),
        restart.clone(),
        back.clone(),
    );
    tokio::spawn(leases.run());
    tokio::spawn(async move { uninstall::protect(&rights).await });
    if options.peer_port != 0 {
        let place =
            keys::Place { client: clients.objects.clone(), namespace: options.namespace.clone(), back };
        tokio::spawn(keys::follow(place, key_spans(options.key_period)?, inputs.clone()));
    }
    tokio::spawn(introduce(clients.objects.clone(), options.node.clone()));
    tokio::spawn(tell_when_listed(objects.clone(), inputs.clone()));

    let metrics = sinks.metrics.clone();
    let me = NodeName(options.node.as_str().into());
    info!(node = %me, duration = ?timing.duration, renew = ?timing.renew, "starting");
    let outside = Outside {
        performer,
        hand: orders,
        kernel,
        deadline,
        gates,
        aside: Handle::current(),
        guards: Guards::new(clients.objects.clone(), inputs.clone()),
        restart,
        peers,
        scenes: planning(inputs.clone()).map_err(Error::Thread)?,
        report: Report::new(me.clone(), objects.clone(), sinks, fence),
        inputs,
    };
    let machine = Machine::new(me.clone(), timing, incarnation()?);
    let planner = Planner::new(options.node, objects);
    let agent = Agent::new(machine, me, planner, outside, links);
    let preferred = move |allowed| tell_priority(&metrics, allowed);
    let wait = Wait::new(door).map_err(Error::Thread)?;
    on_own_thread("rights", Priority::Rights, preferred, move || agent.run(wait))
        .await
        .map_err(Error::Thread)?;
    // It has heard of all that is to go, and may not be done with it.
    let _ = tokio::time::timeout(TIDYING, hand).await;
    info!("stopped");
    Ok(())
}

/// Clients with connections of their own, so that no request of the protocol waits for another kind.
struct Clients {
    life: kube::Client,
    titles: kube::Client,
    leases: kube::Client,
    objects: kube::Client,
}

impl Clients {
    async fn new() -> Result<Self, Error> {
        let mut config = kube::Config::infer().await?;
        // A retry by the library would send the same write twice at a moment that nobody knows.
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(2));
        // That of the connections rings a timer after everything that is read: an agent that idles would wake for each event twice.
        config.read_timeout = None;
        let client = || {
            let builder = ClientBuilder::try_from(config.clone())?;
            let limited = builder.with_layer(&ResponseBodyTimeoutLayer::new(READ_LIMIT));
            Ok::<_, kube::Error>(limited.with_layer(&TimeoutLayer::new(READ_LIMIT)).build())
        };
        Ok(Self { life: client()?, titles: client()?, leases: client()?, objects: client()? })
    }
}

async fn lock() -> Result<HostLock, Error> {
    let begin = tokio::time::Instant::now();
    loop {
        match HostLock::take() {
            Ok(lock) => return Ok(lock),
            Err(error) if begin.elapsed() > LOCK_PATIENCE => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn sinks(options: &Options, clients: &Clients, peers: &Peers, urgent: &Urgent) -> Result<Sinks, Error> {
    let (metrics, mut registry) = metrics::registry();
    registry.register_collector(Box::new(Datagrams::new(peers.counts())));
    let (health, statuses) = (Health::new(), StatusWriter::default());
    let listener = health::bind(options.listen).await?;
    tokio::spawn(health::serve(listener, health.clone(), registry));
    tokio::spawn(statuses.clone().run(clients.objects.clone(), metrics.clone(), urgent.clone()));
    let (events, sender) = events::recorder(&options.node, &metrics);
    tokio::spawn(sender.run(clients.objects.clone(), urgent.clone()));
    Ok(Sinks { statuses, events, metrics, health })
}

/// Not all agents change the keys at the same moment.
fn key_spans(period: Duration) -> Result<keys::Spans, Error> {
    let share = u32::try_from(incarnation()? % 1000).unwrap_or_default();
    Ok(keys::Spans { period, jitter: period / 10 * share / 1000 })
}

/// How the system treats the loop, and the memory that it works in.
fn tell_priority(metrics: &Metrics, realtime: io::Result<()>) {
    metrics.loop_realtime.set(realtime.is_ok().into());
    match realtime {
        Ok(()) => info!("the loop runs before ordinary programs"),
        Err(error) => {
            info!(%error, "the loop runs as ordinary programs do: real-time priority is not allowed");
        }
    }
    let locked = realtime::lock_memory();
    metrics.memory_locked.set(locked.is_ok().into());
    if let Err(error) = locked {
        info!(%error, "memory is not locked: it is not allowed");
    }
}

/// Makes this node's own object, if it is not there.
async fn introduce(client: kube::Client, node: String) {
    let api: Api<VirtualIPNode> = Api::all(client);
    let object = VirtualIPNode::new(&node, VirtualIPNodeSpec::default());
    loop {
        match api.create(&PostParams::default(), &object).await {
            Ok(_) => return,
            Err(kube::Error::Api(status)) if status.code == 409 => return,
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "cannot make this node's VirtualIPNode");
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn tell_when_listed(objects: Objects, inputs: Inputs) {
    objects.ready().await;
    inputs.send(Input::Listed);
}

/// Tells this process from every other: see [`crate::ownership::Nonce`].
fn incarnation() -> Result<u64, Error> {
    let mut bytes = [0; 8];
    let mut random = std::fs::File::open("/dev/urandom").map_err(Error::Random)?;
    random.read_exact(&mut bytes).map_err(Error::Random)?;
    Ok(u64::from_ne_bytes(bytes))
}
