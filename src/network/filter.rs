//! Which frames the kernel hands to a listener, and which of its own messages: classic BPF programs, so that nobody wakes
//! for the rest.

use std::{collections::BTreeSet, net::IpAddr};

use nix::libc::{BPF_ABS, BPF_B, BPF_H, BPF_JA, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W};
use socket2::SockFilter;

use super::netlink;

/// Where a frame with an ARP packet has its sender's IPv4 address.
const ARP_SENDER: u32 = 28;
/// Where a frame with an IPv6 packet says what comes next.
const NEXT_HEADER: u32 = 20;
const ICMPV6: u32 = 58;
/// Where one with `ICMPv6` right behind the header has its type. Extension headers are not followed: no host sends
/// advertisements with them.
const ICMPV6_TYPE: u32 = 54;
const ADVERTISEMENT: u32 = 136;
/// Where an advertisement has the last four bytes of its target.
const TARGET: u32 = 74;

/// Where a netlink message has its kind.
const MESSAGE_KIND: u32 = 4;
/// Where a notification has the port of who caused it.
const MESSAGE_PORT: u32 = 12;

/// Comparisons before one place to jump to: a jump goes over 255 instructions at most.
const BLOCK: usize = 200;
/// The kernel takes 4096 instructions; a program for more addresses lets all through.
const MAX_ADDRESSES: usize = 3500;

/// One instruction (`struct sock_filter`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    code: u16,
    then: u8,
    otherwise: u8,
    value: u32,
}

impl From<Instruction> for SockFilter {
    fn from(instruction: Instruction) -> Self {
        Self::new(instruction.code, instruction.then, instruction.otherwise, instruction.value)
    }
}

/// All of it.
pub(super) const EVERYTHING: [Instruction; 1] = [WHOLE];

/// Neighbour advertisements, of whatever address.
pub(super) const ADVERTISEMENTS: [Instruction; 6] = [
    load(BPF_B, NEXT_HEADER),
    equals(ICMPV6, 0, 3),
    load(BPF_B, ICMPV6_TYPE),
    equals(ADVERTISEMENT, 0, 1),
    WHOLE,
    NOTHING,
];

/// Of ARP packets those in which somebody says that he has one of these addresses.
pub(super) fn arp_of(addresses: &BTreeSet<IpAddr>) -> Vec<Instruction> {
    let words = addresses.iter().filter_map(|address| match address {
        IpAddr::V4(address) => Some(u32::from(*address)),
        IpAddr::V6(_) => None,
    });
    let mut program = vec![load(BPF_W, ARP_SENDER)];
    program.extend(any_of(words.collect()));
    program
}

/// Of IPv6 packets the advertisements of addresses that end like one of these. The rest of the address is for whoever
/// reads the frame.
pub(super) fn advertisements_of(addresses: &BTreeSet<IpAddr>) -> Vec<Instruction> {
    let words = addresses.iter().filter_map(|address| match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => u32::try_from(address.to_bits() & u128::from(u32::MAX)).ok(),
    });
    let mut program = vec![
        load(BPF_B, NEXT_HEADER),
        equals(ICMPV6, 1, 0),
        NOTHING,
        load(BPF_B, ICMPV6_TYPE),
        equals(ADVERTISEMENT, 1, 0),
        NOTHING,
        load(BPF_W, TARGET),
    ];
    program.extend(any_of(words.collect()));
    program
}

/// Of netlink's notifications all but those of addresses that whoever has this port has added or changed. There numbers have
/// the machine's own order, while these programs load them as of the network's.
pub(super) fn all_but_new_addresses_by(port: u32) -> [Instruction; 6] {
    [
        load(BPF_H, MESSAGE_KIND),
        equals(u16::from_be_bytes(netlink::RTM_NEWADDR.to_ne_bytes()).into(), 0, 3),
        load(BPF_W, MESSAGE_PORT),
        equals(u32::from_be_bytes(port.to_ne_bytes()), 0, 1),
        NOTHING,
        WHOLE,
    ]
}

/// The whole frame if the word just loaded is one of these, else nothing.
fn any_of(words: BTreeSet<u32>) -> Vec<Instruction> {
    if words.len() > MAX_ADDRESSES {
        return vec![WHOLE];
    }
    let words: Vec<u32> = words.into_iter().collect();
    let mut program = Vec::new();
    for block in words.chunks(BLOCK) {
        // Each jumps to the end of its block, or on to the next.
        let jumps = (1..=u8::MAX).take(block.len()).rev();
        program.extend(block.iter().zip(jumps).map(|(word, jump)| equals(*word, jump, 0)));
        program.extend([skip(1), WHOLE]);
    }
    program.push(NOTHING);
    program
}

const WHOLE: Instruction =
    Instruction { code: code(BPF_RET | BPF_K), then: 0, otherwise: 0, value: u32::MAX };
const NOTHING: Instruction = Instruction { value: 0, ..WHOLE };

const fn load(size: u32, offset: u32) -> Instruction {
    Instruction { code: code(BPF_LD | size | BPF_ABS), then: 0, otherwise: 0, value: offset }
}

const fn equals(value: u32, then: u8, otherwise: u8) -> Instruction {
    Instruction { code: code(BPF_JMP | BPF_JEQ | BPF_K), then, otherwise, value }
}

const fn skip(instructions: u32) -> Instruction {
    Instruction { code: code(BPF_JMP | BPF_JA), then: 0, otherwise: 0, value: instructions }
}

#[expect(clippy::cast_possible_truncation, reason = "operation codes have 16 bits")]
const fn code(code: u32) -> u16 {
    code as u16
}

#[cfg(test)]
#[path = "filter_test.rs"]
mod tests;
