//! Pods that take all processors of their nodes, and have asked for so much of one as their weight against the agent.

use super::lab::{Cluster, Error, Result, node_config::PAUSE};

/// Two loops without end on each node. The image has no shell: it is the machine's.
fn manifest(request: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: load}}
spec:
  selector: {{matchLabels: {{app: load}}}}
  template:
    metadata: {{labels: {{app: load}}}}
    spec:
      terminationGracePeriodSeconds: 0
      automountServiceAccountToken: false
      containers:
      - name: load
        image: {PAUSE}
        imagePullPolicy: Never
        command: [/usr/bin/sh, -c, 'while :; do :; done & while :; do :; done']
        resources: {{requests: {{cpu: '{request}'}}}}
        volumeMounts:
        - {{name: usr, mountPath: /usr, readOnly: true}}
        - {{name: lib, mountPath: /lib, readOnly: true}}
        - {{name: lib64, mountPath: /lib64, readOnly: true}}
      volumes:
      - {{name: usr, hostPath: {{path: /usr}}}}
      - {{name: lib, hostPath: {{path: /usr/lib}}}}
      - {{name: lib64, hostPath: {{path: /usr/lib64}}}}
"
    )
}

/// Waits until they run.
///
/// # Errors
/// When they do not.
pub fn begin(lab: &Cluster, request: &str) -> Result<()> {
    lab.apply(&manifest(request))?;
    lab.kubectl(&["rollout", "status", "daemonset/load", "--timeout=180s"]).map(drop)
}

/// They are gone when this returns.
///
/// # Errors
/// When they stay, or have not run all the time.
pub fn end(lab: &Cluster) -> Result<()> {
    let restarts = "jsonpath={.items[*].status.containerStatuses[*].restartCount}";
    let restarts = lab.kubectl(&["get", "pods", "--selector=app=load", "-o", restarts])?;
    if restarts.split_whitespace().any(|restarts| restarts != "0") {
        return Err(Error::other(format!(
            "there was no load all the time: its programs ended {restarts} times"
        )));
    }
    lab.kubectl(&["delete", "daemonset", "load", "--timeout=180s"])?;
    lab.kubectl(&["wait", "pods", "--selector=app=load", "--for=delete", "--timeout=180s"]).map(drop)
}
