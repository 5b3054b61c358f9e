//! Frames as they are met, and as an attacker would write them, with what each claims: the seeds of everything that is
//! tried on the readers of frames.

use std::net::IpAddr;

use super::{
    Claim, Mac,
    testing::{hex, noise},
};

/// A line for each frame: what it claims (address and hardware address, or `-`), the frame in hexadecimal, a note.
const CORPUS: &str = include_str!("corpus.txt");

/// All frames.
pub(crate) fn frames() -> Vec<Vec<u8>> {
    entries().map(|(_, frame, _)| frame).collect()
}

fn entries() -> impl Iterator<Item = (Option<Claim>, Vec<u8>, &'static str)> {
    let lines = CORPUS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        let mut columns = line.split('|').map(str::trim);
        let (claim, frame, note) =
            (columns.next().unwrap(), columns.next().unwrap(), columns.next().unwrap());
        let claim = claim.split_once(' ').map(|(address, mac)| Claim {
            address: address.parse::<IpAddr>().unwrap(),
            mac: mac.parse::<Mac>().unwrap(),
        });
        (claim, hex(frame), note)
    })
}

#[test]
fn each_frame_claims_what_it_should() {
    for (claim, frame, note) in entries() {
        assert_eq!(Claim::read(&frame), claim, "{note}");
    }
}

#[test]
fn whatever_is_received_is_read_without_a_panic_and_names_one_host() {
    for frame in noise(&frames()) {
        if let Some(claim) = Claim::read(&frame) {
            assert!(claim.mac.is_host() && !claim.address.is_multicast(), "{claim:?} in {frame:02x?}");
        }
    }
}
