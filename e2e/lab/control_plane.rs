//! etcd, API server, controller manager and scheduler, on a host of their own at the network of management.

use super::{
    addresses::{API, API_NET, API_SERVICE, SERVICES, management, pods},
    certificates::{Authority, Identity},
    control_plane_flags::{api_flags, controller_flags, etcd_flags, manager_flags},
    daemon::Daemon,
    error::{Doing, Error, Result},
    host::Host,
    programs::Programs,
    run::{self, until},
    state::State,
    switch::Switch,
};
use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
    sync::Arc,
    time::Duration,
};

/// The directory of the papers.
const PAPERS: &str = "pki";

/// The control plane.
#[derive(Debug)]
pub struct ControlPlane {
    /// The host that it runs on.
    pub host: Arc<Host>,
    /// The network of management.
    pub switch: Switch,
    /// The papers.
    pub authority: Authority,
    /// The store.
    pub etcd: Daemon,
    /// The API server.
    pub api: Daemon,
    managers: [Daemon; 2],
    programs: Programs,
    state: State,
}

impl ControlPlane {
    /// Boots the host and makes the papers. Nothing is started yet.
    ///
    /// # Errors
    /// When the host does not boot.
    pub fn new(state: &State, programs: &Programs, nodes: usize) -> Result<Self> {
        let host = Arc::new(Host::new(state, "control-plane")?);
        host.power_on()?;
        let own = API_NET.parse().map_err(|_| Error::other("the API server's address is no address"))?;
        let switch = Switch::create(&host, &[own])?;
        let routes: Vec<_> =
            (0..nodes).map(|i| format!("route add {} via {}", pods(i), management(i))).collect();
        host.ip(&routes)?;
        let authority = papers(state)?;
        let daemon = |name: &str, flags: Vec<String>| {
            let words = std::iter::once(programs.path(name)).chain(flags).collect();
            Daemon::new(&host, name, words)
        };
        let manager = |name: &str, more: &[String]| daemon(name, manager_flags(&authority, name, more));
        Ok(Self {
            etcd: daemon("etcd", etcd_flags(&host)),
            api: daemon("kube-apiserver", api_flags(state, &host, &authority)?),
            managers: [
                manager("kube-controller-manager", &controller_flags(&authority)),
                manager("kube-scheduler", &[]),
            ],
            host: Arc::clone(&host),
            switch,
            authority,
            programs: programs.clone(),
            state: state.clone(),
        })
    }

    /// Whether each of the programs runs.
    pub fn all_run(&self) -> bool {
        self.managers.iter().chain([&self.etcd, &self.api]).all(Daemon::is_running)
    }

    /// Starts what does not run, and waits until the API server is ready.
    ///
    /// # Errors
    /// When one of the programs does not come up.
    pub fn start_all(&self) -> Result<()> {
        self.etcd.start()?;
        self.api.start()?;
        self.wait_ready()?;
        self.managers.iter().try_for_each(Daemon::start)
    }

    /// Waits until the API server says that it is ready.
    ///
    /// # Errors
    /// When it does not within a minute.
    pub fn wait_ready(&self) -> Result<()> {
        until("the API server is ready", Duration::from_mins(1), || {
            if !self.api.is_running() || !self.etcd.is_running() {
                return Err(Error::other(format!(
                    "the API server or etcd ended; see {}",
                    self.api.log().display()
                )));
            }
            let output = self.kubectl(&["get", "--raw", "/readyz", "--request-timeout=5s"])?;
            run::happy("kubectl get --raw /readyz", &output).map(Some)
        })
        .map(drop)
    }

    /// Lets everything live on when this process ends.
    ///
    /// # Errors
    /// When the host is already gone.
    pub fn keep(&self) -> Result<()> {
        self.managers.iter().chain([&self.etcd, &self.api]).for_each(Daemon::keep);
        self.host.keep()
    }

    /// kubectl as administrator.
    pub fn kubectl_command(&self) -> Command {
        kubectl_for(&self.programs, &self.state)
    }

    /// Runs kubectl as administrator, to its end, happy or not.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn kubectl<S: AsRef<str>>(&self, words: &[S]) -> Result<Output> {
        let mut command = self.kubectl_command();
        command.args(words.iter().map(AsRef::as_ref));
        self.host.output_in_network(command)
    }

    /// The administrator's kubeconfig. The API server is reached only from inside the lab.
    pub fn kubeconfig(&self) -> String {
        self.authority.paper("admin.kubeconfig")
    }

    /// Where the API server notes every request.
    pub fn audit_log(&self) -> PathBuf {
        self.state.file("audit.log")
    }
}

/// kubectl as administrator of a lab, which it reaches only from inside.
pub fn kubectl_for(programs: &Programs, state: &State) -> Command {
    let mut command = Command::new(programs.path("kubectl"));
    command.env("KUBECONFIG", state.file(PAPERS).join("admin.kubeconfig"));
    // Every lab has the same address, but not the same kinds of objects.
    command.env("KUBECACHEDIR", state.file("kubectl-cache"));
    command
}

/// The URL of the API server.
pub fn url() -> String {
    format!("https://{API}:6443")
}

fn papers(state: &State) -> Result<Authority> {
    let authority = Authority::create(state.file(PAPERS))?;
    let mut serves = [API, API_SERVICE, "127.0.0.1"].map(str::to_owned).to_vec();
    serves.extend(["kubernetes", "kubernetes.default", "kubernetes.default.svc"].map(str::to_owned));
    authority.issue(Identity { file: "apiserver", user: "kube-apiserver", serves: &serves, group: None })?;
    let masters = Some("system:masters");
    authority.issue(Identity {
        file: "apiserver-kubelet",
        user: "kube-apiserver",
        group: masters,
        serves: &[],
    })?;
    authority.enrol(Identity { file: "admin", user: "admin", group: masters, serves: &[] }, &url())?;
    for name in ["kube-controller-manager", "kube-scheduler", "kube-proxy"] {
        let user = format!("system:{name}");
        authority.enrol(Identity { file: name, user: &user, ..Identity::default() }, &url())?;
    }
    Ok(authority)
}

/// Enrols the kubelet of the node with this index.
///
/// # Errors
/// When the certificate cannot be made.
pub fn enrol_kubelet(authority: &Authority, node: &str, index: usize) -> Result<()> {
    // The API server checks the kubelet's certificate against the node's address.
    let serves = [management(index), node.to_owned()];
    let user = format!("system:node:{node}");
    authority
        .enrol(Identity { file: node, user: &user, group: Some("system:nodes"), serves: &serves }, &url())
}
