//! Closing the TCP connections of addresses that go (`sock_diag(7)`, `SOCK_DESTROY`).
//!
//! A connection whose address has moved is dead, but its client learns that only when it sends; closed while the address is
//! still here, it is told by a reset.

use std::{
    io,
    net::IpAddr,
    time::{Duration, Instant},
};

use nix::{errno::Errno, libc};
use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};

use super::netlink::{HEADER, NLMSG_DONE, NLMSG_ERROR, kind, messages, refusal};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;
/// `INET_DIAG_REQ_BYTECODE`: the attribute with which the kernel picks sockets.
const BYTECODE: u16 = 1;
/// `INET_DIAG_BC_S_COND`: the source is this address.
const SOURCE_IS: u8 = 7;
/// All states of TCP but `LISTEN` (10) and `TIME_WAIT` (6), whose sockets have no connection.
const CONNECTED: u32 = 0xfff & !(1 << 10) & !(1 << 6);
/// Where `struct inet_diag_msg` has its `struct inet_diag_sockid`, and how long that is.
const ID: std::ops::Range<usize> = HEADER + 4..HEADER + 4 + 48;

/// How long addresses that go may wait for their connections: whoever is to have them next waits as well.
pub const CLOSE_WITHIN: Duration = Duration::from_millis(200);

/// Connections stay open.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The kernel does not do it.
    #[error("cannot {what} TCP connections (the kernel needs CONFIG_INET_DIAG_DESTROY)")]
    Refused {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// There are too many.
    #[error("the time to close TCP connections is over, and not all of them are closed")]
    Late,
}

/// Closes all TCP connections whose local address is one of these, in the network namespace of this thread; says how
/// many there were. Sockets that listen stay. Nothing is closed after `end`, nor does this wait any longer.
///
/// # Errors
/// Without `CAP_NET_ADMIN`, when the kernel cannot do it, or when there is no time left.
pub async fn close_connections(addresses: Vec<IpAddr>, end: Instant) -> Result<usize, ConnectionError> {
    let closing = tokio::task::spawn_blocking(move || close_all(&addresses, end));
    match tokio::time::timeout_at(end.into(), closing).await {
        Ok(Ok(closed)) => closed,
        // The runtime ends, and so does everything.
        Ok(Err(_)) => Ok(0),
        Err(_) => Err(ConnectionError::Late),
    }
}

fn close_all(addresses: &[IpAddr], end: Instant) -> Result<usize, ConnectionError> {
    let list = |source| ConnectionError::Refused { what: "list", source };
    let mut socket = Socket::new(NETLINK_SOCK_DIAG).map_err(list)?;
    socket.connect(&SocketAddr::new(0, 0)).map_err(list)?;
    let mut closed = 0;
    for address in addresses {
        for id in connections(&mut socket, *address).map_err(list)? {
            if Instant::now() >= end {
                return Err(ConnectionError::Late);
            }
            let close = request(SOCK_DESTROY, libc::NLM_F_ACK, *address, &id, &[]);
            match acknowledged(&mut socket, &close) {
                Ok(()) => closed += 1,
                // It has just ended by itself.
                Err(error) if error.raw_os_error() == Some(Errno::ENOENT as i32) => {}
                Err(source) => return Err(ConnectionError::Refused { what: "close", source }),
            }
        }
    }
    Ok(closed)
}

/// The kernel's names of the connections.
fn connections(socket: &mut Socket, address: IpAddr) -> io::Result<Vec<[u8; 48]>> {
    let list = request(SOCK_DIAG_BY_FAMILY, libc::NLM_F_DUMP, address, &[0; 48], &source_is(address));
    socket.send(&list, 0)?;
    let mut ids = Vec::new();
    loop {
        let (answer, _) = socket.recv_from_full()?;
        for message in messages(&answer) {
            match kind(message) {
                Some(SOCK_DIAG_BY_FAMILY) => {
                    ids.extend(message.get(ID).and_then(|id| <[u8; 48]>::try_from(id).ok()));
                }
                Some(NLMSG_DONE) => return Ok(ids),
                Some(NLMSG_ERROR) => return refusal(message).map(|()| ids),
                _ => {}
            }
        }
    }
}

fn acknowledged(socket: &mut Socket, request: &[u8]) -> io::Result<()> {
    socket.send(request, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    match messages(&answer).next() {
        Some(message) if kind(message) == Some(NLMSG_ERROR) => refusal(message),
        _ => Err(Errno::EPROTO.into()),
    }
}

/// `struct inet_diag_req_v2` with its header, and attributes.
fn request(kind: u16, flags: i32, address: IpAddr, id: &[u8; 48], attributes: &[u8]) -> Vec<u8> {
    let length = HEADER + 8 + id.len() + attributes.len();
    let flags = u16::try_from(libc::NLM_F_REQUEST | flags).unwrap_or_default();
    let mut message = Vec::with_capacity(length);
    message.extend(u32::try_from(length).unwrap_or_default().to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([family(address), PROTOCOL, 0, 0]);
    message.extend(CONNECTED.to_ne_bytes());
    message.extend(id);
    message.extend(attributes);
    message
}

#[expect(clippy::cast_possible_truncation, reason = "6")]
const PROTOCOL: u8 = libc::IPPROTO_TCP as u8;

#[expect(clippy::cast_possible_truncation, reason = "2 and 10")]
const fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { libc::AF_INET as u8 } else { libc::AF_INET6 as u8 }
}

/// The attribute that lets the kernel pick sockets by their source: one `struct inet_diag_bc_op` that goes on behind its
/// operand if it is met and past the end if not, and the operand, a `struct inet_diag_hostcond`.
fn source_is(address: IpAddr) -> Vec<u8> {
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let length = u8::try_from(4 + 8 + octets.len()).unwrap_or_default();
    let bits = u8::try_from(octets.len() * 8).unwrap_or_default();
    let mut attribute = Vec::new();
    attribute.extend((4 + u16::from(length)).to_ne_bytes());
    attribute.extend(BYTECODE.to_ne_bytes());
    attribute.extend([SOURCE_IS, length]);
    attribute.extend((u16::from(length) + 4).to_ne_bytes());
    attribute.extend([family(address), bits, 0, 0]);
    // Any port.
    attribute.extend((-1_i32).to_ne_bytes());
    attribute.extend(octets);
    attribute
}
