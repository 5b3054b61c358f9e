//! The loop's own thread. Nothing else runs on it: what waits for the API server, or is no hurry, runs on the runtime's
//! threads. Where the system allows it, it runs before all ordinary threads, so that a busy machine is no dead one.

use std::future::Future;
use std::{io, thread};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tracing::info;

use super::realtime;
use crate::observe::metrics::Metrics;

/// A thread to be, with timers and sockets of its own.
pub struct OwnThread(Option<Runtime>);

impl OwnThread {
    /// # Errors
    /// When the system refuses an event queue.
    pub fn new() -> io::Result<Self> {
        Builder::new_current_thread().enable_all().build().map(Some).map(Self)
    }

    /// Opens what shall wake that thread and no other, sockets for instance.
    pub fn within<T>(&self, open: impl FnOnce() -> T) -> T {
        let _entered = self.0.as_ref().map(Runtime::enter);
        open()
    }

    /// Does `work` there, until it is done; `metrics` say how the system treats that thread.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub async fn run<F: Future<Output = ()>>(
        mut self,
        metrics: Metrics,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> io::Result<()> {
        let Some(runtime) = self.0.take() else { return Ok(()) };
        let (done, awaited) = oneshot::channel();
        thread::Builder::new().name("rights".to_owned()).spawn(move || {
            prefer(&metrics);
            runtime.block_on(work());
            // Nobody listens only if the process is about to end.
            let _ = done.send(());
        })?;
        // A thread that panics ends the process.
        let _ = awaited.await;
        Ok(())
    }
}

impl Drop for OwnThread {
    /// A runtime may not be waited for within another one.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn prefer(metrics: &Metrics) {
    let realtime = realtime::prefer_this_thread();
    metrics.loop_realtime.set(realtime.is_ok().into());
    match realtime {
        Ok(()) => info!("the loop runs before ordinary programs"),
        Err(error) => {
            info!(%error, "the loop runs as ordinary programs do: real-time priority is not allowed");
        }
    }
    let locked = realtime::lock_memory();
    metrics.memory_locked.set(locked.is_ok().into());
    if let Err(error) = locked {
        info!(%error, "memory is not locked: it is not allowed");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::observe::metrics;

    #[tokio::test]
    async fn work_is_done_on_a_thread_with_timers_of_its_own() {
        let own = OwnThread::new().unwrap();
        let socket = own.within(|| {
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_nonblocking(true).unwrap();
            tokio::net::UdpSocket::from_std(socket).unwrap()
        });
        let (tell, told) = oneshot::channel();
        let work = async move || {
            tokio::time::sleep(Duration::from_millis(1)).await;
            socket.send_to(b"!", socket.local_addr().unwrap()).await.unwrap();
            socket.recv(&mut [0; 1]).await.unwrap();
            tell.send(thread::current().name().map(str::to_owned)).unwrap();
        };
        own.run(metrics::registry().0, work).await.unwrap();
        assert_eq!(told.await.unwrap().as_deref(), Some("rights"));
        drop(OwnThread::new().unwrap());
    }
}
