//! A datagram as bytes, all numbers in network order:
//!
//! | bytes | |
//! |---|---|
//! | 0 to 3 | `VIP` and the version of this format |
//! | 4 to 7 | which key |
//! | 8 | [`Kind`] |
//! | 9 to 16 | ticket that the receiver gave out |
//! | 17 to 24 | ticket that the sender gives out |
//! | 25 to 32 | number of the datagram in its session |
//! | 33 up to the last 32 | body |
//! | last 32 | HMAC-SHA256 of everything before |

use ring::hmac;

use super::key::{Key, KeyRing};
use super::reject::Reject;
use super::ticket::Ticket;

/// Nothing longer is sent or looked at: it fits into one packet on every Ethernet, tunnels included.
pub const MAX_DATAGRAM: usize = 1200;

/// What is left of it for the payload.
pub const MAX_PAYLOAD: usize = MAX_DATAGRAM - HEAD - TAG;

const MAGIC: [u8; 4] = *b"VIP\x01";
const HEAD: usize = 33;
const TAG: usize = 32;

/// What a datagram is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Asks for a ticket and brings the sender's; its body is [`Names`].
    Hello,
    /// Answers a hello.
    Welcome,
    /// Carries a payload; an empty one only shows that the sender has the ticket.
    Data,
}

/// A datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it is for.
    pub kind: Kind,
    /// The ticket that its receiver gave out.
    pub to: Ticket,
    /// The ticket that its sender gives out.
    pub from: Ticket,
    /// Its number in the session, from one.
    pub number: u64,
    /// Depends on the kind.
    pub body: &'a [u8],
}

/// Who speaks to whom, in a [`Kind::Hello`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names<'a> {
    /// The sender.
    pub from: &'a str,
    /// The receiver, so that no greeting can be turned to another.
    pub to: &'a str,
}

impl Frame<'_> {
    /// The bytes of the datagram, signed.
    pub fn seal(&self, key: &Key) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + self.body.len() + TAG);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&key.id());
        bytes.push(match self.kind {
            Kind::Hello => 1,
            Kind::Welcome => 2,
            Kind::Data => 3,
        });
        bytes.extend_from_slice(&self.to.0.to_be_bytes());
        bytes.extend_from_slice(&self.from.0.to_be_bytes());
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(self.body);
        let tag = hmac::sign(key.hmac(), &bytes);
        bytes.extend_from_slice(tag.as_ref());
        bytes
    }
}

/// Reads a datagram, if one of `keys` made it. What costs little is looked at first.
///
/// # Errors
/// [`Reject`]; nothing of the datagram is looked at beyond its head before it is authentic.
pub fn open<'a>(datagram: &'a [u8], keys: &KeyRing) -> Result<Frame<'a>, Reject> {
    if datagram.len() > MAX_DATAGRAM {
        return Err(Reject::Oversized);
    }
    let (signed, tag) = datagram.split_last_chunk::<TAG>().ok_or(Reject::Malformed)?;
    let (head, body) = signed.split_at_checked(HEAD).ok_or(Reject::Malformed)?;
    let (magic, rest) = head.split_first_chunk::<4>().ok_or(Reject::Malformed)?;
    let (id, rest) = rest.split_first_chunk::<4>().ok_or(Reject::Malformed)?;
    let (kind, numbers) = rest.split_first().ok_or(Reject::Malformed)?;
    if *magic != MAGIC {
        return Err(Reject::Malformed);
    }
    let mut named = keys.named(*id).peekable();
    if named.peek().is_none() {
        return Err(Reject::UnknownKey);
    }
    if !named.any(|key| hmac::verify(key.hmac(), signed, tag).is_ok()) {
        return Err(Reject::Forged);
    }
    let kind = match kind {
        1 => Kind::Hello,
        2 => Kind::Welcome,
        3 => Kind::Data,
        _ => return Err(Reject::Malformed),
    };
    let (to, numbers) = number(numbers)?;
    let (from, numbers) = number(numbers)?;
    let (number, _) = number(numbers)?;
    Ok(Frame { kind, to: Ticket(to), from: Ticket(from), number, body })
}

fn number(bytes: &[u8]) -> Result<(u64, &[u8]), Reject> {
    let (number, rest) = bytes.split_first_chunk::<8>().ok_or(Reject::Malformed)?;
    Ok((u64::from_be_bytes(*number), rest))
}

impl<'a> Names<'a> {
    /// As the body of a hello. Names of nodes are at most 253 bytes long; a longer one is cut, and is nobody's.
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.from.len() + self.to.len() + 2);
        for name in [self.from, self.to] {
            let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
            bytes.push(length);
            bytes.extend_from_slice(&name.as_bytes()[..usize::from(length)]);
        }
        bytes
    }

    /// Reads the body of a hello.
    ///
    /// # Errors
    /// [`Reject::Malformed`].
    pub fn read(body: &'a [u8]) -> Result<Self, Reject> {
        let (from, rest) = name(body)?;
        let (to, rest) = name(rest)?;
        if rest.is_empty() { Ok(Self { from, to }) } else { Err(Reject::Malformed) }
    }
}

fn name(bytes: &[u8]) -> Result<(&str, &[u8]), Reject> {
    let (length, rest) = bytes.split_first().ok_or(Reject::Malformed)?;
    let (name, rest) = rest.split_at_checked(usize::from(*length)).ok_or(Reject::Malformed)?;
    Ok((std::str::from_utf8(name).map_err(|_| Reject::Malformed)?, rest))
}
