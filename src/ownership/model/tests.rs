//! What the search shows: with every single fault of a kind all states hold.
//!
//! Two nodes whose clocks run at 96 % and 100 %, one of which owns; three, with another at 98 %, where they live on
//! promises. Each search is complete: it ends when every state was looked at, and from each of them order is reached
//! without another fault.

use super::search::{Found, Limit, search};
use super::world::{Faults, Setting, World};
use crate::ownership::source::Mode;

/// So many states are looked at in one search.
const STATES: usize = 3_000_000;

pub(super) fn world(faults: Faults) -> World {
    World::owned(Setting::new(&[96, 100]), faults)
}

/// The same behind an exact fence.
pub(super) fn exact(faults: Faults) -> World {
    World::owned(Setting::new(&[96, 100]).exact().coarse(), faults)
}

pub(super) fn tell(name: &str, found: &Found) {
    let all = if found.complete { ", all" } else { "" };
    println!("{name}: {} states, {} deep, {:.1} s{all}", found.states, found.depth, found.took.as_secs_f64());
    if let Some(story) = found.story.as_ref().or(found.stuck.as_ref()) {
        println!("{story}");
    }
}

/// Every state with one fault of this kind is as it should be.
fn holds(name: &str, faults: Faults) {
    all_hold(name, &world(Faults { all: 1, ..faults }));
}

/// Every state is as it should be.
fn all_hold(name: &str, world: &World) {
    assert!(as_far_as_it_goes(name, world), "not every state was looked at");
}

/// The nearest states, as many as fit, are as they should be. Whether these are all.
fn as_far_as_it_goes(name: &str, world: &World) -> bool {
    let found = search(world, Limit { states: STATES, liveness: true });
    tell(name, &found);
    assert!(found.story.is_none(), "two owners, or an answer after the end");
    assert!(found.stuck.is_none(), "no way back to order");
    found.complete
}

#[test]
fn a_handover_is_safe_in_every_state() {
    holds("handover", Faults { preferred: 1, ..Faults::default() });
}

#[test]
fn what_is_said_in_a_handover_may_be_late_or_lost_in_every_state() {
    all_hold("handover, message", &world(Faults { all: 2, preferred: 1, post: 1, ..Faults::default() }));
}

#[test]
fn a_deleted_virtualip_goes_everywhere_in_every_state() {
    holds("deletion", Faults { deleted: 1, ..Faults::default() });
}

#[test]
fn a_node_lease_deleted_by_hand_is_survived_in_every_state() {
    holds("node Lease deleted", Faults { meddled: 1, ..Faults::default() });
}

#[test]
fn an_agent_that_stops_leaves_order_in_every_state() {
    holds("stop", Faults { leaves: 1, ..Faults::default() });
}

#[test]
fn a_node_may_lose_its_power_in_every_state() {
    holds("power", Faults { power: 1, ..Faults::default() });
}

#[test]
fn an_agent_may_be_killed_in_every_state() {
    holds("crash", Faults { crashes: 1, ..Faults::default() });
}

#[test]
fn a_watch_may_be_late_in_every_state() {
    holds("stalled watch", Faults { stalls: 1, ..Faults::default() });
}

#[test]
fn a_request_may_be_late_or_lost_in_every_state() {
    holds("late or lost", Faults { late: 1, ..Faults::default() });
}

#[test]
fn an_agent_may_sleep_in_every_state() {
    holds("sleep", Faults { pauses: 1, ..Faults::default() });
}

#[test]
fn behind_an_exact_fence_an_agent_may_sleep_in_every_state() {
    let faults = Faults { all: 1, pauses: 1, ..Faults::default() };
    all_hold("sleep, exact", &exact(faults));
}

#[test]
#[ignore = "takes some minutes: make model-deep"]
fn deep_behind_an_exact_fence_an_agent_may_sleep_twice_around_one_call() {
    let faults = Faults { all: 2, pauses: 2, ..Faults::default() };
    let world = exact(faults).striking_the_owner();
    all_hold("sleep twice, exact", &world);
}

/// What lifetimes cannot bear (rule 10): the address then lives for the lifetime that was read before the first sleep,
/// which is two seconds by default, and half a second that kernels are late.
#[test]
#[ignore = "takes some minutes: make model-deep"]
fn deep_with_lifetimes_an_agent_that_sleeps_twice_around_one_call_answers_beside_another() {
    let faults = Faults { all: 2, pauses: 2, ..Faults::default() };
    let world = world(faults).striking_the_owner();
    let found = search(&world, Limit { states: STATES, liveness: false });
    tell("sleep twice, lifetimes", &found);
    assert!(found.story.is_some());
}

/// Three nodes that live on promises, as far as that goes.
pub(super) fn talking(source: Mode) -> Setting {
    Setting::new(&[96, 100, 98]).with_witnesses(source)
}

fn holds_with_witnesses(source: Mode, faults: Faults) {
    let faults = Faults { all: 1, ..faults };
    let setting = talking(source).coarse();
    all_hold(&format!("{source:?}, {faults:?}"), &World::owned(setting, faults));
}

#[test]
fn a_message_may_be_late_or_lost_in_every_state() {
    holds_with_witnesses(Mode::Both, Faults { post: 1, ..Faults::default() });
}

