//! Netlink messages as bytes, for what the crates do not do.

use std::io;

use nix::errno::Errno;

/// Length of `struct nlmsghdr`.
pub(super) const HEADER: usize = 16;
/// Where that has the kind of message.
const KIND: usize = 4;
/// Where it has the number that an answer repeats.
const SEQUENCE: usize = 8;

pub(super) const NLMSG_ERROR: u16 = 2;
pub(super) const NLMSG_DONE: u16 = 3;
pub(super) const RTM_NEWADDR: u16 = 20;

/// The messages of an answer.
pub(super) fn messages(mut answer: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(answer, 0)?).ok().filter(|length| *length >= HEADER)?;
        let message = answer.get(..length)?;
        answer = answer.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

pub(super) fn kind(message: &[u8]) -> Option<u16> {
    Some(u16::from_ne_bytes(message.get(KIND..KIND + 2)?.try_into().ok()?))
}

/// The number of the request that this answers.
pub(super) fn sequence(message: &[u8]) -> Option<u32> {
    u32_at(message, SEQUENCE)
}

/// What an error message says; nothing if it only acknowledges.
pub(super) fn refusal(message: &[u8]) -> io::Result<()> {
    let code = message.get(HEADER..HEADER + 4).and_then(|code| code.try_into().ok()).map(i32::from_ne_bytes);
    match code {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(-code)),
        None => Err(Errno::EPROTO.into()),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
