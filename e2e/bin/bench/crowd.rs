//! Many `VirtualIP`s at once.

use super::lab::{Cluster, Result, stage::Vip};
use std::{net::IpAddr, time::Duration};

/// So many, with so many addresses each, none of which is in a subnet of a node.
pub fn vips(count: u16, each: u16) -> Vec<Vip> {
    let address = |number: u16| {
        let [high, low] = number.to_be_bytes();
        IpAddr::from([10, 200, high, low])
    };
    let vip = |n: u16| Vip {
        name: format!("many-{n}"),
        addresses: (0..each).map(|i| address(1 + n * each + i)).collect(),
    };
    (0..count).map(vip).collect()
}

/// Applies them, and waits until each has its node.
///
/// # Errors
/// When one gets none.
pub fn gather(lab: &Cluster, vips: &[Vip]) -> Result<()> {
    let manifests = vips.iter().map(Vip::manifest).collect::<String>();
    lab.apply(&manifests.replace("spec: {", "spec: {interface: eth1, "))?;
    lab.kubectl(&["wait", "virtualips", "--all", "--for=condition=Ready", "--timeout=300s"]).map(drop)
}

/// Deletes all of them: a thousand may take a while.
///
/// # Errors
/// When one does not go.
pub fn part(lab: &Cluster) -> Result<()> {
    lab.delete_virtualips(Duration::from_mins(5))
}
