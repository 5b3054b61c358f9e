//! Rules that are missed: without one the search finds a story that ends badly, the shortest one.

use super::search::{Limit, search};
use super::tests::{self, exact, tell, world};
use super::world::{Faults, Setting, World};
use crate::ownership::rule::{Rule, with};
use crate::ownership::source::Mode;

/// So many states are looked at for one story.
const STATES: usize = 1_000_000;

fn talking(source: Mode, faults: Faults) -> World {
    World::owned(tests::talking(source).coarse(), faults)
}

fn one(faults: Faults) -> Faults {
    Faults { all: 1, ..faults }
}

fn two(faults: Faults) -> Faults {
    Faults { all: 2, ..faults }
}

/// The rule is dropped once the world has come to rest.
fn missed(rule: Rule, world: &World) {
    let found = with(&[rule], || search(world, Limit { states: STATES, liveness: false }));
    tell(&format!("without {rule:?}"), &found);
    assert!(found.story.is_some(), "{rule:?} is not missed");
}

#[test]
fn an_epoch_that_begins_while_something_answers() {
    missed(Rule::SilentBeforeBegin, &exact(one(Faults { pauses: 1, ..Faults::default() })));
}

#[test]
fn the_wait_for_a_lease_that_is_gone() {
    missed(Rule::WaitForTheLost, &world(two(Faults { meddled: 1, cuts: 1, ..Faults::default() })));
}

#[test]
fn the_whole_wait_before_an_epoch_is_closed() {
    missed(Rule::WholeWait, &exact(one(Faults { cuts: 1, ..Faults::default() })));
}

#[test]
fn silence_before_a_gift() {
    missed(Rule::SilentBeforeGift, &exact(two(Faults { deleted: 1, pauses: 1, ..Faults::default() })));
}

#[test]
fn silence_before_it_is_said() {
    missed(Rule::SilentBeforeSaying, &exact(two(Faults { preferred: 1, pauses: 1, ..Faults::default() })));
}

#[test]
#[ignore = "takes some minutes in a debug build: make model-deep"]
fn deep_the_version_as_of_which_an_address_is_silent() {
    let faults = Faults { all: 4, preferred: 2, pauses: 1, post: 1, ..Faults::default() };
    missed(Rule::SilentAsOf, &exact(faults).striking_the_owner());
}

#[test]
fn the_wait_of_who_claims_from_a_dead_successor() {
    let faults = Faults { all: 4, preferred: 1, pauses: 1, leaves: 2, ..Faults::default() };
    let three = Setting::new(&[96, 100, 98]).exact().coarse();
    missed(Rule::ClaimWaits, &World::owned(three, faults).striking_the_owner());
}

#[test]
fn the_lifetime_of_addresses() {
    missed(Rule::Lifetimes, &world(one(Faults { crashes: 1, ..Faults::default() })));
}

#[test]
fn the_death_of_the_old_agent_before_a_new_one_starts() {
    let faults = two(Faults { pauses: 1, crashes: 1, ..Faults::default() });
    missed(Rule::HostLock, &world(faults).striking_the_owner());
}

#[test]
fn the_look_after_a_call() {
    missed(Rule::LookAgain, &world(one(Faults { pauses: 1, ..Faults::default() })));
}

#[test]
fn the_version_at_which_a_lease_is_removed() {
    missed(Rule::RetireByCas, &world(two(Faults { late: 1, deleted: 2, ..Faults::default() })));
}

#[test]
fn a_majority_of_promises() {
    let faults = two(Faults { deaf: 1, stalls: 1, ..Faults::default() });
    missed(Rule::MajorityOfPromises, &talking(Mode::Witness, faults).striking_the_owner());
}

#[test]
fn no_vote_under_a_promise() {
    let faults = one(Faults { stalls: 1, ..Faults::default() });
    missed(Rule::NoVoteUnderPromise, &talking(Mode::Witness, faults).striking_the_owner());
}

#[test]
fn enough_votes() {
    missed(
        Rule::EnoughVotes,
        &talking(Mode::Witness, two(Faults { deaf: 1, stalls: 1, ..Faults::default() })),
    );
}

#[test]
fn the_wait_in_mode_both() {
    let faults = two(Faults { deaf: 1, stalls: 1, ..Faults::default() });
    missed(Rule::BothWait, &talking(Mode::Both, faults).striking_the_owner());
}

#[test]
#[ignore = "takes some minutes in a debug build: make model-deep"]
fn deep_votes_in_mode_both() {
    let faults = one(Faults { cuts: 1, ..Faults::default() });
    missed(Rule::VotesToClose, &talking(Mode::Both, faults).striking_the_owner());
}
