//! The flags of the control plane's programs.

use super::{
    addresses::{API, SERVICES},
    certificates::Authority,
    error::{Doing, Result},
    host::Host,
    state::State,
};
use std::fs;

/// Every request, with who asked for what and when; not its body.
const AUDIT_POLICY: &str = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy",
"omitStages": ["RequestReceived"], "rules": [{"level": "Metadata"}]}"#;

/// Of etcd.
pub(super) fn etcd_flags(host: &Host) -> Vec<String> {
    flags(&[
        ("data-dir", host.file("etcd").to_string_lossy().into_owned()),
        ("listen-client-urls", "http://127.0.0.1:2379".into()),
        ("advertise-client-urls", "http://127.0.0.1:2379".into()),
        ("listen-peer-urls", "http://127.0.0.1:2380".into()),
        // Nothing here needs to survive a power cut of the machine.
        ("unsafe-no-fsync", "true".into()),
    ])
}

/// Of the API server.
///
/// # Errors
/// When the policy of its audit log cannot be written.
pub(super) fn api_flags(state: &State, host: &Host, authority: &Authority) -> Result<Vec<String>> {
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

/// Of a program that works through the API server.
pub(super) fn manager_flags(authority: &Authority, name: &str, more: &[String]) -> Vec<String> {
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

/// Of the controller manager alone.
pub(super) fn controller_flags(authority: &Authority) -> Vec<String> {
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