#[test]
fn a_node_may_hear_no_other_in_every_state() {
    holds_with_witnesses(Mode::Both, Faults { deaf: 1, ..Faults::default() });
}

#[test]
fn a_witness_or_the_owner_may_lose_its_power_in_every_state() {
    holds_with_witnesses(Mode::Witness, Faults { power: 1, ..Faults::default() });
}

#[test]
fn a_witness_or_the_owner_may_be_killed_in_every_state() {
    holds_with_witnesses(Mode::Both, Faults { crashes: 1, ..Faults::default() });
}

#[test]
fn of_witnesses_that_take_turns_one_or_the_owner_may_fail_in_every_state() {
    for faults in [
        Faults { all: 1, deaf: 1, ..Faults::default() },
        Faults { all: 1, post: 1, ..Faults::default() },
        Faults { all: 1, power: 1, ..Faults::default() },
    ] {
        let setting = talking(Mode::Witness).in_turns().coarse();
        all_hold(&format!("in turns, {faults:?}"), &World::owned(setting, faults));
    }
}

/// A handover, and one fault of each other kind at any moment of it.
#[test]
#[ignore = "takes some minutes: make model-deep"]
fn deep_a_handover_and_a_fault() {
    let asked = Faults { all: 2, preferred: 1, ..Faults::default() };
    let faults = [
        Faults { preferred: 2, ..asked },
        Faults { leaves: 1, ..asked },
        Faults { crashes: 1, ..asked },
        Faults { power: 1, ..asked },
        Faults { deleted: 1, ..asked },
        Faults { meddled: 1, ..asked },
        Faults { stalls: 1, ..asked },
        Faults { cuts: 1, ..asked },
        Faults { late: 1, ..asked },
        Faults { pauses: 1, ..asked },
    ];
    for faults in faults {
        as_far_as_it_goes(&format!("{faults:?}"), &world(faults));
        as_far_as_it_goes(&format!("exact, {faults:?}"), &exact(faults));
    }
    let three = || Setting::new(&[96, 100, 98]).exact().coarse();
    as_far_as_it_goes("three nodes, handover, stop", &World::owned(three(), faults[1]));
    as_far_as_it_goes("three nodes, handover, crash", &World::owned(three(), faults[2]));
    let post = Faults { post: 1, ..asked };
    for source in [Mode::Both, Mode::Witness] {
        as_far_as_it_goes(
            &format!("{source:?}, handover, message"),
            &World::owned(talking(source).coarse(), post),
        );
    }
}

/// All kinds of single faults in both modes, then pairs of them, in as many states as fit.
#[test]
#[ignore = "takes most of an hour: make model-deep"]
fn deep_worlds_with_witnesses() {
    let none = Faults::default();
    let ones = [
        Faults { post: 1, ..none },
        Faults { deaf: 1, ..none },
        Faults { parted: 1, ..none },
        Faults { power: 1, ..none },
        Faults { crashes: 1, ..none },
        Faults { stalls: 1, ..none },
        Faults { late: 1, ..none },
        Faults { outages: 1, ..none },
    ];
    for source in [Mode::Both, Mode::Witness] {
        for faults in ones {
            let faults = Faults { all: 1, ..faults };
            as_far_as_it_goes(&format!("{source:?}, {faults:?}"), &World::owned(talking(source), faults));
        }
    }
    let twos = [
        Faults { deaf: 1, stalls: 1, ..none },
        Faults { deaf: 1, crashes: 1, ..none },
        Faults { parted: 1, crashes: 1, ..none },
        Faults { power: 1, stalls: 1, ..none },
        Faults { post: 1, pauses: 1, ..none },
        Faults { outages: 1, power: 1, ..none },
        Faults { cuts: 1, deaf: 1, ..none },
    ];
    for source in [Mode::Both, Mode::Witness] {
        for faults in twos {
            let faults = Faults { all: 2, ..faults };
            as_far_as_it_goes(
                &format!("{source:?}, {faults:?}"),
                &World::owned(talking(source).coarse(), faults),
            );
        }
    }
}

/// With the API server away nobody is ever without the address (rule 16).
#[test]
#[ignore = "takes some minutes: make model-deep"]
fn deep_nobody_notices_that_the_api_server_is_away() {
    for source in [Mode::Both, Mode::Witness] {
        let setting = Setting { unbroken: true, ..talking(source).coarse() };
        let faults = Faults { all: 1, outages: 1, ..Faults::default() };
        as_far_as_it_goes(&format!("{source:?}, outage, never silent"), &World::owned(setting, faults));
    }
}

/// Nor if one of the others loses its power meanwhile, whichever it is.
#[test]
#[ignore = "takes some minutes: make model-deep"]
fn deep_nobody_notices_that_a_witness_dies_while_the_api_server_is_away() {
    let faults = Faults { all: 2, outages: 1, power: 1, ..Faults::default() };
    for (source, dies) in [Mode::Both, Mode::Witness].into_iter().flat_map(|mode| [(mode, 1), (mode, 2)]) {
        let setting = Setting { unbroken: true, ..talking(source).coarse() };
        let world = World::owned(setting, faults).striking_behind_the_owner(dies);
        as_far_as_it_goes(&format!("{source:?}, outage, {dies} behind the owner dies, never silent"), &world);
    }
}
