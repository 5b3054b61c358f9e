//! Rules that it takes several faults to miss: each outline says what its rule is for.

use super::super::event::Why;
use super::super::rule::{Rule, with};
use super::super::source::Mode;
use super::super::timing::{Fence, Timing};
use super::moves::Move;
use super::plot::{
    Step, asleep_with_promises_under_way, closing, cut_in_the_step, just, late_promise, renewal, title,
};
use super::search::{Limit, search};
use super::tests::{self, talking, tell};
use super::world::{Faults, Setting, World};

/// So many states are looked at for one story.
const STATES: usize = 400_000;

/// As many faults as any outline has.
const PLENTY: Faults = Faults {
    all: 9,
    late: 9,
    pauses: 9,
    stalls: 9,
    cuts: 9,
    crashes: 9,
    power: 9,
    preferred: 9,
    leaves: 9,
    deleted: 0,
    meddled: 0,
    post: 9,
    deaf: 9,
    parted: 9,
    outages: 0,
    standby: 9,
};

/// Who plays.
struct Cast {
    world: World,
    owner: usize,
    other: usize,
    third: usize,
}

fn cast(mut world: World) -> Cast {
    world.faults = PLENTY;
    let owner = world.owners()[0];
    let mut others = (0..world.nodes.len()).filter(|node| *node != owner);
    let other = others.next().unwrap_or(owner);
    Cast { owner, other, third: others.next().unwrap_or(other), world }
}

fn exact(nodes: usize) -> Cast {
    cast(World::owned(Setting::new(&[96, 100, 98][..nodes]).exact(), Faults::default()))
}

fn with_witnesses(source: Mode) -> Cast {
    cast(World::owned(talking(source), Faults::default()))
}

/// Nodes that are about to live on promises alone.
fn about_to_step(setting: Setting) -> Cast {
    let mut world = World::new(setting, Faults::default());
    let both = |world: &World| world.api.nodes.values().all(|lease| lease.source.mode() == Mode::Both);
    while world.owners().is_empty() || !both(&world) {
        world.settle();
        world.make(Move::Advance);
    }
    world.settle();
    cast(world)
}

/// Without these rules the story ends badly for some timing. With all of them it does for none, nor where one of several is
/// kept, as far as that was looked for and as far again.
fn missed(rules: &[Rule], world: &World) {
    let found = with(rules, || search(world, Limit { states: STATES, liveness: false }));
    tell(&format!("without {rules:?}"), &found);
    assert!(found.story.is_some(), "{rules:?}: not missed");
    for kept in rules {
        let others: Vec<Rule> = rules.iter().copied().filter(|rule| rule != kept).collect();
        let end = with(&others, || search(world, Limit { states: 2 * found.states, liveness: false }));
        assert!(end.story.is_none(), "with {kept:?} the story ends badly as well");
    }
}

/// A former life gives the address to another node, and the write of it takes long. The next life confirms meanwhile that it
/// owns; that takes long as well, and comes when the other has the address.
#[test]
fn a_lease_is_confirmed_at_the_version_judged() {
    let Cast { world, owner, other, .. } = exact(2);
    let plot = [
        just(Move::Prefer(other)),
        title(owner, Why::Appoint, Move::Late),
        just(Move::Crash(owner)),
        just(Move::Start(owner)),
        title(owner, Why::Confirm, Move::Late),
        title(owner, Why::Appoint, Move::Serve),
        just(Move::Stall(other)),
        title(owner, Why::Confirm, Move::Serve),
    ];
    missed(&[Rule::ConfirmByCas], &world.along(plot));
}

/// A gift takes long; meanwhile the address is given to somebody else.
#[test]
fn a_lease_is_given_at_the_version_judged() {
    let Cast { world, owner, other, third } = exact(3);
    let plot = [
        just(Move::Prefer(other)),
        title(owner, Why::Appoint, Move::Late),
        title(owner, Why::Appoint, Move::Tell),
        just(Move::Prefer(third)),
        just(Move::Stall(third)),
        title(owner, Why::Appoint, Move::Serve),
    ];
    missed(&[Rule::GiveByCas], &world.along(plot));
}

/// The call that gives the address its lifetime comes late, and the agent dies before the right ends.
#[test]
fn a_lifetime_ends_before_the_right() {
    let Cast { world, owner, .. } = cast(tests::world(Faults::default()));
    let plot = [
        just(Move::PauseInCall(owner)),
        just(Move::Resume(owner)),
        just(Move::Land(owner)),
        just(Move::Crash(owner)),
    ];
    missed(&[Rule::LifetimeWithinRight], &world.along(plot));
}

