//! etcd, API server, controller manager and scheduler, on a host of their own at the network of management.

use super::{
    addresses::{API, API_NET, API_SERVICE, SERVICES, management, pods},
    certificates::{Authority, Identity},
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

/// Every request, with who asked for what and when; not its body.
const AUDIT_POLICY: &str = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy",
"omitStages": ["RequestReceived"], "rules": [{"level": "Metadata"}]}"#;

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

fn etcd_flags(host: &Host) -> Vec<String> {
    flags(&[
        ("data-dir", host.file("etcd").to_string_lossy().into_owned()),
        ("listen-client-urls", "http://127.0.0.1:2379".into()),
        ("advertise-client-urls", "http://127.0.0.1:2379".into()),
        ("listen-peer-urls", "http://127.0.0.1:2380".into()),
        // Nothing here needs to survive a power cut of the machine.
        ("unsafe-no-fsync", "true".into()),
    ])
}

fn api_flags(state: &State, host: &Host, authority: &Authority) -> Result<Vec<String>> {
    let policy = host.file("audit-policy.json");
    fs::write(&policy, AUDIT_POLICY).doing(|| format!("write {}", policy.display()))?;
    Ok(flags(&[
        ("etcd-servers", "http://127.0.0.1:2379".into()),
        ("secure-port", "6443".into()),
        ("bind-address", "0.0.0.0".into()),
        ("advertise-address", API.into()),
        ("tls-cert-file", authority.paper("apiserver.crt")),
        ("tls-private-key-file", authority.paper("apiserver.key")),
        ("client-ca-file", authority.paper("ca.crt")),
        ("service-account-key-file", authority.paper("sa.pub")),
        ("service-account-signing-key-file", authority.paper("sa.key")),
        ("service-account-issuer", "https://kubernetes.default.svc".into()),
        ("authorization-mode", "Node,RBAC".into()),
        ("enable-admission-plugins", "NodeRestriction".into()),
        ("service-cluster-ip-range", SERVICES.into()),
        ("allow-privileged", "true".into()),
        ("kubelet-client-certificate", authority.paper("apiserver-kubelet.crt")),
        ("kubelet-client-key", authority.paper("apiserver-kubelet.key")),
        ("kubelet-certificate-authority", authority.paper("ca.crt")),
        ("kubelet-preferred-address-types", "InternalIP".into()),
        ("audit-policy-file", policy.to_string_lossy().into_owned()),
        ("audit-log-path", state.file("audit.log").to_string_lossy().into_owned()),
    ]))
}

fn manager_flags(authority: &Authority, name: &str, more: &[String]) -> Vec<String> {
    let kubeconfig = || authority.paper(&format!("{name}.kubeconfig"));
    let mut all = flags(&[
        ("kubeconfig", kubeconfig()),
        ("authentication-kubeconfig", kubeconfig()),
        ("authorization-kubeconfig", kubeconfig()),
        ("leader-elect", "false".into()),
        ("bind-address", "127.0.0.1".into()),
        // With the defaults the pods of a DaemonSet come seconds late.
        ("kube-api-qps", "500".into()),
        ("kube-api-burst", "1000".into()),
    ]);
    all.extend(more.iter().cloned());
    all
}

fn controller_flags(authority: &Authority) -> Vec<String> {
    flags(&[
        ("use-service-account-credentials", "true".into()),
        ("service-account-private-key-file", authority.paper("sa.key")),
        ("root-ca-file", authority.paper("ca.crt")),
        // The lab gives each node its subnet of pods itself.
        ("allocate-node-cidrs", "false".into()),
        ("node-monitor-period", "1s".into()),
        ("node-monitor-grace-period", "8s".into()),
    ])
}

fn flags(pairs: &[(&str, String)]) -> Vec<String> {
    pairs.iter().map(|(name, value)| format!("--{name}={value}")).collect()
}
