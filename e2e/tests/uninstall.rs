//! `kubectl delete -k manifests`: agents, rights and objects are deleted at the same moment, and nothing is left.

use super::vip::{Vip, holders, manifest};
use crate::{
    lab::{Cluster, Node, Result, deploy::manifests},
    runner::Outcome,
};
use serde_json::json;

super::tests![uninstalling_leaves_nothing_behind];

/// How long kubectl may take, told to it.
pub const LIMIT: &str = "--timeout=60s";

fn uninstalling_leaves_nothing_behind(lab: &Cluster) -> Outcome {
    let traces = || lab.nodes().iter().map(Node::fence_traces).collect::<Result<Vec<_>>>();
    let before = traces()?;
    let addresses = ["192.168.200.240", "2001:db8::240", "192.168.200.241", "192.168.200.242"];
    for (name, addresses) in [("a", &addresses[..2]), ("b", &addresses[2..3]), ("c", &addresses[3..])] {
        Vip::ready(lab, name, addresses)?;
    }
    // One that nobody can have must not be in the way either.
    lab.apply(&manifest("d", &json!({"addresses": ["203.0.113.1"]})).to_string())?;
    assert_ne!(traces()?, before, "some node has a fence");
    let verdict =
        lab.watch_while(&addresses, || lab.kubectl(&["delete", "-k", &manifests(), LIMIT]).map(drop))?;
    assert!(!verdict.ever_two());
    for address in addresses {
        assert!(holders(lab, address)?.is_empty(), "{address}");
    }
    let kinds = ["customresourcedefinitions", "namespaces", "clusterroles", "clusterrolebindings"];
    let policies = ["validatingadmissionpolicies", "validatingadmissionpolicybindings"];
    for kind in kinds.iter().chain(&policies) {
        let left = lab.kubectl(&["get", kind, "-o", "name"])?;
        assert!(!left.contains("virtualip"), "{left}");
    }
    let leases = lab.kubectl(&["get", "leases", "--all-namespaces", "-o", "name"])?;
    assert!(!leases.contains("/vip.") && !leases.contains("/node."), "{leases}");
    for node in lab.nodes() {
        assert!(node.agent().is_err(), "an agent is left on {}", node.name());
    }
    assert_eq!(traces()?, before, "what `tc` and the BPF file systems show");
    Ok(())
}
