//! The whole: control plane, nodes, the wire between them and a client on it.

use super::{
    addresses::{CLIENT, DATA, in_subnet},
    control_plane::ControlPlane,
    error::{Doing, Error, Result},
    host::Host,
    image::Image,
    janitor::Janitor,
    node::{Node, Surroundings},
    packages,
    plan::Plan,
    programs::Programs,
    run,
    seen::Seen,
    state::State,
    switch::{Interface, Switch},
};
use ipnet::IpNet;
use std::{path::PathBuf, process::Output, sync::Arc, thread, time::Duration};

/// A running cluster. It ends, with everything that belongs to it, when this is dropped or this process dies.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    client: Arc<Host>,
    wire: Arc<Switch>,
    plane: Arc<ControlPlane>,
    state: State,
    seen: Seen,
    // The last field: it waits until all is clean.
    janitor: Janitor,
}

impl Cluster {
    /// Builds what is missing, boots everything and waits until every node is Ready.
    ///
    /// # Errors
    /// When something does not come up; what was started is ended again.
    pub fn start(plan: &Plan) -> Result<Self> {
        packages::check()?;
        let programs = Programs::ready()?;
        let pause = Image::pause()?;
        let state = State::create()?;
        let janitor = Janitor::start(&state)?;
        let wire = Arc::new(Host::new(&state, "wire")?);
        wire.power_on()?;
        let wire = Arc::new(Switch::create(&wire, &[])?);
        let client = client(&state, &wire)?;
        let plane = Arc::new(ControlPlane::new(&state, &programs, plan.nodes.len())?);
        let around = Surroundings {
            state: &state,
            programs: &programs,
            plane: &plane,
            wire: &wire,
            nodes: plan.nodes.len(),
        };
        let nodes = plan.nodes.iter().enumerate();
        let nodes = nodes.map(|(index, plan)| Node::new(&around, index, plan)).collect::<Result<_>>()?;
        let cluster = Self { nodes, client, wire, plane, state, seen: Seen::default(), janitor };
        cluster.boot(&pause)?;
        run::until("every node is registered", Duration::from_mins(1), || {
            cluster.kubectl(&[&["get".to_owned()], cluster.spelled().as_slice()].concat()).map(Some)
        })?;
        cluster.wait_nodes_ready()?;
        Ok(cluster)
    }

    /// The nodes load what they need while the API server starts; a kubelet that comes before it would wait longer.
    fn boot(&self, pause: &Image) -> Result<()> {
        thread::scope(|scope| {
            let plane = scope.spawn(|| self.plane.start_all());
            self.on_every_node(|node| {
                node.boot()?;
                node.load(pause)
            })?;
            plane.join().map_err(|_| panicked())?
        })?;
        self.on_every_node(Node::start_programs)
    }

