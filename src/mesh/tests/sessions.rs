//! Agreement, loss, restarts, replays, keys: between tables without a socket.

use std::time::Duration;

use super::super::frame::{self, MAX_DATAGRAM, MAX_PAYLOAD};
use super::super::key::KeyRing;
use super::super::peer::Silence;
use super::super::reject::Reject;
use super::{World, key};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_first_message_arrives_after_one_round_trip_and_the_next_at_once() {
    let mut world = World::new();
    world.send("n1", "n2", b"first");
    assert_eq!(world.recorded.len(), 3, "hello, welcome, data");
    world.send("n2", "n1", b"answer");
    world.send("n1", "n2", b"second");
    assert_eq!(world.recorded.len(), 5);
    let texts = [("n2", "first"), ("n1", "answer"), ("n2", "second")];
    assert_eq!(world.arrived(), texts.map(|(at, text)| (at, text.to_owned())));
}

#[test]
fn greetings_in_both_directions_come_to_one_session() {
    let mut world = World::new();
    let now = world.now;
    world.table("n1").send("n2", b"from n1", now).unwrap();
    world.table("n2").send("n1", b"from n2", now).unwrap();
    world.deliver();
    assert_eq!(world.arrived().len(), 2);
    world.send("n1", "n2", b"on");
    world.send("n2", "n1", b"on");
    assert_eq!(world.arrived().len(), 2);
}

#[test]
fn nothing_recorded_is_ever_taken_again_whoever_was_started_anew() {
    for restarted in [&["n1"][..], &["n2"], &["n1", "n2"], &[]] {
        let mut world = World::new();
        for round in 0..3 {
            world.send("n1", "n2", format!("ask {round}").as_bytes());
            world.send("n2", "n1", format!("answer {round}").as_bytes());
        }
        for name in restarted {
            world.start(name);
        }
        world.arrived();
        let recorded = world.recorded.clone();
        for moment in ["before they speak again", "after"] {
            for (from, outgoing) in &recorded {
                let _ = world.inject(from, outgoing);
                world.deliver();
            }
            assert_eq!(world.arrived(), [], "{restarted:?}, {moment}");
            world.later(SECOND);
            world.send("n1", "n2", b"again");
            world.send("n2", "n1", b"again");
            assert_eq!(world.arrived().len(), 2, "{restarted:?}: the replay does not keep them apart");
        }
    }
}

#[test]
fn what_a_former_life_sent_does_not_arrive_once_the_new_one_has_spoken() {
    let mut world = World::new();
    world.send("n1", "n2", b"hello");
    world.send_and_lose("n1", "n2", b"late");
    let (_, late) = world.recorded.last().unwrap().clone();
    world.start("n1");
    world.later(SECOND);
    world.send("n1", "n2", b"new life");
    world.arrived();
    assert_eq!(world.inject("n1", &late), Err(Reject::Stale));
}

#[test]
fn a_peer_that_was_started_again_is_greeted_when_it_is_spoken_to_by_either() {
    for speaker in ["n1", "n2"] {
        let mut world = World::new();
        world.send("n1", "n2", b"hello");
        world.start("n2");
        world.later(SECOND);
        let other = if speaker == "n1" { "n2" } else { "n1" };
        world.send(speaker, other, b"one");
        world.later(SECOND / 10);
        world.send(speaker, other, b"two");
        assert!(world.arrived().contains(&(if speaker == "n1" { "n2" } else { "n1" }, "two".to_owned())));
    }
}

#[test]
fn a_lost_greeting_is_sent_again_and_what_is_old_by_then_is_dropped() {
    let mut world = World::new();
    world.send_and_lose("n1", "n2", b"too old");
    world.later(SECOND * 2);
    world.send("n1", "n2", b"young");
    assert_eq!(world.arrived(), [("n2", "young".to_owned())]);
}

