//! Whatever arrives: nothing panics, and nothing that was changed on the way is taken.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::frame::{self, Names};
use super::super::key::KeyRing;
use super::{World, key};

/// One datagram of each kind, and one with a long body.
fn corpus() -> Vec<Vec<u8>> {
    let mut world = World::new();
    world.send("n1", "n2", b"a payload");
    world.send("n2", "n1", &[0xff; 1000]);
    world.recorded.into_iter().map(|(_, sent)| sent.bytes).collect()
}

#[derive(Clone, Debug)]
enum Change {
    Flip(usize, u8),
    Cut(usize),
    Append(Vec<u8>),
    Insert(usize, u8),
    Remove(usize),
    Splice(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let at = 0_usize..1200;
    prop_oneof![
        (at.clone(), 1_u8..=255).prop_map(|(at, bits)| Change::Flip(at, bits)),
        at.clone().prop_map(Change::Cut),
        vec(any::<u8>(), 1..64).prop_map(Change::Append),
        (at.clone(), any::<u8>()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        at.clone().prop_map(Change::Remove),
        (at, 0_usize..4).prop_map(|(at, other)| Change::Splice(at, other)),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change, corpus: &[Vec<u8>]) {
    let place = |at: usize| at % bytes.len().max(1);
    match change {
        _ if bytes.is_empty() => {}
        Change::Flip(at, bits) => {
            let at = place(*at);
            bytes[at] ^= bits;
        }
        Change::Cut(at) => bytes.truncate(place(*at)),
        Change::Append(more) => bytes.extend(more),
        Change::Insert(at, byte) => bytes.insert(place(*at), *byte),
        Change::Remove(at) => {
            bytes.remove(place(*at));
        }
        Change::Splice(at, other) => {
            let at = place(*at);
            let other = &corpus[other % corpus.len()];
            bytes.truncate(at);
            bytes.extend(other.iter().skip(at));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_changed_datagram_is_authentic(which in 0_usize..4, changes in vec(change(), 1..4)) {
        let corpus = corpus();
        let mut bytes = corpus[which % corpus.len()].clone();
        for change in &changes {
            apply(&mut bytes, change, &corpus);
        }
        prop_assume!(!corpus.contains(&bytes));
        prop_assert!(frame::open(&bytes, &KeyRing::new(key(1), [key(2)])).is_err());
    }

    #[test]
    fn no_noise_is_taken_and_no_noise_is_answered(noise in vec(any::<u8>(), 0..1300)) {
        let mut world = World::new();
        let now = world.now;
        let table = world.table("n2");
        prop_assert!(table.receive(&noise, super::address("n1").ip(), now).is_err());
        prop_assert!(table.outgoing().is_none());
    }

    #[test]
    fn authentic_noise_does_no_harm(kind in 0_u8..8, rest in vec(any::<u8>(), 0..1000)) {
        let ring = KeyRing::new(key(1), []);
        let mut bytes = corpus().remove(0);
        bytes.truncate(8);
        bytes.push(kind);
        bytes.extend(rest);
        let tag = ring::hmac::sign(key(1).hmac(), &bytes);
        bytes.extend_from_slice(tag.as_ref());
        let _ = frame::open(&bytes, &ring);
        let mut world = World::new();
        let now = world.now;
        let taken = world.table("n2").receive(&bytes, super::address("n1").ip(), now).map(|taken| taken.is_some());
        prop_assert!(taken != Ok(true), "no ticket was given out");
    }

    #[test]
    fn names_read_back(from in "[a-z0-9.-]{0,255}", to in "[a-z0-9.-]{0,255}") {
        let names = Names { from: &from, to: &to };
        let written = names.write();
        prop_assert_eq!(Names::read(&written), Ok(names));
    }
}