    /// The nodes.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn node(&self, name: &str) -> Result<&Node> {
        let found = self.nodes.iter().find(|node| node.name() == name);
        found.ok_or_else(|| Error::other(format!("the lab has no node {name}")))
    }

    /// The control plane.
    pub fn control_plane(&self) -> &ControlPlane {
        &self.plane
    }

    /// The directory with the lab's files and logs.
    pub fn dir(&self) -> PathBuf {
        self.state.dir().to_owned()
    }

    /// The host on the wire that asks for addresses.
    pub fn client(&self) -> &Arc<Host> {
        &self.client
    }

    /// What the client saw in all watches.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Plugs another host into the data network, as `eth0` with this hardware address. It ends when it is dropped.
    ///
    /// # Errors
    /// When there is one of this name.
    pub fn plug_host(&self, name: &str, mac: &str, addresses: &[IpNet]) -> Result<Arc<Host>> {
        plug_host(&self.state, &self.wire, name, mac, addresses)
    }

    /// Runs a program on the client, to its happy end, and gives what it printed.
    ///
    /// # Errors
    /// When it cannot be started or ends unhappily.
    pub fn client_exec<S: AsRef<str>>(&self, words: &[S]) -> Result<String> {
        self.client.run(words)
    }

    /// Runs kubectl as administrator, to its end, happy or not.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn kubectl_output<S: AsRef<str>>(&self, words: &[S]) -> Result<Output> {
        self.plane.kubectl(words)
    }

    /// Runs kubectl as administrator with this standard input, to its end, happy or not.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn kubectl_fed(&self, words: &[&str], input: &str) -> Result<Output> {
        let mut command = self.plane.kubectl_command();
        command.args(words);
        self.plane.host.feed_in_network(command, input)
    }

    /// Runs kubectl as administrator, to its happy end, and gives what it printed.
    ///
    /// # Errors
    /// When it ends unhappily, with what it said.
    pub fn kubectl<S: AsRef<str>>(&self, words: &[S]) -> Result<String> {
        let spelled = format!("kubectl {}", words.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" "));
        run::happy(&spelled, &self.kubectl_output(words)?)
    }

    /// `kubectl get -o json`.
    ///
    /// # Errors
    /// As [`Cluster::kubectl`].
    pub fn get<S: AsRef<str>>(&self, words: &[S]) -> Result<serde_json::Value> {
        let words =
            [&["get", "-o", "json"], words.iter().map(AsRef::as_ref).collect::<Vec<_>>().as_slice()].concat();
        let what = format!("what kubectl {} printed", words.join(" "));
        serde_json::from_str(&self.kubectl(&words)?).map_err(|source| Error::Json { what, source })
    }

    /// `kubectl apply -f -`, happy or not.
    ///
    /// # Errors
    /// When kubectl cannot be started.
    pub fn apply_output(&self, yaml: &str) -> Result<Output> {
        self.kubectl_fed(&["apply", "-f", "-"], yaml)
    }

    /// `kubectl apply -f -`.
    ///
    /// # Errors
    /// When the API server refuses it, with its message.
    pub fn apply(&self, yaml: &str) -> Result<String> {
        run::happy("kubectl apply -f -", &self.apply_output(yaml)?)
    }

    /// Every request that the API server has answered so far, as its audit log tells.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn audit_log(&self) -> Result<Vec<serde_json::Value>> {
        let path = self.plane.audit_log();
        let text = std::fs::read_to_string(&path).doing(|| format!("read {}", path.display()))?;
        // What comes after the last line break is still being written.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let what = || "the API server's audit log".to_owned();
        let read = |line| serde_json::from_str(line).map_err(|source| Error::Json { what: what(), source });
        whole.lines().map(read).collect()
    }

    /// Waits until every node is Ready.
    ///
    /// # Errors
    /// When one is not within a minute, its kubelet started anew.
    pub fn wait_nodes_ready(&self) -> Result<()> {
        if self.ready_within("5s", &self.spelled()).is_ok() {
            return Ok(());
        }
        // A kubelet writes its Node when that differs from what its watch has told, and a watch that failed while the API
        // server was away is tried again after up to a minute: so long a node that is well may be shown as it was.
        self.on_every_node(|node| {
            self.ready_within("1s", &[spelled(node)]).or_else(|_| node.restart_kubelet())
        })?;
        self.ready_within("60s", &self.spelled())
    }

    fn ready_within(&self, limit: &str, nodes: &[String]) -> Result<()> {
        let ready = ["wait", "--for=condition=Ready", &format!("--timeout={limit}")].map(str::to_owned);
        self.kubectl(&[&ready, nodes].concat()).map(drop)
    }

    /// The nodes, as kubectl names them.
    fn spelled(&self) -> Vec<String> {
        self.nodes.iter().map(spelled).collect()
    }

    /// Loads an image into every node.
    ///
    /// # Errors
    /// When containerd refuses it.
    pub fn load(&self, image: &Image) -> Result<()> {
        self.on_every_node(|node| node.load(image))
    }

    /// Does something on all nodes at once.
    ///
    /// # Errors
    /// The first failure.
    pub fn on_every_node(&self, work: impl Fn(&Node) -> Result<()> + Sync) -> Result<()> {
        thread::scope(|scope| {
            let jobs: Vec<_> = self.nodes.iter().map(|node| scope.spawn(|| work(node))).collect();
            jobs.into_iter().try_for_each(|job| job.join().map_err(|_| panicked())?)
        })
    }

    /// Lets the cluster run on when this process ends, until its janitor (see `lab down`) is sent SIGTERM.
    ///
    /// # Errors
    /// When a part of it is already gone.
    pub fn keep(mut self) -> Result<PathBuf> {
        self.janitor.keep(&self.state)?;
        self.nodes.iter().try_for_each(Node::keep)?;
        self.plane.keep()?;
        self.client.keep()?;
        self.wire.host.keep()?;
        Ok(self.dir())
    }
}

fn spelled(node: &Node) -> String {
    format!("node/{}", node.name())
}

fn panicked() -> Error {
    Error::other("a thread of the lab panicked")
}

fn client(state: &State, wire: &Switch) -> Result<Arc<Host>> {
    let addresses = DATA.iter().map(|subnet| in_subnet(subnet, CLIENT)).collect::<Result<Vec<_>>>()?;
    plug_host(state, wire, "client", "02:00:00:00:00:05", &addresses)
}

fn plug_host(state: &State, wire: &Switch, name: &str, mac: &str, addresses: &[IpNet]) -> Result<Arc<Host>> {
    let host = Arc::new(Host::new(state, name)?);
    host.power_on()?;
    let [interface, port, mac] = ["eth0", name, mac].map(str::to_owned);
    wire.plug(&host, &Interface { name: interface, port, mac, addresses: addresses.to_vec() })?;
    Ok(host)
}
