//! Many changes in one call: the kernel takes as many requests as fit into a message to it, and says only of which ones it
//! refused.

use std::io;

use nix::{errno::Errno, libc::MSG_DONTWAIT};
use rtnetlink::{
    packet_core::{NLM_F_ACK, NLM_F_REQUEST, NetlinkMessage},
    packet_route::RouteNetlinkMessage,
    sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE},
};
use tokio::{sync::Mutex, task::yield_now};

use super::netlink::{NLMSG_ERROR, kind, messages, refusal, sequence};

/// So many requests go together. A system call with these takes a millisecond or less (with a thousand IPv6 addresses some),
/// and others of this thread have their turn then; and as many refusals fit into a socket's buffer by far.
const PIECE: usize = 32;

/// Longer than any refusal, which repeats no more than the header of its request.
const ANSWER: usize = 8192;

/// A connection for changes that go together.
#[derive(Debug)]
pub(super) struct Batch {
    /// One piece at a time.
    wire: Mutex<Wire>,
    port: u32,
}

#[derive(Debug)]
struct Wire {
    socket: Socket,
    sequence: u32,
}

impl Batch {
    /// Opens it, in the network namespace of this thread.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        let port = socket.bind_auto()?.port_number();
        socket.connect(&SocketAddr::new(0, 0))?;
        // A repeated request is only longer to read (before Linux 4.3).
        let _ = socket.set_cap_ack(true);
        Ok(Self { wire: Mutex::new(Wire { socket, sequence: 0 }), port })
    }

    /// By which notifications of what was done here are known.
    pub fn port(&self) -> u32 {
        self.port
    }

    /// Makes these changes, and says what became of each, in their order.
    ///
    /// # Errors
    /// When it is not known what became of them.
    pub async fn change(
        &self,
        changes: impl IntoIterator<Item = RouteNetlinkMessage>,
        flags: u16,
    ) -> io::Result<Vec<io::Result<()>>> {
        let mut changes = changes.into_iter();
        let mut outcomes = Vec::new();
        loop {
            let piece: Vec<_> = changes.by_ref().take(PIECE).collect();
            if piece.is_empty() {
                return Ok(outcomes);
            }
            outcomes.extend(self.wire.lock().await.change(piece, flags)?);
            yield_now().await;
        }
    }
}

impl Wire {
    fn change(&mut self, changes: Vec<RouteNetlinkMessage>, flags: u16) -> io::Result<Vec<io::Result<()>>> {
        let (first, count) = (self.sequence, changes.len());
        let mut requests = Vec::new();
        for (change, behind) in changes.into_iter().zip((0..count).rev()) {
            // The kernel takes them in their order: its word on the last one comes after all others.
            let ack = if behind == 0 { NLM_F_ACK } else { 0 };
            write(&mut requests, change, NLM_F_REQUEST | ack | flags, self.sequence);
            self.sequence = self.sequence.wrapping_add(1);
        }
        self.socket.send(&requests, 0)?;
        self.outcomes(first, count)
    }

    /// What the kernel has said of the requests from number `first` on: it has dealt with them before it took the next
    /// instruction of ours.
    fn outcomes(&self, first: u32, count: usize) -> io::Result<Vec<io::Result<()>>> {
        let mut outcomes: Vec<io::Result<()>> = std::iter::repeat_with(|| Ok(())).take(count).collect();
        let mut answer = Vec::with_capacity(ANSWER);
        loop {
            answer.clear();
            self.socket.recv(&mut answer, MSG_DONTWAIT)?;
            for message in messages(&answer).filter(|message| kind(message) == Some(NLMSG_ERROR)) {
                let number = sequence(message).ok_or(Errno::EPROTO)?.wrapping_sub(first);
                let Some(outcome) = usize::try_from(number).ok().and_then(|number| outcomes.get_mut(number))
                else {
                    continue;
                };
                *outcome = refusal(message);
                if usize::try_from(number).is_ok_and(|number| number + 1 == count) {
                    return Ok(outcomes);
                }
            }
        }
    }
}

fn write(requests: &mut Vec<u8>, change: RouteNetlinkMessage, flags: u16, sequence: u32) {
    let mut message = NetlinkMessage::from(change);
    message.header.flags = flags;
    message.header.sequence_number = sequence;
    message.finalize();
    let start = requests.len();
    requests.resize(start + message.buffer_len().next_multiple_of(4), 0);
    message.serialize(&mut requests[start..]);
}
