//! An API server that is there and answers with an error, by its own means: a real 429, 500 or 503.

use super::{cluster::Cluster, deploy::NAMESPACE, error::Result, run};
use std::{sync::Arc, thread, time::Duration};

/// The group of Leases, in the registry of groups.
const LEASES: &str = "apiservice/v1.coordination.k8s.io";

/// With which code the agents are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 500 for every write of the agents: a webhook that has to agree, and is not there.
    InternalError,
    /// 503 for everything about Leases, the kubelets' too: the group is said to be served by a service that is not there.
    Unavailable,
    /// 429 for every new request of the agents, for half a minute: a priority level of their own whose one place is taken by a
    /// request that waits for a webhook behind a wall.
    TooManyRequests,
}

impl Cluster {
    /// Lets the API server refuse from now on.
    ///
    /// # Errors
    /// When the API server does not take the means.
    pub fn refuse(&self, with: Refusal) -> Result<()> {
        match with {
            Refusal::InternalError => self.apply(&no_webhook()).map(drop),
            Refusal::TooManyRequests => self.take_the_place(),
            Refusal::Unavailable => {
                self.kubectl(&["patch", LEASES, "--type=merge", "--patch", NOBODY]).map(drop)
            }
        }
    }

    /// Undoes every [`Cluster::refuse`].
    ///
    /// # Errors
    /// When the API server does not take it.
    pub fn refuse_nothing(&self) -> Result<()> {
        self.kubectl(&["patch", LEASES, "--type=merge", "--patch", LOCAL])?;
        let delete = ["delete", "--ignore-not-found", "-f", "-"];
        // That there is no wall is fine.
        let _ = self.control_plane().host.output(&["nft", "delete table ip refusal"])?;
        [no_webhook(), no_place(), waiter()].iter().try_for_each(|means| {
            run::happy("kubectl delete -f -", &self.kubectl_fed(&delete, means)?).map(drop)
        })
    }
}

impl Cluster {
    fn take_the_place(&self) -> Result<()> {
        let host = Arc::clone(&self.control_plane().host);
        host.run(&["nft", WALL])?;
        self.apply(&no_place())?;
        // Until the API server has heard of all of it.
        thread::sleep(Duration::from_secs(1));
        let mut command = self.control_plane().kubectl_command();
        command.args(["create", "-f", "-", "--as", &format!("system:serviceaccount:{NAMESPACE}:waiter")]);
        thread::spawn(move || host.feed_in_network(command, &waiter()));
        thread::sleep(Duration::from_secs(1));
        Ok(())
    }
}

/// Nobody answers there.
const WALL: &str = "table ip refusal { chain out { type filter hook output priority 0; ip daddr 127.0.0.1 tcp dport 1 drop; }; }";

/// What is asked for by the request that waits.
fn waiter() -> String {
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: waiter, namespace: default, labels: {chaos: waiter}}\n"
        .to_owned()
}

/// Without its label the API server leaves the object as it is.
const NOBODY: &str = r#"{"metadata": {"labels": {"kube-aggregator.kubernetes.io/automanaged": null}},
    "spec": {"insecureSkipTLSVerify": true, "service": {"name": "nobody", "namespace": "default", "port": 443}}}"#;

const LOCAL: &str = r#"{"metadata": {"labels": {"kube-aggregator.kubernetes.io/automanaged": "onstart"}},
    "spec": {"insecureSkipTLSVerify": null, "service": null}}"#;

fn no_webhook() -> String {
    format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {{name: chaos}}
webhooks:
- name: chaos.virtualip.dev
  clientConfig: {{url: 'https://127.0.0.1:1/'}}
  failurePolicy: Fail
  sideEffects: None
  admissionReviewVersions: [v1]
  namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {NAMESPACE}}}}}
  rules: [{{operations: [CREATE, UPDATE], apiGroups: [coordination.k8s.io], apiVersions: ['*'], resources: [leases]}}]
"
    )
}

fn no_place() -> String {
    format!(
        "apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {{name: chaos}}
spec:
  matchingPrecedence: 2
  priorityLevelConfiguration: {{name: chaos}}
  rules:
  - subjects: [{{kind: Group, group: {{name: 'system:serviceaccounts:{NAMESPACE}'}}}}]
    resourceRules: [{{verbs: ['*'], apiGroups: ['*'], resources: ['*'], clusterScope: true, namespaces: ['*']}}]
---
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: PriorityLevelConfiguration
metadata: {{name: chaos}}
spec:
  type: Limited
  limited: {{nominalConcurrencyShares: 0, lendablePercent: 0, borrowingLimitPercent: 0, limitResponse: {{type: Reject}}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: chaos}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}
subjects: [{{kind: User, apiGroup: rbac.authorization.k8s.io, name: 'system:serviceaccount:{NAMESPACE}:waiter'}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {{name: chaos-waiter}}
webhooks:
- name: waiter.virtualip.dev
  clientConfig: {{url: 'https://127.0.0.1:1/'}}
  failurePolicy: Ignore
  timeoutSeconds: 30
  sideEffects: None
  admissionReviewVersions: [v1]
  objectSelector: {{matchLabels: {{chaos: waiter}}}}
  rules: [{{operations: [CREATE], apiGroups: [''], apiVersions: [v1], resources: [configmaps]}}]
"
    )
}
