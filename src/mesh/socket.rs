//! The socket: the only place of this room that talks to the kernel.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use tracing::warn;

use super::counts::Counts;
use super::frame::MAX_DATAGRAM;
use super::key::{KeyRing, NoRandomness};
use super::peer::Silence;
use super::reject::Reject;
use super::table::Table;
use super::ticket::Tickets;

/// Between two lines of the log about datagrams that were not taken.
const LOG_PAUSE: Duration = Duration::from_mins(1);

/// Wait after an error of the socket, which is no answer to anything that was sent.
const PAUSE: Duration = Duration::from_millis(100);

/// Why there are no direct messages.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// The port is taken, or the kernel refuses sockets.
    #[error(
        "cannot listen on UDP port {port}: is another program using it? `ss -ulpn sport = :{port}` says which"
    )]
    Bind {
        /// The port.
        port: u16,
        /// What the kernel said.
        source: io::Error,
    },
    /// Tickets cannot be drawn.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

/// A message that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// From which peer.
    pub from: Arc<str>,
    /// What it says.
    pub payload: Vec<u8>,
}

/// Direct messages between this node and its peers.
#[derive(Debug)]
pub struct Mesh {
    socket: UdpSocket,
    /// An IPv6 socket, in which IPv4 addresses are written as `::ffff:192.0.2.1` (RFC 4291, section 2.5.5.2).
    mapped: bool,
    table: Table,
    counts: Counts,
    logged: Option<Instant>,
    deaf_until: Option<Instant>,
    /// One byte more than is taken, so that what is too long shows.
    buffer: Box<[u8; MAX_DATAGRAM + 1]>,
}

impl Mesh {
    /// Opens the port on all addresses of this node, IPv4 and IPv6 where the kernel has both. Zero: any free port. What goes
    /// out and comes in is counted in `counts`.
    ///
    /// # Errors
    /// [`MeshError`].
    pub fn open(me: &str, port: u16, counts: Counts) -> Result<Self, MeshError> {
        let tickets = Tickets::new()?;
        let (socket, mapped) = bind(port).map_err(|source| MeshError::Bind { port, source })?;
        Ok(Self {
            socket,
            mapped,
            table: Table::new(me, tickets),
            counts,
            logged: None,
            deaf_until: None,
            buffer: Box::new([0; MAX_DATAGRAM + 1]),
        })
    }

    /// The port that is open.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }

    /// From now on these keys count.
    pub fn set_keys(&mut self, keys: KeyRing) {
        self.table.set_keys(keys);
    }

    /// From now on these are the peers, by name; none: its address is not known.
    pub fn set_peers(&mut self, peers: &BTreeMap<Arc<str>, Option<SocketAddr>>) {
        self.table.set_peers(peers);
    }

    /// Sends at once and waits for nothing; what is lost on the way is lost.
    ///
    /// # Errors
    /// [`Silence`] when it is known already that it will not arrive.
    pub fn send(&mut self, to: &str, payload: &[u8]) -> Result<(), Silence> {
        self.table.send(to, payload, Instant::now())?;
        self.flush();
        Ok(())
    }

    /// Why nothing was heard of a peer in the last `span`; none when something was.
    #[must_use]
    pub fn silence(&self, peer: &str, span: Duration) -> Option<Silence> {
        self.table.silence(peer, span, Instant::now())
    }

    /// What shows that something has arrived; none for a moment after an error, which could show for ever.
    #[must_use]
    pub fn ear(&self) -> Option<BorrowedFd<'_>> {
        self.deaf_until.is_none_or(|end| end <= Instant::now()).then(|| self.socket.as_fd())
    }

    /// Takes the next datagram, if one has arrived, and gives the message in it, if there is one; does not wait. What strangers send is
    /// counted and dropped here: one at a time, so that a flood of it keeps the caller from nothing else.
    pub fn receive(&mut self) -> Option<Delivery> {
        match self.socket.recv_from(&mut self.buffer[..]) {
            Ok((length, source)) => self.take(length, source),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "nothing can be received from peers");
                self.deaf_until = Some(Instant::now() + PAUSE);
                None
            }
        }
    }

    fn take(&mut self, length: usize, source: SocketAddr) -> Option<Delivery> {
        let datagram = &self.buffer[..length];
        let delivery = match self.table.receive(datagram, source.ip(), Instant::now()) {
            Ok(message) => {
                self.counts.received();
                message.map(|(from, payload)| Delivery { from, payload: payload.to_vec() })
            }
            Err(reason) => {
                self.reject(reason, source.ip().to_canonical());
                None
            }
        };
        self.flush();
        delivery
    }

    fn reject(&mut self, reason: Reject, source: IpAddr) {
        self.counts.rejected(reason);
        if self.logged.is_none_or(|at| at.elapsed() >= LOG_PAUSE) {
            self.logged = Some(Instant::now());
            warn!(%source, %reason, "a datagram was dropped; others are only counted for a minute");
        }
    }

    fn flush(&mut self) {
        while let Some(outgoing) = self.table.outgoing() {
            let address = if self.mapped { mapped(outgoing.address) } else { outgoing.address };
            let sent = self.socket.send_to(&outgoing.bytes, address);
            self.counts.sent(sent.is_ok());
            self.table.sent(&outgoing.peer, sent.err().map(|error| error.to_string()));
        }
    }
}

/// A socket that needs no waiting; and whether it is an IPv6 one.
fn bind(port: u16) -> io::Result<(UdpSocket, bool)> {
    let both = open(Domain::IPV6, (Ipv6Addr::UNSPECIFIED, port).into());
    match both {
        Ok(socket) => Ok((socket, true)),
        // A taken port is no reason to take it for IPv4 only.
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
        Err(_) => Ok((open(Domain::IPV4, (Ipv4Addr::UNSPECIFIED, port).into())?, false)),
    }
}

fn open(domain: Domain, address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), v4.port()).into(),
        SocketAddr::V6(_) => address,
    }
}
