//! Walks at random, where too many states lie before the one that is looked for: what several faults do together.

use std::ops::Range;

use super::super::rule::{Rule, with};
use super::super::sim::rng::Rng;
use super::super::source::Mode;
use super::moves::Move;
use super::tests::{talking, world};
use super::world::{Faults, Setting, World};

/// So many moves make one walk: with all that is done in a tick about fifty ticks.
const STEPS: usize = 400;
/// In so many of 1000 cases time goes on although something is left to be healed: one of these for each walk.
const PATIENCE: [u64; 3] = [300, 700, 950];

/// The first of these walks that ends badly, and of its moves as few as still end so, in words.
fn stray(first: &World, mut seeds: Range<u64>) -> Option<String> {
    seeds.find_map(|seed| {
        let ways = walk(first, &mut Rng(seed))?;
        Some(format!("walk {seed}\n{}", story(first, &shorten(first, ways))))
    })
}

/// Of the kinds of faults each walk has about half: one that has them all seldom comes far.
fn walk(first: &World, random: &mut Rng) -> Option<Vec<Move>> {
    let mut world = first.clone();
    for kind in world.faults.kinds() {
        *kind *= u8::from(random.chance(500));
    }
    let patience = PATIENCE[random.below(PATIENCE.len())];
    let (mut made, mut moves) = (Vec::new(), Vec::new());
    for _ in 0..STEPS {
        world.moves(&mut moves);
        let way = choose(&mut world.faults, &moves, patience, random)?;
        world.make(way);
        made.push(way);
        if world.failure.is_some() {
            return Some(made);
        }
    }
    None
}

/// Rarely a fault; and as often as `patience` says that time goes on, before what was broken is healed.
fn choose(left: &mut Faults, moves: &[Move], patience: u64, random: &mut Rng) -> Option<Move> {
    let (faults, free): (Vec<Move>, Vec<Move>) =
        moves.iter().copied().partition(|way| left.kind(*way).is_some());
    let one_of = |ways: &[Move], random: &mut Rng| (!ways.is_empty()).then(|| ways[random.below(ways.len())]);
    if random.chance(40) && !faults.is_empty() {
        return one_of(&faults, random);
    }
    if free.contains(&Move::Advance) && random.chance(patience) {
        return Some(Move::Advance);
    }
    one_of(&free, random).or_else(|| one_of(&faults, random))
}

/// Leaves out as much as can be left out: halves, quarters, ..., single moves.
fn shorten(first: &World, mut ways: Vec<Move>) -> Vec<Move> {
    let mut size = ways.len();
    while size > 0 {
        let mut at = 0;
        while at < ways.len() {
            let mut fewer = ways.clone();
            fewer.drain(at..(at + size).min(ways.len()));
            match follow(&mut first.clone(), &fewer) {
                Some(made) => ways = made,
                None => at += size,
            }
        }
        size /= 2;
    }
    ways
}

/// Makes those moves that can be made, up to the one that ends badly; gives those.
fn follow(world: &mut World, ways: &[Move]) -> Option<Vec<Move>> {
    let (mut made, mut moves) = (Vec::new(), Vec::new());
    for way in ways {
        world.moves(&mut moves);
        if moves.contains(way) {
            world.make(*way);
            made.push(*way);
        }
        if world.failure.is_some() {
            return Some(made);
        }
    }
    None
}

fn story(first: &World, ways: &[Move]) -> String {
    let mut world = first.clone();
    world.story = Some(Vec::new());
    follow(&mut world, ways);
    world.told()
}

/// So many of each kind where agents do not talk.
fn silent() -> Faults {
    Faults {
        all: 7,
        late: 3,
        pauses: 3,
        stalls: 2,
        cuts: 2,
        crashes: 3,
        power: 1,
        preferred: 3,
        leaves: 2,
        deleted: 2,
        outages: 1,
        ..Faults::default()
    }
}

fn exact(nodes: usize, faults: Faults) -> World {
    World::owned(Setting::new(&[96, 100, 98][..nodes]).exact(), faults)
}

fn with_witnesses(source: Mode) -> World {
    World::owned(talking(source), Faults { post: 3, deaf: 2, parted: 1, ..silent() })
}

fn all_end_well(walks: u64) {
    for world in [
        world(silent()),
        exact(2, silent()),
        exact(3, silent()),
        with_witnesses(Mode::Both),
        with_witnesses(Mode::Witness),
    ] {
        let bad = stray(&world, 0..walks);
        assert!(bad.is_none(), "{}", bad.unwrap_or_default());
    }
}

#[test]
fn walks_with_several_faults_end_well() {
    all_end_well(100);
}

#[test]
#[ignore = "takes some minutes: make model-deep"]
fn deep_walks_with_several_faults_end_well() {
    all_end_well(50_000);
}

/// The walks begin shortly before one that is known to end badly, so that it is found soon, and go on should that have changed.
fn missed(rule: Rule, world: &World, from: u64) {
    let story = with(&[rule], || stray(world, from..from + 20_000));
    println!("without {rule:?}: {}", story.as_deref().unwrap_or("nothing"));
    assert!(story.is_some(), "{rule:?} is not missed");
}

#[test]
fn an_epoch_is_closed_at_the_version_judged() {
    missed(Rule::CloseByCas, &exact(2, silent()), 1_650);
}

#[test]
fn an_address_is_claimed_at_the_version_judged() {
    missed(Rule::ClaimByCas, &exact(2, silent()), 100);
}

#[test]
fn a_lease_that_names_an_earlier_epoch_means_nothing() {
    missed(Rule::ThisEpoch, &exact(2, silent()), 110);
}

#[test]
fn an_epoch_is_continued_only_after_a_renewal() {
    missed(Rule::RenewBeforeContinuing, &exact(2, silent()), 2_740);
}

#[test]
fn a_restarted_witness_is_silent_for_a_while() {
    missed(Rule::SilentAfterStart, &with_witnesses(Mode::Witness), 1_540);
}

#[test]
fn a_right_counts_from_the_very_write_that_took_effect() {
    let faults = Faults { all: 6, late: 3, cuts: 2, stalls: 1, ..Faults::default() };
    missed(Rule::OwnNonce, &exact(2, faults), 1_200);
}

#[test]
fn what_is_said_counts_for_the_version_that_it_names() {
    missed(Rule::SilentAsOf, &exact(2, silent()), 0);
}
