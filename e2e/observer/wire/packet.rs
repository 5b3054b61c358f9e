//! A packet socket on one interface.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::libc;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, SockaddrLike, bind, send, setsockopt, socket,
    sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

/// Sends and receives whole frames on one interface; lives in the network namespace of the thread that opens it.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Socket {
    /// Opens a socket on the interface with this index. It receives frames of `ethertype` with the kernel's time
    /// stamps, and wakes every 50 ms without one; with 0 it only sends.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`, or when the interface is gone.
    pub fn open(index: u32, ethertype: u16) -> io::Result<Self> {
        let fd = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)?;
        if ethertype != 0 {
            setsockopt(&fd, sockopt::ReceiveTimestampns, &true)?;
            setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::milliseconds(i64::from(WAKE_MS)))?;
            // A full buffer would look like silence. `RcvBufForce` would need CAP_NET_ADMIN.
            setsockopt(&fd, sockopt::RcvBuf, &(4 << 20))?;
        }
        bind(fd.as_raw_fd(), &link_address(index, ethertype)?)?;
        Ok(Self(fd))
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// The kernel's, for instance when the interface is down.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        send(self.0.as_raw_fd(), frame, MsgFlags::empty())?;
        Ok(())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// How long a receiving call waits.
const WAKE_MS: u16 = 50;

fn link_address(index: u32, ethertype: u16) -> io::Result<LinkAddr> {
    let raw = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).map_err(io::Error::other)?,
        sll_protocol: ethertype.to_be(),
        sll_ifindex: i32::try_from(index).map_err(io::Error::other)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = u32::try_from(size_of_val(&raw)).map_err(io::Error::other)?;
    // SAFETY: `raw` is a whole, initialised sockaddr_ll of that length and outlives the call, which copies it.
    let address = unsafe { LinkAddr::from_raw((&raw const raw).cast(), Some(length)) };
    address.ok_or_else(|| io::Error::other("build the address of a packet socket"))
}
