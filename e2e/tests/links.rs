//! What may happen to an address and its interface.

use crate::{
    lab::{
        Cluster,
        run::until,
        stage::{PATIENCE, Stage},
    },
    runner::Outcome,
};

super::tests![
    an_address_deleted_by_hand_is_back_on_the_same_node,
    the_owner_loses_its_carrier_and_another_takes_over_for_good,
    the_owners_interface_flaps_and_one_node_answers_in_the_end,
];

fn an_address_deleted_by_hand_is_back_on_the_same_node(lab: &Cluster) -> Outcome {
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