/// A former life, which was alone, gave the address to nobody; the write of that takes long.
#[test]
fn nothing_is_added_before_a_write_of_this_life() {
    let Cast { world, owner, other, .. } = exact(2);
    let plot = [
        just(Move::PowerOff(other)),
        just(Move::Standby(owner)),
        title(owner, Why::Release, Move::Late),
        just(Move::Standby(owner)),
        just(Move::Crash(owner)),
        just(Move::Start(other)),
        just(Move::Start(owner)),
        title(owner, Why::Confirm, Move::Late),
        just(Move::Stall(owner)),
        title(owner, Why::Release, Move::Serve),
    ];
    missed(&[Rule::ConfirmBeforeAdding], &world.along(plot));
}

/// A node on standby, which is alone, gives the address to nobody, and is taken off standby before it knows whether that was
/// written.
#[test]
fn what_was_given_is_given() {
    let Cast { world, owner, other, .. } = exact(2);
    let plot = [
        just(Move::PowerOff(other)).calmly(),
        just(Move::Standby(owner)).calmly(),
        title(owner, Why::Release, Move::Late),
        title(owner, Why::Release, Move::Tell).at_once(),
        just(Move::Standby(owner)).at_once(),
        just(Move::Start(other)).calmly(),
        just(Move::Stall(owner)).calmly(),
        title(owner, Why::Release, Move::Mute),
    ];
    missed(&[Rule::GivenIsGiven], &world.along(plot));
}

/// The owner's agent sleeps while promises are on their way to it.
#[test]
fn a_promise_counts_from_when_it_was_asked_for() {
    let Cast { world, owner, .. } = with_witnesses(Mode::Witness);
    let plot = [
        just(Move::Cut(owner)).calmly(),
        asleep_with_promises_under_way(owner),
        just(Move::Resume(owner)),
        late_promise(owner).at_once(),
        just(Move::Deafen(owner)).at_once(),
    ];
    missed(&[Rule::CountFromAsking], &world.along(plot));
}

/// A node whose watch is late has the owner voted out too early, and comes too late with its write. The owner is heard again,
/// and lives on the promise of one who has voted.
#[test]
fn who_has_voted_does_not_promise_again() {
    let Cast { world, owner, other, .. } = with_witnesses(Mode::Both);
    missed(&[Rule::VotedIsVoted], &world.along(voted_out_too_early(owner, other, [])));
}

/// The same, of one who has forgotten its vote since it was started again.
#[test]
fn a_promise_counts_under_the_incarnation_named() {
    let Cast { world, owner, other, third } = with_witnesses(Mode::Both);
    let meanwhile = [just(Move::Crash(third)).at_once(), just(Move::Start(third)).at_once()];
    missed(&[Rule::NamedIncarnation], &world.along(voted_out_too_early(owner, other, meanwhile)));
}

fn voted_out_too_early(owner: usize, other: usize, meanwhile: impl IntoIterator<Item = Step>) -> Vec<Step> {
    let before = [
        just(Move::Stall(other)).calmly().at_once(),
        just(Move::Deafen(owner)).calmly(),
        closing(owner, Move::Serve),
        just(Move::Unstall(other)).at_once(),
    ];
    let after = [
        just(Move::Part(owner.min(other), owner.max(other))).at_once(),
        just(Move::Mend(owner)).at_once(),
        just(Move::Cut(owner)).calmly(),
    ];
    before.into_iter().chain(meanwhile).chain(after).collect()
}

/// An epoch goes on after its right has ended, by a promise of one who has voted: each of the two rules is enough against it.
#[test]
fn when_the_right_ends_the_epoch_is_over() {
    let Cast { world, owner, .. } = with_witnesses(Mode::Witness);
    let plot = [
        just(Move::Cut(owner)).calmly(),
        just(Move::Deafen(owner)).calmly(),
        closing(owner, Move::Late),
        just(Move::Mend(owner)),
        closing(owner, Move::Serve),
    ];
    missed(&[Rule::OverAtItsEnd, Rule::VotedIsVoted], &world.along(plot));
}

/// The owner does not know that its Lease names promises as its only source already, and nobody hears it. Each of the two rules
/// is enough against it: such a write waits until it shortens nothing.
#[test]
fn the_right_is_the_least_of_all_versions() {
    let Cast { world, owner, .. } = about_to_step(talking(Mode::Witness));
    let plot = [cut_in_the_step(owner), renewal(owner, Move::Serve), just(Move::Deafen(owner))];
    missed(&[Rule::MinimumOfAll, Rule::NeverShorter], &world.along(plot));
}

/// Where lifetimes are the fence: the address has one from the Lease, what is written then gives less, and the agent dies.
#[test]
fn a_write_does_not_shorten_the_right() {
    let setting = talking(Mode::Witness);
    let period = setting.timing.duration;
    let setting = Setting { timing: Timing { period, ..setting.timing }, fence: Fence::Lifetimes, ..setting };
    let Cast { world, owner, .. } = about_to_step(setting);
    let plot = [just(Move::Deafen(owner)).calmly(), just(Move::Crash(owner)).calmly()];
    missed(&[Rule::NeverShorter], &world.along(plot));
}
