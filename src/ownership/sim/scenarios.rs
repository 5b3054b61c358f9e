//! What the protocol promises, one sentence at a time.

use std::time::Duration;

use super::outage::{Manner, Outage};
use super::world::World;
use super::{MILLI, SECOND, address, key, node_name};
use crate::ownership::source::Mode;
use crate::ownership::timing::{Fence, Timing};

fn timing() -> Timing {
    Timing::new(Duration::from_secs(3), Duration::from_secs(1)).unwrap()
}

/// A cluster in which `vip0` with one address has an owner: the world and the owner.
fn owned(nodes: usize) -> (World, usize) {
    let mut world = World::new(1, nodes, timing()).begun();
    // Everyone knows everyone before somebody claims.
    world.until(2 * SECOND, "one owner", |world| world.owners(address(1)).len() == 1);
    check(&world);
    world.run(world.now + SECOND);
    let owner = world.owners(address(1))[0];
    (world, owner)
}

fn check(world: &World) {
    if let Some(failure) = &world.failure {
        panic!("{failure}\n{}", world.trace.as_ref().unwrap().join("\n"));
    }
}

/// Nobody else answers for so long, and the owner never stops.
fn answers_on(world: &mut World, owner: usize, span: u64) {
    let end = world.now + span;
    while world.now < end {
        world.run(world.now + MILLI);
        assert_eq!(world.owners(address(1)), [owner]);
    }
}

#[test]
fn a_virtualip_gets_an_owner_at_once() {
    let (world, _) = owned(3);
    check(&world);
    assert_eq!(world.disorder(), None);
}

#[test]
fn an_owner_that_leaves_hands_over_in_four_writes_and_closes_its_epoch() {
    let (mut world, owner) = owned(2);
    let before = world.api.titles[&key(0)].content.moves;
    let start = world.api.log.len();
    world.leave(owner);
    world.until(SECOND, "the other owns", |world| world.owners(address(1)) == [1 - owner]);
    let writes =
        world.api.log[start..].iter().filter(|change| matches!(change, super::api::Change::Title(..)));
    assert_eq!(writes.count(), 4, "offer, accept, appointment, and that nobody is awaited");
    assert_eq!(world.api.titles[&key(0)].content.moves, before + 1);
    world.until(SECOND, "done", |world| world.done.iter().any(|(node, _)| *node == owner));
    check(&world);
}

#[test]
fn a_dead_owner_is_replaced_after_its_lease() {
    let (mut world, owner) = owned(3);
    let died = world.now;
    world.power_off(owner);
    world.until(5 * SECOND, "another owns", |world| !world.owners(address(1)).is_empty());
    assert!(world.now - died > 1900 * MILLI, "not before the Lease ran out");
    check(&world);
}

#[test]
fn a_restarted_agent_continues_and_its_address_never_goes() {
    let (mut world, owner) = owned(2);
    let epoch = world.api.nodes[&super::node_name(owner)].epoch.clone();
    world.crash(owner);
    world.start(owner);
    answers_on(&mut world, owner, 10 * SECOND);
    assert_eq!(world.api.nodes[&super::node_name(owner)].epoch, epoch);
    check(&world);
}

#[test]
fn a_restarted_agent_whose_lease_was_closed_takes_its_address_down() {
    let (mut world, owner) = owned(2);
    world.crash(owner);
    world.until(6 * SECOND, "the other owns", |world| world.owners(address(1)) == [1 - owner]);
    world.start(owner);
    world.run(world.now + 5 * SECOND);
    assert_eq!(world.owners(address(1)), [1 - owner]);
    check(&world);
}

#[test]
fn an_owner_cut_from_the_api_silences_its_address_before_another_takes_it() {
    let (mut world, owner) = owned(2);
    world.nodes[owner].cut_until = world.now + 20 * SECOND;
    world.until(3 * SECOND, "silent", |world| world.owners(address(1)).is_empty());
    world.until(2 * SECOND, "the other owns", |world| world.owners(address(1)) == [1 - owner]);
    world.run(world.now + 30 * SECOND);
    assert_eq!(world.owners(address(1)), [1 - owner], "nothing moves back by itself");
    check(&world);
}

#[test]
fn everyone_cut_from_the_api_comes_back() {
    let (mut world, _) = owned(3);
    for node in &mut world.nodes {
        node.cut_until = world.now + 20 * SECOND;
    }
    world.run(world.now + 19 * SECOND);
    assert!(world.owners(address(1)).is_empty());
    world.until(4 * SECOND, "one owner", |world| world.owners(address(1)).len() == 1);
    check(&world);
}

