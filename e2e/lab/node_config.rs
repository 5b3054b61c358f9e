//! The configuration files of a node's programs.

use super::{
    addresses::{PODS, pods},
    certificates::Authority,
    error::{Doing, Result},
    host::Host,
    programs::Programs,
    state::State,
};
use serde_json::json;
use std::{fs, path::Path};

/// The image of the process that holds a pod's namespaces.
pub const PAUSE: &str = "virtualip.dev/lab/pause:1";
/// containerd's socket, in the node.
pub const SOCKET: &str = "/run/containerd/containerd.sock";

/// Writes all of them onto the node's disk.
///
/// # Errors
/// When a file cannot be written.
pub fn write_all(
    state: &State,
    host: &Host,
    index: usize,
    programs: &Programs,
    authority: &Authority,
) -> Result<()> {
    let cni = host.file("cni");
    fs::create_dir_all(&cni).doing(|| format!("make {}", cni.display()))?;
    write(&cni.join("10-lab.conflist"), &network(index))?;
    write(&host.file("containerd.toml"), &containerd(&cni, programs))?;
    write(&host.file("kubelet.json"), &kubelet(state, host, authority))?;
    write(&host.file("kube-proxy.json"), &proxy(host, authority))
}

fn network(index: usize) -> String {
    let ipam = json!({
        "type": "host-local",
        "dataDir": "/run/cni-ipam",
        "ranges": [[{"subnet": pods(index)}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    });
    let bridge = json!({"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true, "ipam": ipam});
    json!({"cniVersion": "1.0.0", "name": "lab", "plugins": [bridge]}).to_string()
}

fn containerd(cni: &Path, programs: &Programs) -> String {
    let (shim, cni) = (programs.path("containerd-shim-runc-v2"), cni.display());
    format!(
        "version = 3
root = '/var/lib/containerd'
state = '/run/containerd'
oom_score = 0
imports = []
disabled_plugins = ['io.containerd.nri.v1.nri', 'io.containerd.snapshotter.v1.erofs',
  'io.containerd.snapshotter.v1.blockfile', 'io.containerd.differ.v1.erofs',
  'io.containerd.tracing.processor.v1.otlp', 'io.containerd.internal.v1.tracing']
[grpc]
  address = '{SOCKET}'
[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = '{PAUSE}'
[plugins.'io.containerd.cri.v1.runtime']
  # Without CAP_SYS_RESOURCE a lower score is refused, and with it every pod.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins.'io.containerd.cri.v1.runtime'.containerd]
    default_runtime_name = 'runc'
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
      runtime_type = 'io.containerd.runc.v2'
      runtime_path = '{shim}'
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
        BinaryName = '/usr/sbin/runc'
        SystemdCgroup = false
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ['/usr/lib/cni']
    conf_dir = '{cni}'
"
    )
}

fn kubelet(state: &State, host: &Host, authority: &Authority) -> String {
    let name = host.name();
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": false,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": Path::new("/").join(state.cgroup(name)),
        "cgroupsPerQOS": true,
        "enforceNodeAllocatable": ["pods"],
        "failSwapOn": false,
        "containerRuntimeEndpoint": format!("unix://{SOCKET}"),
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": authority.paper("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": authority.paper(&format!("{name}.crt")),
        "tlsPrivateKeyFile": authority.paper(&format!("{name}.key")),
        "resolvConf": "",
        "clusterDNS": [],
        // The images are loaded once and must not be cleaned away; the disk is the machine's, which may be rather full.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%",
            "nodefs.inodesFree": "1%", "imagefs.inodesFree": "1%",
        },
        "nodeStatusUpdateFrequency": "2s",
        // As often as kubelets say it that are told neither: a Node in which nothing has changed is not written.
        "nodeStatusReportFrequency": "5m",
        "nodeLeaseDurationSeconds": 8,
        "syncFrequency": "10s",
        "registerNode": true,
    })
    .to_string()
}

fn proxy(host: &Host, authority: &Authority) -> String {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": authority.paper("kube-proxy.kubeconfig")},
        "clusterCIDR": PODS,
        "hostnameOverride": host.name(),
        // These are the machine's own.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    })
    .to_string()
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).doing(|| format!("write {}", path.display()))
}
