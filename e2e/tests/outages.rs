//! What may happen to the API server.

use crate::{
    lab::{Cluster, stage::Stage},
    runner::Outcome,
};
use std::{thread, time::Duration};

super::tests![
    the_api_server_is_stopped_for_half_a_second_and_nobody_notices,
    the_api_server_is_restarted_within_the_lease_and_nobody_notices,
    without_witnesses_the_addresses_go_silent_with_the_api_server_and_come_back,
];

fn the_api_server_is_stopped_for_half_a_second_and_nobody_notices(lab: &Cluster) -> Outcome {
    let stage = Stage::dual(lab)?;
    let plane = lab.control_plane();
    plane.stop_api()?;
    // Addresses live for two seconds after a renewal, and renewals are a second apart: less than one is for the outage.
    thread::sleep(Duration::from_millis(500));
    plane.continue_api()?;
    unnoticed(stage)
}

fn the_api_server_is_restarted_within_the_lease_and_nobody_notices(lab: &Cluster) -> Outcome {
    lab.configure(&["VIRTUALIP_LEASE_DURATION=20s", "VIRTUALIP_RENEW_INTERVAL=2s"])?;
    let outcome = Stage::dual(lab).map_err(Into::into).and_then(|stage| {
        lab.control_plane().restart_api()?;
        lab.control_plane().wait_ready()?;
        unnoticed(stage)
    });
    lab.configure(&["VIRTUALIP_LEASE_DURATION-", "VIRTUALIP_RENEW_INTERVAL-"])?;
    outcome
}

fn without_witnesses_the_addresses_go_silent_with_the_api_server_and_come_back(lab: &Cluster) -> Outcome {
    lab.use_source("lease")?;
    let outcome = Stage::dual(lab).map_err(Into::into).and_then(|stage| {
        lab.control_plane().kill_api();
        stage.silent()?;
        lab.control_plane().start_api()?;
        stage.end()?;
        Ok(())
    });
    lab.configure(&["VIRTUALIP_RIGHT_SOURCE-"])?;
    outcome
}

/// The same owner, and not one request without an answer but by the accidents of a busy machine.
pub(super) fn unnoticed(stage: Stage<'_>) -> Outcome {
    let owner = stage.owner.clone();
    let ending = stage.end()?;
    for (address, seen) in &ending.verdict.report.addresses {
        assert_eq!(ending.verdict.owners(&address.to_string())?, [owner.as_str()]);
        assert!(seen.silences.is_empty(), "{address} was silent: {:?}", seen.silences);
    }
    Ok(())
}
