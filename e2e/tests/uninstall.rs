//! Uninstalling: agents, rights and objects are deleted at the same moment, and nothing is left.

use crate::{lab::Cluster, runner::Outcome};

super::tests![deleting_the_manifests_leaves_nothing_behind];

const MANIFESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests");
const VIRTUALIPS: &str = r#"
apiVersion: virtualip.dev/v1alpha1
kind: VirtualIP
metadata: {name: uninstall-1}
spec: {addresses: [192.168.200.211, "2001:db8::211"]}
---
apiVersion: virtualip.dev/v1alpha1
kind: VirtualIP
metadata: {name: uninstall-2}
spec: {addresses: [192.168.200.212]}
"#;

fn deleting_the_manifests_leaves_nothing_behind(lab: &Cluster) -> Outcome {
    lab.apply(VIRTUALIPS)?;
    lab.kubectl(&["wait", "vip", "--all", "--for=condition=Ready", "--timeout=60s"])?;
    let deleted = lab.kubectl(&["delete", "-k", MANIFESTS, "--timeout=60s"]);
    let left = deleted.as_ref().map(|_| left(lab));
    // The next test finds what it expects, and what was uninstalled can be installed again.
    lab.install()?;
    let left = left.map_err(ToString::to_string)??;
    assert!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}

/// What should not be there any more.
fn left(lab: &Cluster) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut left = Vec::new();
    let kinds = "namespaces,crds,clusterroles,clusterrolebindings,validatingadmissionpolicies,\
                 validatingadmissionpolicybindings,leases";
    let objects = lab.kubectl(&["get", kinds, "--all-namespaces", "--no-headers", "-o", "name"])?;
    left.extend(
        objects.lines().filter(|name| name.contains("virtualip") || name.contains("/vip.")).map(String::from),
    );
    for node in lab.nodes() {
        let addresses = node.exec(&["ip", "-oneline", "address"])?;
        left.extend(
            addresses
                .lines()
                .filter(|line| line.contains("::211") || line.contains("200.21"))
                .map(String::from),
        );
    }
    Ok(left)
}
