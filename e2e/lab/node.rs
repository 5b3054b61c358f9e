//! A node: a host with containerd, kubelet and kube-proxy, and a cable to each of the two networks.

use super::{
    addresses::{API, in_subnet, management, of_node, pods},
    cables::interface,
    cgroup,
    control_plane::{ControlPlane, enrol_kubelet},
    daemon::Daemon,
    error::{Error, Result},
    host::Host,
    image::Image,
    node_config::{self, SOCKET},
    plan::{InterfacePlan, NodePlan},
    programs::Programs,
    run::until,
    state::State,
    switch::{Interface, Switch},
};
use ipnet::IpNet;
use std::{
    process::{Child, Command, Output},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A node of the cluster.
#[derive(Debug)]
pub struct Node {
    name: String,
    pub(super) index: usize,
    nodes: usize,
    state: State,
    plane: Arc<ControlPlane>,
    wire: Arc<Switch>,
    /// The interfaces on the data network as they were planned.
    pub(super) planned: Vec<Interface>,
    data: Mutex<Vec<Interface>>,
    ctr: String,
    pub(super) host: Arc<Host>,
    pub(super) containerd: Daemon,
    pub(super) kubelet: Daemon,
    pub(super) proxy: Daemon,
}

/// What a node is put together from.
pub struct Surroundings<'a> {
    /// The lab's files.
    pub state: &'a State,
    /// The programs.
    pub programs: &'a Programs,
    /// The control plane, whose host is on.
    pub plane: &'a Arc<ControlPlane>,
    /// The data network.
    pub wire: &'a Arc<Switch>,
    /// How many nodes there are.
    pub nodes: usize,
}

