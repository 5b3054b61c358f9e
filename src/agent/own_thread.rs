//! Threads of their own for the loop and for the hand. Nothing else runs on them: what waits for the API server, or is no hurry,
//! runs on the main thread. Where the system allows it, they run before all ordinary threads, so that a busy machine is
//! no dead one, and an address is not held up on its way from one node to another.

use std::{io, thread};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use super::realtime::{self, Priority};

/// Does `work` on a thread of that name, as ps and top show it, until it is done; `preferred` is told whether the system lets the
/// thread run before ordinary ones.
///
/// # Errors
/// When the system refuses a thread.
pub async fn on_own_thread(
    name: &'static str,
    priority: Priority,
    preferred: impl FnOnce(io::Result<()>) + Send + 'static,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let (done, awaited) = oneshot::channel();
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        preferred(realtime::prefer_this_thread(priority));
        work();
        // Nobody listens only if the process is about to end.
        let _ = done.send(());
    })?;
    // A thread that panics ends the process.
    let _ = awaited.await;
    Ok(())
}

/// A runtime of one thread, for work that has timers and sockets of its own.
///
/// # Errors
/// When the system refuses an event queue.
pub fn own_runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn work_is_done_on_a_thread_with_timers_of_its_own() {
        let (tell, told) = oneshot::channel();
        let runtime = own_runtime().unwrap();
        let work = move || {
            runtime.block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
            tell.send(thread::current().name().map(str::to_owned)).unwrap();
        };
        on_own_thread("hand", Priority::Hand, drop, work).await.unwrap();
        assert_eq!(told.await.unwrap().as_deref(), Some("hand"));
    }
}
