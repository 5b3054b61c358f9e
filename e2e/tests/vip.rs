//! What tests do with a `VirtualIP`: apply it, wait for what it says, and look on the nodes where its addresses are.

use crate::lab::{Cluster, Error, Result, run::until};
use serde_json::{Value, json};
use std::time::Duration;

/// How long anything of a `VirtualIP` may take, so that a failure is told and does not hang.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A `VirtualIP` in the namespace `default`.
#[derive(Clone, Debug)]
pub struct Vip<'a> {
    /// Its name.
    pub name: String,
    lab: &'a Cluster,
}

impl<'a> Vip<'a> {
    /// Applies it and waits until it is Ready.
    pub fn ready(lab: &'a Cluster, name: &str, addresses: &[&str]) -> Result<Self> {
        let vip = Self::apply(lab, name, &json!({"addresses": addresses}))?;
        vip.wait_ready()?;
        Ok(vip)
    }

    /// Applies it with this spec, and waits for nothing.
    pub fn apply(lab: &'a Cluster, name: &str, spec: &Value) -> Result<Self> {
        lab.apply(&manifest(name, spec).to_string())?;
        Ok(Self { name: name.to_owned(), lab })
    }

    /// Waits until an agent that has read the newest spec calls it Ready.
    pub fn wait_ready(&self) -> Result<()> {
        self.wait_reason("Owned").map(drop)
    }

    /// Waits until an agent that has read the newest spec gives this reason in the condition Ready, and gives its message.
    pub fn wait_reason(&self, reason: &str) -> Result<String> {
        self.wait_condition("Ready", reason)
    }

    /// The same for a condition of another type.
    pub fn wait_condition(&self, type_: &str, reason: &str) -> Result<String> {
        until(&format!("{} is {reason}", self.name), PATIENCE, || {
            let object = self.object()?;
            let list = object["status"]["conditions"].as_array();
            let found = list.and_then(|list| list.iter().find(|condition| condition["type"] == type_));
            let said = found.map(|found| (found["reason"].clone(), found["message"].clone()));
            let current = object["metadata"]["generation"] == object["status"]["observedGeneration"];
            match said {
                Some((now, message)) if current && now == reason => Ok(Some(text(&message))),
                said => Err(Error::other(format!("{said:?}"))),
            }
        })
    }

    /// The node that the object names; empty when it names none.
    pub fn owner(&self) -> Result<String> {
        Ok(text(&self.object()?["status"]["node"]))
    }

    /// Waits until the object names another node than `before`, and gives that.
    pub fn wait_moved(&self, before: &str) -> Result<String> {
        until(&format!("{} leaves {before}", self.name), PATIENCE, || {
            Ok(Some(self.owner()?).filter(|owner| !owner.is_empty() && owner != before))
        })
    }

    /// The object, as kubectl shows it.
    pub fn object(&self) -> Result<Value> {
        self.lab.get(&["virtualip", self.name.as_str()])
    }

    /// Deletes it, and waits until it is gone.
    pub fn delete(&self) -> Result<()> {
        self.lab.kubectl(&["delete", "virtualip", &self.name, "--timeout=60s"]).map(drop)
    }
}

/// The manifest of a `VirtualIP` in the namespace `default`.
pub fn manifest(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "virtualip.dev/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    })
}

/// The running nodes whose kernel has the address, as `ip` says.
pub fn holders(lab: &Cluster, address: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for node in lab.nodes().iter().filter(|node| node.is_on()) {
        let shown = node.exec(&["ip", "-o", "address", "show", "to", address])?;
        found.extend((!shown.trim().is_empty()).then(|| node.name().to_owned()));
    }
    Ok(found)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
