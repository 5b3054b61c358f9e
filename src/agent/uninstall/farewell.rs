//! What an agent does about uninstalling: at its start, and when it is told to end.

use std::{error::Error, time::Duration};

use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::{Rights, UninstallError};

/// How long a pod that is told to end may ask why: a handover waits for it.
const ASK: Duration = Duration::from_millis(500);
/// Shorter than the grace period of the pod, so that what could not be tidied up is said.
const GRACE: Duration = Duration::from_secs(25);
/// Between two attempts, and between two looks at what is left.
const PAUSE: Duration = Duration::from_millis(200);
/// Between two attempts to hold on to the rights.
const RETRY: Duration = Duration::from_secs(30);

/// Has the rights outlive an uninstall; tries until it succeeds.
pub async fn protect(rights: &Rights) {
    while let Err(error) = rights.protect().await {
        warn!(error = &error as &dyn Error, "uninstalling would now leave finalizers behind");
        sleep(RETRY).await;
    }
}

/// Whether this pod ends because everything is being uninstalled; no, if nobody answers in time.
pub async fn under_way(rights: &Rights) -> bool {
    match timeout(ASK, rights.under_way()).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            warn!(error = &error as &dyn Error, "taken for an ordinary end");
            false
        }
        Err(_) => false,
    }
}

/// Stays until no address is held anywhere, then gives the rights up.
pub async fn see_through(rights: &Rights) {
    if timeout(GRACE, settle(rights)).await.is_ok() {
        info!("uninstalled");
    } else {
        warn!("not everything was tidied up in time: finalizers are left on some objects");
    }
}

async fn settle(rights: &Rights) {
    while let Err(error) = try_settle(rights).await {
        if error.rights_are_gone() {
            return info!(error = &error as &dyn Error, "another agent has given the rights up");
        }
        warn!(error = &error as &dyn Error, "uninstalling is tried again");
        sleep(PAUSE).await;
    }
}

async fn try_settle(rights: &Rights) -> Result<(), UninstallError> {
    rights.announce().await?;
    while !rights.settled().await? {
        sleep(PAUSE).await;
    }
    rights.let_go().await
}