#[test]
fn strangers_get_no_answer() {
    let mut world = World::new();
    world.send("n1", "n2", b"hello");
    let (_, genuine) = world.recorded[0].clone();
    let mut forged = genuine.clone();
    *forged.bytes.last_mut().unwrap() ^= 1;
    assert_eq!(world.inject("n1", &forged), Err(Reject::Forged));
    let long = super::Outgoing { bytes: vec![0; MAX_DATAGRAM + 1], ..genuine.clone() };
    assert_eq!(world.inject("n1", &long), Err(Reject::Oversized));
    let noise = super::Outgoing { bytes: vec![0; 100], ..genuine.clone() };
    assert_eq!(world.inject("n1", &noise), Err(Reject::Malformed));
    world.table("n2").set_keys(KeyRing::new(key(9), []));
    assert_eq!(world.inject("n1", &genuine), Err(Reject::UnknownKey));
    assert!(world.collect().is_empty());
}

#[test]
fn a_greeting_cannot_be_turned_to_another_node_nor_come_from_an_unknown_one() {
    let mut world = World::new();
    world.send("n1", "n2", b"hello");
    let (_, hello) = world.recorded[0].clone();
    let back = super::Outgoing { peer: "n1".into(), ..hello.clone() };
    assert_eq!(world.inject("n1", &back), Err(Reject::Stranger));
    world.table("n2").set_peers(&super::peers(&["n2", "n3"]));
    assert_eq!(world.inject("n1", &hello), Err(Reject::Stranger));
    assert!(world.collect().is_empty());
}

#[test]
fn recorded_greetings_make_no_storm() {
    let mut world = World::new();
    world.send("n1", "n2", b"hello");
    let (_, hello) = world.recorded[0].clone();
    let before = world.recorded.len();
    for _ in 0..1000 {
        world.inject("n1", &hello).unwrap();
    }
    assert_eq!(world.collect().len(), 0, "one was answered just now");
    assert_eq!(world.recorded.len(), before);
}

#[test]
fn keys_change_while_they_talk() {
    let mut world = World::new();
    world.send("n1", "n2", b"old key");
    world.table("n1").set_keys(KeyRing::new(key(1), [key(2)]));
    world.send("n1", "n2", b"still the old key");
    world.table("n2").set_keys(KeyRing::new(key(2), [key(1)]));
    world.send("n2", "n1", b"the new key already");
    world.send("n1", "n2", b"and the old one");
    assert_eq!(world.arrived().len(), 4);
    assert_eq!(world.recorded.len(), 6, "no greeting is needed for that");
}

#[test]
fn a_silent_peer_is_silent_for_a_reason() {
    let mut world = World::new();
    let now = world.now;
    let table = world.table("n1");
    table.send("n2", b"", now).unwrap();
    assert!(matches!(table.silence("n2", SECOND, now), Some(Silence::NoAnswer(_))));
    table.sent("n2", Some("Operation not permitted".into()));
    let reason = table.silence("n2", SECOND, now).unwrap().to_string();
    assert_eq!(reason, "nothing can be sent to 192.0.2.2:7473: Operation not permitted");
    assert_eq!(table.silence("n3", SECOND, now), Some(Silence::NoAddress));
    assert_eq!(table.send("n2", &[0; MAX_PAYLOAD + 1], now), Err(Silence::TooLong(MAX_PAYLOAD + 1)));
    table.set_keys(KeyRing::default());
    assert_eq!(table.send("n2", b"", now), Err(Silence::NoKey));
    let mut world = World::new();
    world.send("n1", "n2", b"hello");
    let now = world.now;
    assert_eq!(world.table("n1").silence("n2", SECOND, now), None);
}

#[test]
fn the_longest_payload_fits() {
    let mut world = World::new();
    world.send("n1", "n2", &[b'x'; MAX_PAYLOAD]);
    assert_eq!(world.arrived()[0].1.len(), MAX_PAYLOAD);
    assert_eq!(world.recorded.iter().map(|(_, sent)| sent.bytes.len()).max(), Some(MAX_DATAGRAM));
    let (_, data) = world.recorded.last().unwrap();
    assert_eq!(frame::open(&data.bytes, &KeyRing::new(key(1), [])).unwrap().body.len(), MAX_PAYLOAD);
}
