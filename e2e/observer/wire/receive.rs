//! Hears frames with the kernel's time of arrival.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::sys::time::TimeSpec;

use super::{Heard, Socket, clock, hear};

/// Tells `told` everything heard, with its time of arrival in `CLOCK_BOOTTIME` microseconds, until `done`.
///
/// # Errors
/// The kernel's; an interface that goes down is none, it may come up again.
pub fn listen(socket: &Socket, done: &AtomicBool, mut told: impl FnMut(u64, Heard)) -> io::Result<()> {
    // Longer than any ARP frame or advertisement with a few options; the rest of a longer frame says nothing to us.
    let mut frame = [0; 256];
    loop {
        match receive(socket, &mut frame) {
            Ok((bytes, at_us)) => {
                if let Some(heard) = frame.get(..bytes).and_then(hear) {
                    told(at_us, heard);
                }
            }
            Err(Errno::EAGAIN) if done.load(Ordering::Relaxed) => return Ok(()),
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENETDOWN) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn receive(socket: &Socket, frame: &mut [u8]) -> nix::Result<(usize, u64)> {
    let mut control = nix::cmsg_space!(TimeSpec);
    let mut slices = [IoSliceMut::new(frame)];
    let fd = socket.as_fd().as_raw_fd();
    let message = recvmsg::<()>(fd, &mut slices, Some(&mut control), MsgFlags::empty())?;
    let stamp = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(at) => Some(at),
        _ => None,
    });
    Ok((message.bytes, stamp.map_or_else(clock::boottime_us, clock::arrival_us)))
}
