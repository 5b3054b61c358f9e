//! `MetalLB` in layer-2 mode in the cluster, for comparison: its speakers as they are released, and one Service of type
//! `LoadBalancer` whose addresses they announce. Which addresses that are says the lab, so its controller has nothing to do.

use super::{
    cluster::Cluster,
    error::{Doing, Error, Result},
    image::Image,
    node::Node,
    process::Process,
    run::until,
};
use serde_json::json;
use std::{fs, net::IpAddr, path::Path, thread, time::Duration};

/// The namespace of its manifests.
const NAMESPACE: &str = "metallb-system";
/// Its agents.
const SPEAKERS: &str = "daemonset/speaker";
/// What they are in their image.
const SPEAKER: &str = "/speaker";
/// What its release calls everything that is to be applied.
const MANIFEST: &str = "metallb-native.yaml";
/// In those manifests: what would ask the controller, and the controller.
const UNUSED: [&str; 2] =
    ["validatingwebhookconfiguration/metallb-webhook-configuration", "deployment/controller"];
/// How long its speakers may take until one of them answers: each waits for a while for the others.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long the client asks to find out who answers.
const ASK: Duration = Duration::from_millis(300);

/// The traffic between its speakers, in nft's words.
pub const MESSAGES: &str = "meta l4proto { tcp, udp } th dport 7946";

/// `MetalLB` on every node of a lab.
#[derive(Debug)]
pub struct MetalLb {
    /// What it announces.
    pub addresses: Vec<IpAddr>,
}

impl MetalLb {
    /// Installs it from a folder with its static program `speaker` and the `metallb-native.yaml` of the same release, and lets it
    /// announce these addresses.
    ///
    /// # Errors
    /// When something is missing there, or the API server refuses something.
    pub fn start(lab: &Cluster, folder: &Path, addresses: &[IpAddr]) -> Result<Self> {
        let file = folder.join(MANIFEST);
        let manifest = fs::read_to_string(&file).doing(|| format!("read {}", file.display()))?;
        let mut images = manifest.lines().filter_map(|line| line.trim().strip_prefix("image: "));
        let image = images.find(|name| name.contains("speaker"));
        let image = image.ok_or_else(|| Error::other(format!("{} names no speaker", file.display())))?;
        lab.load(&Image::of_program(image, &folder.join("speaker"))?)?;
        lab.apply(&manifest)?;
        for object in UNUSED {
            lab.kubectl(&["delete", object, "-n", NAMESPACE, "--ignore-not-found"])?;
        }
        lab.apply(&announced(addresses))?;
        let ingress: Vec<_> = addresses.iter().map(|address| json!({"ip": address})).collect();
        let status = json!({"status": {"loadBalancer": {"ingress": ingress}}}).to_string();
        lab.kubectl(&["patch", "service/web", "--subresource=status", "--type=merge", "--patch", &status])?;
        Ok(Self { addresses: addresses.to_vec() })
    }

    /// Waits until every node has its speaker and one node alone answers for all addresses, and says which.
    ///
    /// # Errors
    /// When it does not come to that.
    pub fn at_rest(&self, lab: &Cluster) -> Result<String> {
        lab.kubectl(&["rollout", "status", SPEAKERS, "-n", NAMESPACE, "--timeout=120s"])?;
        until("one node alone answers for MetalLB's addresses", PATIENCE, || self.answering(lab))
    }

    /// No kernel has the addresses: the wire says whose they are.
    fn answering(&self, lab: &Cluster) -> Result<Option<String>> {
        let addresses: Vec<_> = self.addresses.iter().map(IpAddr::to_string).collect();
        let watch = lab.watch(&addresses)?;
        thread::sleep(ASK);
        let verdict = watch.stop()?;
        let owners = addresses.iter().map(|address| verdict.owners(address)).collect::<Result<Vec<_>>>()?;
        let [first, others @ ..] = owners.as_slice() else { return Ok(None) };
        let same = first.len() == 1 && others.iter().all(|other| other == first);
        Ok(first.first().filter(|_| same).cloned())
    }
}

/// Starts all speakers anew.
///
/// # Errors
/// When the API server refuses.
pub fn renew(lab: &Cluster) -> Result<()> {
    lab.kubectl(&["rollout", "restart", SPEAKERS, "-n", NAMESPACE]).map(drop)
}

/// Lets the speaker of a node, or all of them, end in good order; others are started for them.
///
/// # Errors
/// When the API server refuses.
pub fn stop(lab: &Cluster, on: Option<&Node>) -> Result<()> {
    lab.delete_pods(NAMESPACE, "component=speaker", on)
}

impl Node {
    /// The process of the node's speaker.
    ///
    /// # Errors
    /// When none runs there.
    pub fn speaker(&self) -> Result<Process> {
        self.process("speaker", |words| words.first().is_some_and(|word| word == SPEAKER))
    }
}

/// The secret that its controller would make, which addresses there are, and a Service that has an endpoint: without one nothing is
/// announced.
fn announced(addresses: &[IpAddr]) -> String {
    let ranges: Vec<_> = addresses.iter().map(|address| format!("\"{address}-{address}\"")).collect();
    format!(
        "apiVersion: v1
kind: Secret
metadata: {{name: memberlist, namespace: {NAMESPACE}}}
stringData: {{secretkey: the-lab-keeps-no-secrets}}
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {{name: web, namespace: {NAMESPACE}}}
spec: {{addresses: [{}]}}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {{name: web, namespace: {NAMESPACE}}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  type: LoadBalancer
  allocateLoadBalancerNodePorts: false
  ports: [{{port: 80}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
ports: [{{port: 80}}]
endpoints: [{{addresses: [10.244.1.200], conditions: {{ready: true}}}}]
",
        ranges.join(", ")
    )
}
