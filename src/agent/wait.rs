//! What the loop waits for: an input, a datagram, or a moment. It asks the kernel itself, once each time: a runtime would wake
//! the thread for its own timers as well, keep them in whole milliseconds, and ring its own bell.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::error;

use super::input::Input;

/// Rung by whoever puts an input into the loop's empty queue.
struct Bell(EventFd);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // It fails only where it has been rung 2^64 - 2 times.
        let _ = self.0.write(1);
    }
}

/// The loop's side of its queue, and the way to wait for more than that.
pub struct Wait {
    inputs: mpsc::UnboundedReceiver<Input>,
    bell: Arc<Bell>,
    waker: Waker,
}

impl Wait {
    /// # Errors
    /// When the system has no more descriptors.
    pub fn new(inputs: mpsc::UnboundedReceiver<Input>) -> io::Result<Self> {
        let bell = Arc::new(Bell(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?));
        let waker = Waker::from(bell.clone());
        Ok(Self { inputs, bell, waker })
    }

    /// The next input, if there is one (none: nobody can send any more); else waits until one comes, `datagrams` has something to
    /// read, or it is `until`.
    pub fn next(&mut self, datagrams: Option<BorrowedFd<'_>>, until: Instant) -> Poll<Option<Input>> {
        let input = self.take();
        if input.is_ready() {
            return input;
        }
        match self.sleep(datagrams, until.saturating_duration_since(Instant::now())) {
            Ok(true) => self.take(),
            Ok(false) => Poll::Pending,
            Err(errno) => {
                // Out of memory. What is due is done, and it is tried again.
                error!(%errno, "the loop cannot wait");
                Poll::Pending
            }
        }
    }

    fn take(&mut self) -> Poll<Option<Input>> {
        self.inputs.poll_recv(&mut Context::from_waker(&self.waker))
    }

    /// Says whether the bell was rung.
    fn sleep(&self, datagrams: Option<BorrowedFd<'_>>, span: Duration) -> Result<bool, Errno> {
        let bell = PollFd::new(self.bell.0.as_fd(), PollFlags::POLLIN);
        let mut all = vec![bell];
        all.extend(datagrams.map(|socket| PollFd::new(socket, PollFlags::POLLIN)));
        match ppoll(&mut all, Some(TimeSpec::from_duration(span)), None) {
            // A signal is somebody else's.
            Ok(0) | Err(Errno::EINTR) => Ok(false),
            Ok(_) if all[0].any().unwrap_or_default() => self.bell.0.read().map(|_| true),
            Ok(_) => Ok(false),
            Err(errno) => Err(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::thread;

    use super::*;
    use crate::agent::input::Inputs;

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn an_input_wakes_it_whenever_it_comes() {
        let (inputs, door) = Inputs::new();
        let mut wait = Wait::new(door).unwrap();
        inputs.send(Input::Objects);
        assert!(matches!(wait.next(None, Instant::now() + LONG), Poll::Ready(Some(Input::Objects))));
        let later = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            inputs.send(Input::Listed);
        });
        assert!(matches!(wait.next(None, Instant::now() + LONG), Poll::Ready(Some(Input::Listed))));
        later.join().unwrap();
        assert!(
            matches!(wait.next(None, Instant::now() + LONG), Poll::Ready(None)),
            "nobody can send any more"
        );
    }

    #[test]
    fn a_datagram_wakes_it_and_so_does_time() {
        let (_inputs, door) = Inputs::new();
        let mut wait = Wait::new(door).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let begin = Instant::now();
        let span = Duration::from_millis(20);
        assert!(wait.next(Some(socket.as_fd()), begin + span).is_pending());
        assert!(begin.elapsed() >= span);
        socket.send_to(b"!", socket.local_addr().unwrap()).unwrap();
        assert!(wait.next(Some(socket.as_fd()), Instant::now() + LONG).is_pending());
        socket.set_nonblocking(true).unwrap();
        assert_eq!(socket.recv(&mut [0; 1]).unwrap(), 1);
    }
}