impl Node {
    /// A node, off at first.
    ///
    /// # Errors
    /// When its disk cannot be filled.
    pub fn new(around: &Surroundings<'_>, index: usize, plan: &NodePlan) -> Result<Self> {
        let Surroundings { state, programs, plane, wire, nodes } = around;
        let host = Arc::new(Host::with_disk(state, &plan.name)?);
        enrol_kubelet(&plane.authority, &plan.name, index)?;
        node_config::write_all(state, &host, index, programs, &plane.authority)?;
        let file = |name: &str| host.file(name).to_string_lossy().into_owned();
        let daemon = |name: &str, flags: &[String]| {
            let words = std::iter::once(programs.path(name)).chain(flags.iter().cloned()).collect();
            Daemon::new(&host, name, words)
        };
        let kubelet = [
            format!("--config={}", file("kubelet.json")),
            format!("--kubeconfig={}", plane.authority.paper(&format!("{}.kubeconfig", plan.name))),
            format!("--hostname-override={}", plan.name),
            format!("--node-ip={}", management(index)),
            "--root-dir=/var/lib/kubelet".to_owned(),
        ];
        let interface = |(number, wish): (usize, &InterfacePlan)| interface(index, number, wish);
        let planned = plan.interfaces.iter().enumerate().map(interface).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            name: plan.name.clone(),
            index,
            nodes: *nodes,
            state: (*state).clone(),
            plane: Arc::clone(plane),
            wire: Arc::clone(wire),
            data: Mutex::new(planned.clone()),
            planned,
            ctr: programs.path("ctr"),
            containerd: daemon("containerd", &[format!("--config={}", file("containerd.toml"))]),
            kubelet: daemon("kubelet", &kubelet),
            proxy: daemon("kube-proxy", &[format!("--config={}", file("kube-proxy.json"))]),
            host,
        })
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the node is powered on.
    pub fn is_on(&self) -> bool {
        self.host.is_on()
    }

    /// Boots the node, if it is off, with everything that runs on it.
    ///
    /// # Errors
    /// When something does not come up.
    pub fn power_on(&self) -> Result<()> {
        self.boot()?;
        self.start_programs()
    }

    /// Boots the node, if it is off, up to its container runtime: enough to load images.
    ///
    /// # Errors
    /// When something does not come up.
    pub fn boot(&self) -> Result<()> {
        if !self.host.is_on() {
            cgroup::create(&self.state.cgroup(&self.name))?;
            self.host.power_on()?;
            self.plane.switch.plug(&self.host, &self.management())?;
            for interface in self.data().iter() {
                self.wire.plug(&self.host, interface)?;
            }
            self.host.ip(&self.routes())?;
        }
        self.start_runtime()
    }

    /// Pulls the plug: nobody on the node sees it coming, and nothing is heard of it any more.
    ///
    /// # Errors
    /// When a cable does not go.
    pub fn power_off(&self) -> Result<()> {
        if !self.host.is_on() {
            return Ok(());
        }
        // Cut, not unplugged: an agent that saw its carrier go would hand over before it is killed.
        self.cut_off()?;
        self.host.power_off();
        // The kernel takes the cables away with the node, but in its own time.
        let _ = self.ports().iter().try_for_each(|port| self.wire.unplug(port));
        let _ = self.plane.switch.unplug(&self.management().port);
        [&self.kubelet, &self.proxy, &self.containerd].into_iter().for_each(Daemon::kill);
        let group = self.state.cgroup(&self.name);
        until("the node's control groups are gone", Duration::from_secs(10), || {
            Ok(cgroup::remove(&group).then_some(()))
        })
    }

    /// Starts what does not run: containerd, kubelet, kube-proxy.
    ///
    /// # Errors
    /// When containerd does not answer.
    pub fn start_programs(&self) -> Result<()> {
        self.start_runtime()?;
        self.kubelet.start()?;
        self.proxy.start()
    }

    /// Starts containerd, if it does not run, and waits until it answers.
    ///
    /// # Errors
    /// When it does not.
    pub fn start_runtime(&self) -> Result<()> {
        self.containerd.start()?;
        until(&format!("containerd of {} answers", self.name), Duration::from_secs(30), || {
            if !self.containerd.is_running() {
                return Err(Error::other(format!("it ended; see {}", self.containerd.log().display())));
            }
            self.ctr(&["version"]).map(Some)
        })
        .map(drop)
    }

    /// Loads an image archive, and pins it against the kubelet's cleaning.
    ///
    /// # Errors
    /// When containerd refuses it.
    pub fn load(&self, image: &Image) -> Result<()> {
        self.ctr(&["images", "import", "--local", &image.archive.to_string_lossy()])?;
        self.ctr(&["images", "label", &image.name, "io.cri-containerd.pinned=pinned"]).map(drop)
    }

    /// Lets the node live on when this process ends.
    ///
    /// # Errors
    /// When it is off.
    pub(super) fn keep(&self) -> Result<()> {
        [&self.kubelet, &self.proxy, &self.containerd].into_iter().for_each(Daemon::keep);
        self.host.keep()
    }

    /// Runs a program on the node, to its happy end, and gives what it printed.
    ///
    /// # Errors
    /// When it cannot be started or ends unhappily.
    pub fn exec<S: AsRef<str>>(&self, words: &[S]) -> Result<String> {
        self.host.run(words)
    }

    /// Runs a program on the node, to its end, happy or not.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn output<S: AsRef<str>>(&self, words: &[S]) -> Result<Output> {
        self.host.output(words)
    }

    /// Starts a program on the node.
    ///
    /// # Errors
    /// When the node is off or has no such program.
    pub fn spawn(&self, command: Command) -> Result<Child> {
        self.host.spawn(command)
    }

    /// The data network.
    pub(super) fn wire(&self) -> &Switch {
        &self.wire
    }

    /// The network of management.
    pub(super) fn management_switch(&self) -> &Switch {
        &self.plane.switch
    }

    fn routes(&self) -> Vec<String> {
        let others = (0..self.nodes).filter(|other| *other != self.index);
        let pods = others.map(|other| format!("route add {} via {}", pods(other), management(other)));
        std::iter::once(format!("route add default via {API}")).chain(pods).collect()
    }

    fn ctr(&self, words: &[&str]) -> Result<String> {
        self.host.run(&[&[self.ctr.as_str(), "--address", SOCKET, "--namespace", "k8s.io"], words].concat())
    }

    /// The interfaces on the data network as they are.
    pub(super) fn data(&self) -> MutexGuard<'_, Vec<Interface>> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