#[test]
fn a_deleted_virtualip_is_silenced_then_its_lease_goes() {
    let (mut world, _) = owned(2);
    world.edit(|specs| specs.vips.get_mut(&key(0)).unwrap().deleted = true);
    world.until(2 * SECOND, "silent", |world| world.owners(address(1)).is_empty());
    world.until(2 * SECOND, "the Lease is gone", |world| world.api.titles.is_empty());
    check(&world);
}

#[test]
fn a_virtualip_without_owner_is_deleted_though_every_node_is_idle() {
    let mut world = World::new(1, 2, timing());
    world.trace = Some(Vec::new());
    world.create(key(0), [address(1)]);
    (0..2).for_each(|node| world.start(node));
    world.run(2 * SECOND);
    world.edit(|specs| specs.standby.extend([super::node_name(0), super::node_name(1)]));
    world.run(60 * SECOND);
    assert!(world.owners(address(1)).is_empty());
    assert_eq!(world.api.titles[&key(0)].content.holder, None);
    world.edit(|specs| specs.vips.get_mut(&key(0)).unwrap().deleted = true);
    world.until(12 * SECOND, "the Lease is gone", |world| world.api.titles.is_empty());
    check(&world);
}

#[test]
fn of_two_that_want_one_address_the_older_has_it_until_it_lets_go() {
    let (mut world, _) = owned(2);
    world.create(key(1), [address(1), address(2)]);
    world.until(3 * SECOND, "the rest of the younger is up", |world| world.owners(address(2)).len() == 1);
    assert!(!world.api.titles[&key(1)].content.granted.contains(&address(1)));
    world.edit(|specs| specs.vips.get_mut(&key(0)).unwrap().addresses = [address(3)].into());
    let granted = |world: &World| world.api.titles[&key(1)].content.granted.contains(&address(1));
    world.until(5 * SECOND, "the younger has it", |world| {
        granted(world) && world.owners(address(1)).len() == 1
    });
    check(&world);
}

#[test]
fn a_quiet_cluster_hardly_writes() {
    let mut world = World::new(1, 5, timing());
    world.create(key(0), [address(1)]);
    (0..5).for_each(|node| world.start(node));
    world.run(60 * SECOND);
    let (writes, reads) = (world.api.writes, world.api.reads);
    world.run(160 * SECOND);
    let (writes, reads) = (world.api.writes - writes, world.api.reads - reads);
    // The owner and the two next in line once a second, the others once in ten.
    assert!(writes <= 325, "{writes} writes in 100 s");
    assert_eq!(reads, 0);
}

/// A cluster that lives on promises, and whose API server has just gone away for 40 s.
fn abandoned(source: Mode, nodes: usize) -> (World, usize) {
    let timing = timing().with_witnesses(source, None, Fence::Exact).unwrap();
    let mut world = World::talking(1, nodes, timing).begun();
    world.run(10 * SECOND);
    assert!(world.api.nodes.values().all(|lease| lease.source.mode() == source));
    world.go_away(Outage { until: world.now + 40 * SECOND, manner: Manner::Down });
    world.run(world.now + 4 * SECOND);
    let owner = world.owners(address(1))[0];
    (world, owner)
}

/// In both modes, with two witnesses and with four, and whichever of the nodes is struck.
fn nobody_notices(strike: impl Fn(&mut World, usize)) {
    for (source, nodes) in [(Mode::Both, 3), (Mode::Witness, 3), (Mode::Witness, 5)] {
        for behind in 1..nodes {
            let (mut world, owner) = abandoned(source, nodes);
            strike(&mut world, (owner + behind) % nodes);
            println!("{source:?}, {nodes} nodes, struck is the one {behind} behind the owner");
            answers_on(&mut world, owner, 3 * SECOND);
            check(&world);
        }
    }
}

#[test]
fn while_the_api_server_is_away_another_node_may_die_and_nobody_notices() {
    nobody_notices(World::power_off);
}

/// Each would rather have the witness that is left, and tries to say so some hundred times.
#[test]
fn whoever_wanted_other_witnesses_while_the_api_server_was_away_writes_again_when_it_is_back() {
    for source in [Mode::Both, Mode::Witness] {
        let (mut world, owner) = abandoned(source, 5);
        world.power_off((owner + 1) % 5);
        answers_on(&mut world, owner, 36 * SECOND);
        world.run(world.now + 10 * SECOND);
        let version = |world: &World| world.api.nodes[&node_name(owner)].version;
        let before = version(&world);
        answers_on(&mut world, owner, 20 * SECOND);
        assert!(version(&world) > before, "{source:?}: its Lease stands still");
        assert_eq!(world.api.nodes[&node_name(owner)].source.mode(), source);
        check(&world);
    }
}

#[test]
fn while_the_api_server_is_away_another_agent_may_be_started_anew_and_nobody_notices() {
    nobody_notices(|world, node| {
        world.crash(node);
        world.start(node);
    });
}
