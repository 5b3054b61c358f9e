//! What may happen to an address and its interface.

use std::time::Duration;

use crate::{
    lab::{
        Cluster, Node,
        run::until,
        stage::{PATIENCE, Stage},
    },
    runner::Outcome,
};

super::tests![
    weak_spot_1_a_link_set_down_and_up_by_hand_leaves_no_second_owner,
    weak_spot_5_an_address_deleted_by_hand_is_back_on_the_same_node_at_once,
    the_owner_loses_its_carrier_and_another_takes_over_for_good,
    the_owners_interface_flaps_and_one_node_answers_in_the_end,
];

/// What is done at once is done within this time, also on a busy machine.
const AT_ONCE: Duration = Duration::from_millis(500);

/// IPaddr2 does not find the address any more once the link is down: it stays, and answers again when the link returns.
fn weak_spot_1_a_link_set_down_and_up_by_hand_leaves_no_second_owner(lab: &Cluster) -> Outcome {
    let stage = Stage::dual(lab)?;
    let node = lab.node(&stage.owner)?;
    node.exec(&["ip", "link", "set", "eth1", "down"])?;
    let new = stage.moved()?;
    for address in ["192.168.200.200", "2001:db8::200"] {
        assert!(!node.shows(address.parse()?)?, "{address} stayed on {}", node.name());
    }
    node.exec(&["ip", "link", "set", "eth1", "up"])?;
    // The kernel forgot the node's own IPv6 address with the link.
    node.exec(&["ip", "address", "replace", &own_v6(node), "dev", "eth1", "nodad"])?;
    let carrier = r#"--for=jsonpath={.status.interfaces[?(@.name=="eth1")].carrier}=true"#;
    lab.kubectl(&["wait", &format!("virtualipnode/{}", node.name()), carrier, "--timeout=30s"])?;
    assert_eq!(stage.end()?.owner(), new);
    Ok(())
}

fn own_v6(node: &Node) -> String {
    format!("2001:db8::1{}/64", node.name().trim_start_matches('n'))
}

/// Under IPaddr2 the next monitor finds it missing: 8.5 s. The kernel tells us at once.
fn weak_spot_5_an_address_deleted_by_hand_is_back_on_the_same_node_at_once(lab: &Cluster) -> Outcome {
    let stage = Stage::dual(lab)?;
    let (owner, node) = (stage.owner.clone(), lab.node(&stage.owner)?);
    for net in ["192.168.200.200/32", "2001:db8::200/128"] {
        node.exec(&["ip", "address", "del", net, "dev", "eth1"])?;
    }
    let both = ["192.168.200.200".parse()?, "2001:db8::200".parse()?];
    until("both are back", PATIENCE, || {
        let there = node.addresses()?;
        Ok(both.iter().all(|address| there.contains(address)).then_some(()))
    })?;
    let ending = stage.end()?;
    for address in both {
        assert_eq!(ending.verdict.owners(&address.to_string())?, [owner.as_str()]);
    }
    assert!(ending.verdict.longest_silence() < AT_ONCE, "{:?}", ending.verdict.longest_silence());
    Ok(())
}

fn the_owner_loses_its_carrier_and_another_takes_over_for_good(lab: &Cluster) -> Outcome {
    let stage = Stage::dual(lab)?;
    let node = lab.node(&stage.owner)?;
    node.data_down()?;
    let new = stage.moved()?;
    node.data_up()?;
    // The node says itself that it could carry the address again.
    let carrier = r#"--for=jsonpath={.status.interfaces[?(@.name=="eth1")].carrier}=true"#;
    lab.kubectl(&["wait", &format!("virtualipnode/{}", node.name()), carrier, "--timeout=30s"])?;
    assert_eq!(stage.end()?.owner(), new);
    Ok(())
}

fn the_owners_interface_flaps_and_one_node_answers_in_the_end(lab: &Cluster) -> Outcome {
    let stage = Stage::dual(lab)?;
    lab.node(&stage.owner)?.flap("eth1", 5)?;
    stage.end()?;
    Ok(())
}
