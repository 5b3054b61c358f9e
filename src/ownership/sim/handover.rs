//! What a handover promises where agents talk, one sentence at a time (rule 17).

use std::time::Duration;

use super::super::event::Event;
use super::outage::{Manner, Outage};
use super::post::Currents;
use super::world::World;
use super::{MILLI, SECOND, address, key, node_name};
use crate::ownership::timing::Timing;

/// A cluster of three that talk, whose owner is asked to give `vip0` to another one: the world, the owner, the successor.
fn asked() -> (World, usize, usize) {
    let timing = Timing::new(Duration::from_secs(3), Duration::from_secs(1)).unwrap();
    let mut world = World::talking(1, 3, timing).begun();
    world.until(2 * SECOND, "one owner", |world| world.owners(address(1)).len() == 1);
    world.run(world.now + SECOND);
    let owner = world.owners(address(1))[0];
    let successor = (owner + 1) % 3;
    world.edit(|specs| specs.vips.get_mut(&key(0)).unwrap().prefer = Some(node_name(successor)));
    (world, owner, successor)
}

/// Lets as little time pass as is needed until `done` holds.
fn just(world: &mut World, what: &str, done: impl Fn(&World) -> bool) {
    let end = world.now + 5 * SECOND;
    while !done(world) {
        assert!(world.now < end, "not: {what}");
        world.run(world.now + MILLI / 100);
    }
    check(world);
}

fn appointed(world: &World) -> bool {
    world.api.titles[&key(0)].content.awaiting.is_some()
}

fn check(world: &World) {
    if let Some(failure) = &world.failure {
        panic!("{failure}\n{}", world.trace.as_ref().unwrap().join("\n"));
    }
}

#[test]
fn the_owner_answers_until_its_successor_is_written_in() {
    let (mut world, owner, _) = asked();
    while !appointed(&world) {
        assert_eq!(world.owners(address(1)), [owner]);
        world.run(world.now + MILLI / 100);
    }
    check(&world);
}

#[test]
fn a_successor_answers_when_it_is_told_whatever_becomes_of_the_api_server() {
    let (mut world, _, successor) = asked();
    just(&mut world, "silent", |world| appointed(world) && world.owners(address(1)).is_empty());
    world.outage = Outage { until: world.now + SECOND, manner: Manner::Lost };
    world.until(10 * MILLI, "the successor answers", |world| world.owners(address(1)) == [successor]);
    check(&world);
    assert!(appointed(&world));
    world.until(3 * SECOND, "nobody is awaited", |world| !appointed(world));
    check(&world);
}

#[test]
fn where_nothing_is_heard_the_lease_tells() {
    let (mut world, _, successor) = asked();
    world.currents = Currents { lost: 1000, ..Currents::default() };
    world.until(SECOND, "the successor answers", |world| world.owners(address(1)) == [successor]);
    assert!(!appointed(&world));
    check(&world);
}

#[test]
fn a_successor_waits_for_an_owner_that_says_nothing_until_it_is_dead() {
    let (mut world, owner, successor) = asked();
    just(&mut world, "appointed", appointed);
    world.nodes[owner].paused_until = world.now + 20 * SECOND;
    let since = world.now;
    just(&mut world, "the fence silences the owner", |world| world.owners(address(1)).is_empty());
    world.until(3 * SECOND, "the successor answers", |world| world.owners(address(1)) == [successor]);
    assert!(world.now - since > 1500 * MILLI);
    world.until(SECOND, "nobody is awaited", |world| !appointed(world));
    world.run(world.now + 30 * SECOND);
    check(&world);
}

#[test]
fn who_claims_from_a_dead_successor_waits_for_the_owner_before_it() {
    let (mut world, owner, successor) = asked();
    just(&mut world, "accepted", |world| {
        world.api.titles[&key(0)].content.offer.as_ref().is_some_and(|offer| offer.accepted)
    });
    // The owner does not learn what became of its next write, and its right runs on.
    world.weather.mute = 1000;
    just(&mut world, "appointed", appointed);
    world.weather.mute = 0;
    world.nodes[owner].cut_until = world.now + 10 * SECOND;
    world.give(successor, Event::Abandon);
    let third = 3 - owner - successor;
    let claimed = |world: &World| {
        let holder = world.api.titles[&key(0)].content.holder.as_ref();
        holder.is_some_and(|holder| holder.node == node_name(third))
    };
    world.until(SECOND, "claimed", claimed);
    assert_eq!(world.owners(address(1)), [owner]);
    assert!(appointed(&world));
    world.until(4 * SECOND, "the third answers", |world| world.owners(address(1)) == [third]);
    world.run(world.now + 30 * SECOND);
    check(&world);
}
