//! What the search shows: with every single fault of a kind all states hold, and a rule that is dropped is missed.
//!
//! Two nodes whose clocks run at 96 % and 100 %, one of which owns. Each search is complete: it ends when every state was
//! looked at, and from each of them order is reached without another fault.

use super::search::{Found, Limit, search};
use super::world::{Faults, Setting, World};
use crate::ownership::mutant::{Mutant, with};

/// So many states are looked at in one search.
const STATES: usize = 1_000_000;

fn world(faults: Faults) -> World {
    World::owned(Setting::new(&[96, 100]), faults)
}

fn tell(name: &str, found: &Found) {
    let all = if found.complete { ", all" } else { "" };
    println!("{name}: {} states, {} deep, {:.1} s{all}", found.states, found.depth, found.took.as_secs_f64());
    if let Some(story) = found.story.as_ref().or(found.stuck.as_ref()) {
        println!("{story}");
    }
}

/// Every state with one fault of this kind is as it should be.
fn holds(name: &str, faults: Faults) {
    let faults = Faults { all: 1, ..faults };
    let found = search(&world(faults), Limit { states: STATES, liveness: true });
    tell(name, &found);
    assert!(found.story.is_none(), "two owners, or an answer after the end");
    assert!(found.stuck.is_none(), "no way back to order");
    assert!(found.complete, "not every state was looked at");
}

/// Without a rule the search finds a story that ends badly.
fn missed(rule: Mutant, faults: Faults) {
    let found = with(&[rule], || search(&world(faults), Limit { states: STATES, liveness: false }));
    tell(&format!("without {rule:?}"), &found);
    assert!(found.story.is_some(), "{rule:?} is not missed");
}

#[test]
fn a_handover_is_safe_in_every_state() {
    holds("handover", Faults { preferred: 1, ..Faults::default() });
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
fn addresses_without_a_lifetime_are_found_out() {
    missed(Mutant::AddressesForEver, Faults { all: 1, crashes: 1, ..Faults::default() });
}

#[test]
fn an_agent_that_does_not_look_again_is_found_out() {
    missed(Mutant::DoesNotLookAgain, Faults { all: 1, pauses: 1, ..Faults::default() });
}

#[test]
fn a_lease_removed_by_overwriting_is_found_out() {
    missed(Mutant::RetiresByOverwriting, Faults { all: 2, late: 1, deleted: 2, ..Faults::default() });
}
