//! On which node an address may be, and what happens when that changes.

use super::vip::{Vip, holders};
use crate::{
    lab::{Cluster, InterfacePlan, addresses::DATA, judge::Verdict},
    runner::{LABEL, Outcome},
};
use serde_json::json;
use std::time::Duration;

super::tests![
    without_a_fitting_interface_there_is_a_reason_and_no_address,
    an_interface_is_found_by_subnet_whatever_its_name,
    a_named_interface_is_only_where_it_exists,
    a_node_selector_is_obeyed_and_a_changed_label_hands_over,
    standby_empties_a_node_without_silence,
];

const ADDRESS: &str = "192.168.200.210";
/// Long against a handover (milliseconds), short against a lost lease (seconds). How quick it is exactly is the benchmark's
/// matter.
const HANDOVER: Duration = Duration::from_millis(500);

fn without_a_fitting_interface_there_is_a_reason_and_no_address(lab: &Cluster) -> Outcome {
    let elsewhere = "203.0.113.10";
    let vip = Vip::apply(lab, "elsewhere", &json!({"addresses": [elsewhere]}))?;
    let message = vip.wait_reason("NoEligibleNode")?;
    let why = format!("n1, n2, n3: no interface has a subnet that contains {elsewhere}");
    assert!(message.contains(&why), "{message}");
    let row = lab.kubectl(&["get", "vip", "elsewhere", "-o", "wide"])?;
    assert!(row.contains("False") && row.contains("NoEligibleNode") && row.contains(&why), "{row}");
    assert!(holders(lab, elsewhere)?.is_empty() && vip.owner()?.is_empty());
    let described = lab.kubectl(&["describe", "vip", "elsewhere"])?;
    assert!(
        described.lines().any(|line| line.contains("Warning") && line.contains(elsewhere)),
        "{described}"
    );
    // A reason is not for ever.
    let subnet = InterfacePlan::new("eth2", &["203.0.113.0/24"]);
    lab.node("n2")?.plug(&subnet)?;
    vip.wait_ready()?;
    assert_eq!(holders(lab, elsewhere)?, ["n2"]);
    Ok(())
}

fn an_interface_is_found_by_subnet_whatever_its_name(lab: &Cluster) -> Outcome {
    rename_interfaces(lab)?;
    let addresses = ["192.168.200.210", "192.168.200.211", "192.168.200.212"];
    let verdict = lab.watch_while(&addresses, || {
        for (address, (node, interface)) in addresses.iter().zip(NAMES) {
            lab.kubectl(&["label", "node", node, &format!("{LABEL}={node}")])?;
            let spec = json!({"addresses": [address], "placement": {"nodeSelector": {LABEL: node}}});
            let vip = Vip::apply(lab, node, &spec)?;
            vip.wait_ready()?;
            assert_eq!(vip.object()?["status"]["interface"], interface);
            let shown = lab.node(node)?.exec(&["ip", "-o", "address", "show", "dev", interface])?;
            assert!(
                shown.contains(&format!("{address}/32 scope global dynamic noprefixroute {interface}:vip")),
                "{shown}"
            );
        }
        Ok(())
    })?;
    assert!(!verdict.ever_two());
    Ok(())
}

fn a_named_interface_is_only_where_it_exists(lab: &Cluster) -> Outcome {
    rename_interfaces(lab)?;
    let verdict = lab.watch_while(&[ADDRESS], || {
        let vip = Vip::apply(lab, "named", &json!({"addresses": [ADDRESS], "interface": "lan0"}))?;
        vip.wait_ready()?;
        assert_eq!(vip.owner()?, "n2");
        lab.node("n2")?.unplug("lan0")?;
        let message = vip.wait_reason("NoEligibleNode")?;
        assert!(message.contains("n1, n2, n3: it has no interface lan0"), "{message}");
        Ok(())
    })?;
    assert!(!verdict.ever_two());
    assert!(holders(lab, ADDRESS)?.is_empty());
    Ok(())
}

/// The nodes' interfaces on the data network after [`rename_interfaces`].
const NAMES: [(&str, &str); 3] = [("n1", "eth1"), ("n2", "lan0"), ("n3", "enp3s0f1")];

fn rename_interfaces(lab: &Cluster) -> crate::lab::Result<()> {
    for (node, name) in NAMES.into_iter().skip(1) {
        let node = lab.node(node)?;
        node.unplug("eth1")?;
        node.plug(&InterfacePlan::new(name, &DATA))?;
    }
    Ok(())
}

fn a_node_selector_is_obeyed_and_a_changed_label_hands_over(lab: &Cluster) -> Outcome {
    let select = json!({"addresses": [ADDRESS], "placement": {"nodeSelector": {LABEL: "true"}}});
    let vip = Vip::apply(lab, "selective", &select)?;
    let message = vip.wait_reason("NoEligibleNode")?;
    assert!(
        message.contains(&format!("label {LABEL} is missing, the node selector wants \"true\"")),
        "{message}"
    );
    assert!(holders(lab, ADDRESS)?.is_empty());
    lab.kubectl(&["label", "node", "n2", &format!("{LABEL}=true")])?;
    vip.wait_ready()?;
    let verdict = lab.watch_while(&[ADDRESS], || {
        lab.kubectl(&["label", "node", "n3", &format!("{LABEL}=true")])?;
        lab.kubectl(&["label", "node", "n2", "--overwrite", &format!("{LABEL}=false")])?;
        vip.wait_moved("n2").map(drop)
    })?;
    handed_over(&verdict, &["n2", "n3"])
}

fn standby_empties_a_node_without_silence(lab: &Cluster) -> Outcome {
    let vip = Vip::ready(lab, "web", &[ADDRESS])?;
    let owner = vip.owner()?;
    let mut next = String::new();
    let verdict = lab.watch_while(&[ADDRESS], || {
        lab.standby(&owner, true)?;
        next = vip.wait_moved(&owner)?;
        Ok(())
    })?;
    handed_over(&verdict, &[&owner, &next])?;
    let list = lab.kubectl(&["get", "vipnode", &owner])?;
    assert!(list.contains("true"), "{list}");
    // Coming back is no reason to move again.
    lab.standby(&owner, false)?;
    lab.kubectl(&["wait", "vipnode", &owner, "--for=condition=Ready", "--timeout=30s"])?;
    assert_eq!(vip.owner()?, next);
    assert_eq!(holders(lab, ADDRESS)?, [next]);
    Ok(())
}

/// The address was on these nodes, one after the other, and nobody waited for a lease.
fn handed_over(verdict: &Verdict, nodes: &[&str]) -> Outcome {
    assert!(!verdict.ever_two());
    assert_eq!(verdict.owners(ADDRESS)?, nodes);
    let silence = verdict.longest_silence();
    assert!(silence < HANDOVER, "silent for {silence:?}");
    Ok(())
}
