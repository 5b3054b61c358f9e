//! The cells of the matrix: what happens, for how long, and how it is undone.

use super::{
    lab::{Cluster, Node, Result, addresses, losses::Way, refusals::Refusal, slow_api::SlowApi},
    random::Random,
    subject::Subject,
};
use nix::sys::signal::Signal;
use std::{thread, time::Duration};

/// How long the API server is away: far beyond every Lease.
const OUTAGE: Duration = Duration::from_secs(30);
/// How long everything else lasts: beyond every Lease, and long enough for another node to take over.
const WHILE: Duration = Duration::from_secs(8);
/// How long refusals last.
const REFUSED: Duration = Duration::from_secs(12);

/// Where it happens.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The cluster.
    pub lab: &'a Cluster,
    /// The node that has the addresses.
    pub owner: &'a Node,
    /// Another one.
    pub other: &'a Node,
    /// What stands in front of the API server.
    pub api: &'a SlowApi,
    /// What keeps the addresses up.
    pub subject: &'a dyn Subject,
}

/// Something that happens to a scene.
pub type Act = fn(Scene<'_>) -> Result<()>;

/// A fault.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Its name: what `T=` selects by.
    pub name: &'static str,
    /// How long it lasts.
    pub lasts: Duration,
    /// Begins it.
    pub begin: Act,
    /// Undoes it, for as far as it does not undo itself.
    pub lift: Act,
    /// Whether it can meet any other one: it begins and ends without kubectl and without the node's power, and does not
    /// replace another.
    pub mixes: bool,
    /// Whether it kills agents. A kubelet starts a container again at once when it was killed once in ten minutes; the next time
    /// it waits for 10 s, which is its own doing: so each run has pods of its own.
    pub kills: bool,
    /// Whom it can happen to.
    pub of: Whom,
}

/// Whom a fault can happen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Everybody who keeps addresses up.
    All,
    /// Whoever needs the API server.
    UsersOfTheApi,
    /// Our agents: it is about their Leases, or their part of the API server.
    Ours,
}

impl Fault {
    const fn mixing(self) -> Self {
        Self { mixes: true, ..self }
    }

    const fn killing(self) -> Self {
        Self { kills: true, ..self }
    }

    const fn of(self, of: Whom) -> Self {
        Self { of, ..self }
    }

    /// Whether it is anything to this subject.
    pub fn suits(&self, subject: &dyn Subject) -> bool {
        match self.of {
            Whom::All => true,
            Whom::UsersOfTheApi => subject.uses_api(),
            Whom::Ours => !subject.is_peer(),
        }
    }
}

const NOTHING: Act = |_| Ok(());

const fn fault(name: &'static str, lasts: Duration, begin: Act, lift: Act) -> Fault {
    Fault { name, lasts, begin, lift, mixes: false, kills: false, of: Whom::All }
}

/// All faults that happen alone, in the order of the table.
pub const FAULTS: [Fault; 31] = [
    fault("graceful stop", WHILE, |scene| scene.subject.stop(scene.lab, Some(scene.owner)), START),
    fault("agent killed", WHILE, |scene| scene.subject.signal(scene.owner, Signal::SIGKILL), START).killing(),
    fault("all agents killed", WHILE, KILL_AGENTS, START).killing(),
    fault("all agents restarted", WHILE, |scene| scene.subject.stop(scene.lab, None), START),
    fault(
        "programs killed",
        WHILE,
        |scene| scene.owner.kill_programs(),
        |scene| scene.owner.start_programs().and_then(|()| START(scene)),
    ),
    fault("agent stopped 2 s", Duration::from_secs(2), STOP_AGENT, CONTINUE_AGENT),
    fault("agent stopped 5 s", Duration::from_secs(5), STOP_AGENT, CONTINUE_AGENT),
    fault("agent stopped 20 s", Duration::from_secs(20), STOP_AGENT, CONTINUE_AGENT).killing(),
    fault(
        "power off",
        WHILE,
        |scene| scene.owner.power_off(),
        |scene| scene.owner.power_on().and_then(|()| START(scene)),
    ),
    fault("data link down", WHILE, |scene| scene.owner.data_down(), |scene| scene.owner.data_up()),
    fault("data link silent", WHILE, |scene| scene.owner.cut_data(), |scene| scene.owner.heal_data())
        .mixing(),
    fault("interface flaps", WHILE, |scene| scene.owner.flap("eth1", 10), NOTHING),
    fault("cut from API", WHILE, CUT_API, HEAR_ALL).mixing().of(Whom::UsersOfTheApi),
    fault("cut from peers", WHILE, CUT_PEERS, HEAR_ALL).mixing(),
    fault("cut from both", WHILE, |scene| CUT_API(scene).and_then(|()| CUT_PEERS(scene)), HEAR_ALL)
        .mixing()
        .of(Whom::UsersOfTheApi),
    fault("cut from everything", WHILE, |scene| scene.owner.cut_off(), |scene| scene.owner.heal()).mixing(),
    fault("sent frames lost", WHILE, |scene| scene.owner.lose(Way::Sent), HEAR_ALL).mixing(),
    fault("received frames lost", WHILE, |scene| scene.owner.lose(Way::Received), HEAR_ALL).mixing(),
    fault("API killed", OUTAGE, KILL_API, START_API).of(Whom::UsersOfTheApi),
    fault(
        "API hung",
        OUTAGE,
        |scene| scene.lab.control_plane().stop_api(),
        |scene| scene.lab.control_plane().continue_api(),
    )
    .mixing()
    .of(Whom::UsersOfTheApi),
    fault(
        "etcd hung",
        OUTAGE,
        |scene| scene.lab.control_plane().stop_etcd(),
        |scene| scene.lab.control_plane().continue_etcd(),
    )
    .mixing()
    .of(Whom::UsersOfTheApi),
    fault("API 0.2 s late", WHILE, LATE_200_MS, IN_TIME).of(Whom::UsersOfTheApi),
    fault("API 1 s late", WHILE, LATE_1_S, IN_TIME).of(Whom::UsersOfTheApi),
    fault("API 5 s late", OUTAGE, LATE_5_S, IN_TIME).mixing().of(Whom::UsersOfTheApi),
    fault("API answers 429", REFUSED, |scene| scene.lab.refuse(Refusal::TooManyRequests), ACCEPT)
        .of(Whom::Ours),
    fault("API answers 500", REFUSED, |scene| scene.lab.refuse(Refusal::InternalError), ACCEPT)
        .of(Whom::Ours),
    fault("API answers 503", REFUSED, |scene| scene.lab.refuse(Refusal::Unavailable), ACCEPT).of(Whom::Ours),
    fault("API and another node off", OUTAGE, |scene| kill_api_and(scene, scene.other), START_API)
        .of(Whom::UsersOfTheApi),
    fault("API and owner off", OUTAGE, |scene| kill_api_and(scene, scene.owner), START_API)
        .of(Whom::UsersOfTheApi),
    fault(
        "API and all agents killed",
        OUTAGE,
        |scene| KILL_API(scene).and_then(|()| KILL_AGENTS(scene)),
        START_API,
    )
    .killing()
    .of(Whom::UsersOfTheApi),
    fault(
        "API killed, peers cut",
        OUTAGE,
        |scene| KILL_API(scene).and_then(|()| CUT_PEERS(scene)),
        |scene| HEAR_ALL(scene).and_then(|()| START_API(scene)),
    )
    .of(Whom::UsersOfTheApi),
];

