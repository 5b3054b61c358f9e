//! So many at once and no more: each piece of work takes a connection or sockets, and somebody may apply a thousand objects.

use std::future::Future;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Work of one kind. Clones are one.
#[derive(Clone, Debug)]
pub struct Turns(Arc<Semaphore>);

impl Turns {
    /// So many may be under way.
    #[must_use]
    pub fn new(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_once)))
    }

    /// Does `work` on the runtime `aside` when it is its turn, which lasts until it is done or lets go of it. The memory that it
    /// takes is not there before.
    pub fn spawn<F>(&self, aside: &Handle, work: impl FnOnce(OwnedSemaphorePermit) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let turns = self.0.clone();
        aside.spawn(async move {
            // The semaphore is never closed.
            if let Ok(turn) = turns.acquire_owned().await {
                Box::pin(work(turn)).await;
            }
        });
    }
}
