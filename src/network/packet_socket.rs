//! Packet sockets (`packet(7)`): whole Ethernet frames, past the kernel's own IP.
#![allow(unsafe_code)]

use std::io::{self, Read};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, RawFd};

use nix::libc;
use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, SockFilter, Socket, Type};
use tokio::io::{Interest, unix::AsyncFd};
use tokio::runtime::Handle;

use super::filter::Instruction;

/// The wire could not be spoken on, or listened to.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// No packet socket.
    #[error("cannot open a packet socket (CAP_NET_RAW is needed)")]
    Open(#[source] io::Error),
    /// An interface without an Ethernet address.
    #[error("interface {link} is not Ethernet: frames cannot be sent there")]
    NotEthernet {
        /// The interface.
        link: String,
    },
    /// The frame did not leave.
    #[error("cannot send on interface {link}")]
    Send {
        /// The interface.
        link: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Nothing can be received.
    #[error("cannot listen on interface {link}")]
    Listen {
        /// The interface.
        link: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// Closed aside, where there is a runtime: whoever closes a packet socket waits until no processor of the machine can be handing it
/// a packet any more (`packet_release`, `synchronize_net`), which takes tens of milliseconds.
#[derive(Debug)]
struct ClosedAside(ManuallyDrop<Socket>);

impl ClosedAside {
    fn new() -> io::Result<Self> {
        // Protocol 0: the kernel hands it no packet at all before it is bound.
        let socket = Socket::new(Domain::PACKET, Type::RAW.nonblocking().cloexec(), Some(Protocol::from(0)))?;
        Ok(Self(ManuallyDrop::new(socket)))
    }
}

impl AsRawFd for ClosedAside {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Drop for ClosedAside {
    fn drop(&mut self) {
        // SAFETY: it is taken once, here, and nothing can be done with it after its drop.
        let socket = unsafe { ManuallyDrop::take(&mut self.0) };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(socket))),
            Err(_) => drop(socket),
        }
    }
}

/// Sends on any interface; receives nothing.
#[derive(Debug)]
pub(super) struct Sender(ClosedAside);

impl Sender {
    pub fn open() -> io::Result<Self> {
        // No PACKET_QDISC_BYPASS: what fences this node off on its way out (tc) shall see these frames too.
        ClosedAside::new().map(Self)
    }

    /// Hands one frame to the interface; an error when it does not take it at once.
    pub fn send(&self, index: u32, frame: &[u8]) -> io::Result<()> {
        let kind = frame.get(12..14).map_or(0, |kind| u16::from_be_bytes([kind[0], kind[1]]));
        self.0.0.send_to(frame, &link_address(index, kind)?).map(drop)
    }
}

/// Receives the frames of one kind that arrive on one interface, not those that leave it.
#[derive(Debug)]
pub(super) struct Receiver(AsyncFd<ClosedAside>);

impl Receiver {
    pub fn open(index: u32, kind: u16, filter: &[Instruction]) -> io::Result<Self> {
        let socket = ClosedAside::new()?;
        // First the filter, then the binding: nothing unfiltered is ever queued.
        if !filter.is_empty() {
            attach(&socket.0, filter)?;
        }
        socket.0.bind(&link_address(index, kind)?)?;
        // SAFETY: the AsyncFd owns the socket, which keeps one descriptor from now until both are dropped together.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE)? };
        Ok(Self(socket))
    }

    /// The next frame, if one is there already.
    #[cfg(test)]
    pub fn receive_now(&self, buffer: &mut [u8]) -> Option<usize> {
        (&*self.0.get_ref().0).read(buffer).ok()
    }

    /// Lets only what this program lets through be queued from now on.
    pub fn attach(&self, filter: &[Instruction]) -> io::Result<()> {
        attach(&self.0.get_ref().0, filter)
    }

    /// Whether a frame waits.
    #[cfg(test)]
    pub fn holds_something(&self) -> bool {
        self.0.get_ref().0.peek(&mut [std::mem::MaybeUninit::uninit()]).is_ok()
    }

    /// The next frame, cut to the buffer. Nothing is lost when the future is dropped.
    pub async fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let received = self.0.async_io(Interest::READABLE, |socket| (&*socket.0).read(buffer)).await;
            match received {
                // Told once when the interface goes down; the socket hears again when it comes up.
                Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => {}
                received => return received,
            }
        }
    }
}

fn attach(socket: &Socket, filter: &[Instruction]) -> io::Result<()> {
    let filter: Vec<SockFilter> = filter.iter().copied().map(SockFilter::from).collect();
    socket.attach_filter(&filter)
}

fn link_address(index: u32, kind: u16) -> io::Result<SockAddr> {
    let index = i32::try_from(index).map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))?;
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: sockaddr_ll is one of the types that sockaddr_storage is made for; all of its bit patterns are valid.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = AF_PACKET;
    address.sll_protocol = kind.to_be();
    address.sll_ifindex = index;
    // SAFETY: family and length are those of the sockaddr_ll just written.
    Ok(unsafe { SockAddr::new(storage, LENGTH) })
}

#[expect(clippy::cast_possible_truncation, reason = "17")]
const AF_PACKET: libc::sa_family_t = libc::AF_PACKET as libc::sa_family_t;
#[expect(clippy::cast_possible_truncation, reason = "20")]
const LENGTH: libc::socklen_t = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