const START: Act = |scene| scene.subject.start();
const KILL_AGENTS: Act = |scene| scene.lab.on_every_node(|node| scene.subject.signal(node, Signal::SIGKILL));
const STOP_AGENT: Act = |scene| scene.subject.signal(scene.owner, Signal::SIGSTOP);
/// One that its liveness probe has ended meanwhile has a successor, which is not stopped.
const CONTINUE_AGENT: Act = |scene| {
    let _ = scene.subject.signal(scene.owner, Signal::SIGCONT);
    Ok(())
};
/// What it asks does not arrive, so nothing is answered; other nodes are on the same network, and are heard.
const CUT_API: Act = |scene| scene.owner.cut_messages(&format!("ip daddr {}", addresses::API));
const CUT_PEERS: Act = |scene| scene.owner.cut_messages(scene.subject.messages());
const HEAR_ALL: Act = |scene| scene.owner.lose_nothing();
const KILL_API: Act = |scene| {
    scene.lab.control_plane().kill_api();
    Ok(())
};
const START_API: Act = |scene| scene.lab.control_plane().start_api();
const ACCEPT: Act = |scene| scene.lab.refuse_nothing();
const LATE_200_MS: Act = |scene| {
    scene.api.delay(Duration::from_millis(200));
    Ok(())
};
const LATE_1_S: Act = |scene| {
    scene.api.delay(Duration::from_secs(1));
    Ok(())
};
const LATE_5_S: Act = |scene| {
    scene.api.delay(Duration::from_secs(5));
    Ok(())
};
const IN_TIME: Act = |scene| {
    scene.api.delay(Duration::ZERO);
    Ok(())
};

/// The API server comes back without that node, which stays off until the run is over.
fn kill_api_and(scene: Scene<'_>, node: &Node) -> Result<()> {
    KILL_API(scene)?;
    node.power_off()
}

/// Two faults, the second beginning while the first lasts.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// In the order in which they begin.
    pub faults: [Fault; 2],
    /// The second begins so much later.
    pub after: Duration,
}

impl Pair {
    /// Two different faults that do not take the ground from each other: what is powered off cannot be stopped.
    pub fn draw(random: &mut Random, subject: &dyn Subject) -> Self {
        let fit: Vec<_> = FAULTS.iter().filter(|fault| fault.mixes && fault.suits(subject)).collect();
        let first = random.below(fit.len());
        let second = (first + 1 + random.below(fit.len() - 1)) % fit.len();
        let after = Duration::from_millis(u64::try_from(random.below(4000)).unwrap_or_default());
        Self { faults: [*fit[first], *fit[second]], after }
    }

    /// Lets both happen and undoes both.
    ///
    /// # Errors
    /// When one cannot be begun or undone.
    pub fn happen(&self, scene: Scene<'_>) -> Result<()> {
        let [first, second] = self.faults;
        (first.begin)(scene)?;
        thread::sleep(self.after);
        (second.begin)(scene)?;
        thread::sleep(WHILE);
        (second.lift)(scene)?;
        (first.lift)(scene)
    }
}
