//! What may happen to a node.

use crate::{
    lab::{
        Cluster, Node,
        audit::boottime_us,
        run::until,
        stage::{PATIENCE, Stage},
    },
    runner::Outcome,
};

super::tests![
    weak_spot_6_all_programs_are_killed_and_the_old_kernel_is_silent_before_another_node_answers,
    the_owner_is_powered_off_and_on_and_does_not_take_the_address_back,
    the_owner_is_cut_off_from_everything_and_healed,
    the_owner_is_cut_off_from_the_api_server_only_and_healed,
    the_owner_is_cut_off_from_the_data_network_only_and_keeps_the_address,
    the_owners_node_is_drained_and_uncordoned,
    in_a_handover_the_new_owner_announces_itself_before_any_status_is_written,
];

/// Under Pacemaker nobody silences a kernel that lives on: two owners until a reboot.
fn weak_spot_6_all_programs_are_killed_and_the_old_kernel_is_silent_before_another_node_answers(
    lab: &Cluster,
) -> Outcome {
    let stage = Stage::dual(lab)?;
    let (old, node) = (stage.owner.clone(), lab.node(&stage.owner)?);
    let kernels = lab.watch_kernels([192, 168, 200, 200].into())?;
    node.kill_programs()?;
    let new = stage.moved()?;
    let seen = kernels.stop()?;
    let [old_seen, new_seen] = [&old, &new].map(|name| seen.get(name).copied());
    let (old_seen, new_seen) =
        (old_seen.ok_or("never seen on the old node")?, new_seen.ok_or("nor on the new")?);
    // Behind the fence the old kernel may have it for longer than the right: that it says nothing then is for the observer to
    // see. Where lifetimes are the fence it must have gone.
    let fenced = lab.node(&new)?.agent_get("/metrics")?.contains("virtualip_fence_exact 1");
    assert!(fenced || old_seen.last_us < new_seen.first_us, "{old}: {old_seen:?}, {new}: {new_seen:?}");
    assert_eq!(seen.len(), 2, "on two nodes: {seen:?}");
    assert!(
        !node.shows([192, 168, 200, 200].into())?,
        "nobody was there to remove it, and it is still there"
    );
    node.start_programs()?;
    whole_again(lab)?;
    assert_eq!(stage.end()?.owner(), new);
    Ok(())
}

fn the_owner_is_powered_off_and_on_and_does_not_take_the_address_back(lab: &Cluster) -> Outcome {
    fails_over(lab, Node::power_off, Node::power_on)
}

fn the_owner_is_cut_off_from_everything_and_healed(lab: &Cluster) -> Outcome {
    fails_over(lab, Node::cut_off, Node::heal)
}

fn the_owner_is_cut_off_from_the_api_server_only_and_healed(lab: &Cluster) -> Outcome {
    fails_over(lab, Node::cut_api, Node::heal_api)
}

/// It cannot know: its carrier is there, and so is its right. Nobody answers until it is healed; nobody else does.
fn the_owner_is_cut_off_from_the_data_network_only_and_keeps_the_address(lab: &Cluster) -> Outcome {
    let stage = Stage::dual(lab)?;
    let (owner, node) = (stage.owner.clone(), lab.node(&stage.owner)?);
    node.cut_data()?;
    let unheard = || lab.client_exec(&["ping", "-c1", "-W1", "192.168.200.200"]).is_err();
    until("the address is not heard", PATIENCE, || Ok(unheard().then_some(())))?;
    node.heal_data()?;
    let ending = stage.end()?;
    assert_eq!(ending.verdict.owners("192.168.200.200")?, [owner]);
    Ok(())
}

fn the_owners_node_is_drained_and_uncordoned(lab: &Cluster) -> Outcome {
    let stage = Stage::dual(lab)?;
    let node = stage.owner.clone();
    let drain = ["drain", &node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=60s"];
    lab.kubectl(&drain)?;
    lab.kubectl(&["uncordon", &node])?;
    lab.wait_agents_ready()?;
    stage.end()?;
    Ok(())
}

/// Again and again: the nodes that take over are then such as have handed over before.
fn in_a_handover_the_new_owner_announces_itself_before_any_status_is_written(lab: &Cluster) -> Outcome {
    for _ in 0..4 {
        let stage = Stage::dual(lab)?;
        let (old, since) = (stage.owner.clone(), boottime_us()?);
        lab.standby(&old, true)?;
        stage.moved()?;
        let ending = stage.end()?;
        lab.standby(&old, false)?;
        assert_eq!(lab.status_before_announcement(&ending, since)?, None);
    }
    Ok(())
}

/// What every loss of a node has in common: another one takes over, and keeps the address when the first is back.
fn fails_over(
    lab: &Cluster,
    fault: impl FnOnce(&Node) -> crate::lab::Result<()>,
    undo: impl FnOnce(&Node) -> crate::lab::Result<()>,
) -> Outcome {
    let stage = Stage::dual(lab)?;
    let node = lab.node(&stage.owner)?;
    fault(node)?;
    let new = stage.moved()?;
    undo(node)?;
    whole_again(lab)?;
    assert_eq!(stage.end()?.owner(), new);
    Ok(())
}

fn whole_again(lab: &Cluster) -> crate::lab::Result<()> {
    lab.wait_nodes_ready()?;
    lab.wait_agents_ready()
}
