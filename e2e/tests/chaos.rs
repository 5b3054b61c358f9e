//! The most telling cells of the matrix of `make chaos`, short.

use crate::{
    lab::{Cluster, Node, Result, losses::Way, refusals::Refusal, stage::Stage},
    runner::Outcome,
};
use std::{thread, time::Duration};

super::tests![
    chaos_an_agent_that_hears_no_other_one_keeps_its_address,
    chaos_a_node_whose_frames_are_lost_never_answers_beside_another,
    chaos_a_node_that_hears_nothing_never_answers_beside_another,
    chaos_an_api_server_that_answers_500_makes_no_second_owner,
    chaos_an_api_server_that_answers_503_makes_no_second_owner,
];

/// Beyond every Lease, and long enough for another node to take over.
const WHILE: Duration = Duration::from_secs(8);

fn chaos_an_agent_that_hears_no_other_one_keeps_its_address(lab: &Cluster) -> Outcome {
    let stage = Stage::dual(lab)?;
    let owner = stage.owner.clone();
    lab.node(&owner)?.cut_peers()?;
    thread::sleep(WHILE);
    lab.node(&owner)?.lose_nothing()?;
    assert_eq!(stage.end()?.owner(), owner);
    Ok(())
}

fn chaos_a_node_whose_frames_are_lost_never_answers_beside_another(lab: &Cluster) -> Outcome {
    meanwhile(lab, |owner| owner.lose(Way::Sent), Node::lose_nothing)
}

fn chaos_a_node_that_hears_nothing_never_answers_beside_another(lab: &Cluster) -> Outcome {
    meanwhile(lab, |owner| owner.lose(Way::Received), Node::lose_nothing)
}

fn chaos_an_api_server_that_answers_500_makes_no_second_owner(lab: &Cluster) -> Outcome {
    meanwhile(lab, |_| lab.refuse(Refusal::InternalError), |_| lab.refuse_nothing())
}

fn chaos_an_api_server_that_answers_503_makes_no_second_owner(lab: &Cluster) -> Outcome {
    meanwhile(lab, |_| lab.refuse(Refusal::Unavailable), |_| lab.refuse_nothing())
}

/// Begins something, undoes it after a while, and judges: never two owners, and one that stays in the end.
fn meanwhile(
    lab: &Cluster,
    begin: impl FnOnce(&Node) -> Result<()>,
    lift: impl FnOnce(&Node) -> Result<()>,
) -> Outcome {
    let stage = Stage::dual(lab)?;
    let owner = lab.node(&stage.owner)?;
    begin(owner)?;
    thread::sleep(WHILE);
    lift(owner)?;
    stage.end()?;
    Ok(())
}
