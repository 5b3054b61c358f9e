//! The only place where the rooms meet: watches in, actions out, deadlines, shutdown.

mod options;

pub use options::{Options, OptionsError};

/// Why an agent cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address of the health endpoints is taken, or none of this node.
    #[error(transparent)]
    Health(#[from] crate::observe::health::HealthError),
}

/// Runs an agent until it is told to stop.
///
/// # Errors
/// [`Error`]: what made it impossible to go on.
pub async fn run(options: Options) -> Result<(), Error> {
    let (metrics, registry) = crate::observe::metrics::registry();
    drop(metrics);
    let health = crate::observe::health::Health::new();
    let listener = crate::observe::health::bind(options.listen).await?;
    Ok(crate::observe::health::serve(listener, health, registry).await?)
}
