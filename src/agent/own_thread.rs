//! Threads of their own for the loop and for the hand. Nothing else runs on them: what waits for the API server, or is no hurry,
//! runs on the runtime's threads. Where the system allows it, they run before all ordinary threads, so that a busy machine is
//! no dead one, and an address is not held up on its way from one node to another.

use std::future::Future;
use std::{io, thread};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use super::realtime::{self, Priority};

/// A thread to be, with timers and sockets of its own.
pub struct OwnThread {
    /// As it is shown by ps and top.
    name: &'static str,
    priority: Priority,
    runtime: Option<Runtime>,
}

impl OwnThread {
    /// # Errors
    /// When the system refuses an event queue.
    pub fn new(name: &'static str, priority: Priority) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { name, priority, runtime: Some(runtime) })
    }

    /// Opens what shall wake that thread and no other, sockets for instance.
    pub fn within<T>(&self, open: impl FnOnce() -> T) -> T {
        let _entered = self.runtime.as_ref().map(Runtime::enter);
        open()
    }

    /// Does `work` there, until it is done; `preferred` is told whether the system lets that thread run before ordinary ones.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub async fn run<F: Future<Output = ()>>(
        mut self,
        preferred: impl FnOnce(io::Result<()>) + Send + 'static,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> io::Result<()> {
        let Some(runtime) = self.runtime.take() else { return Ok(()) };
        let priority = self.priority;
        let (done, awaited) = oneshot::channel();
        thread::Builder::new().name(self.name.to_owned()).spawn(move || {
            preferred(realtime::prefer_this_thread(priority));
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
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn work_is_done_on_a_thread_with_timers_of_its_own() {
        let own = OwnThread::new("rights", Priority::Rights).unwrap();
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
        own.run(drop, work).await.unwrap();
        assert_eq!(told.await.unwrap().as_deref(), Some("rights"));
        drop(OwnThread::new("rights", Priority::Rights).unwrap());
    }
}
