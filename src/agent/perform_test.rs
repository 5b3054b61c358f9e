//! How often an API server that fails is asked, by a machine that tries again as soon as it may.

use super::*;
use crate::agent::input::Input;
use crate::observe::api_fake::Fake;
use crate::observe::metrics::registry;
use crate::ownership::{Expect, NodeName, Nonce, Source, TitleContent, Why};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep};

const LEASE: Duration = Duration::from_secs(3);
/// The machine's own wait.
const RETRY: Duration = Duration::from_millis(50);

fn performer(fake: &Fake) -> (Performer, UnboundedReceiver<Input>) {
    let (inputs, door) = Inputs::new();
    let client = || LeaseClient::new(fake.client(), "virtualip-system", LEASE);
    let back = Arc::default();
    (Performer::new(client(), client(), LEASE / 6, inputs, (registry().0, Urgent::default()), &back), door)
}

fn renewal(sequence: u64) -> Action {
    Action::WriteNode(NodeWrite {
        node: NodeName("n1".into()),
        expect: Expect::At(1),
        number: 1,
        open: true,
        duration: LEASE,
        source: Source::Lease,
        nonce: Nonce { incarnation: 1, sequence },
        told: None,
    })
}

fn claim(name: &str, sequence: u64) -> Action {
    Action::WriteTitle(TitleWrite {
        key: VipKey::new("shop", name),
        expect: Expect::At(1),
        content: TitleContent::default(),
        why: Why::Claim,
        nonce: Nonce { incarnation: 1, sequence },
    })
}

/// The machine after each failure: it asks what there is, and tries again.
async fn tries_again(performer: &Performer, door: &mut UnboundedReceiver<Input>, until: Instant) {
    let mut sequence = 1;
    while Instant::now() < until {
        sequence += 1;
        let Ok(Some(Input::Own(event))) = tokio::time::timeout_at(until, door.recv()).await else { return };
        match event {
            Event::NodeAnswer { node, answer: Answer::Unknown, .. } => {
                performer.start(Action::ReadNode(node));
                sleep(RETRY).await;
                performer.start(renewal(sequence));
            }
            Event::TitleAnswer { key, answer: Answer::Unknown, .. } => {
                performer.start(Action::ReadTitle(key.clone()));
                performer.start(claim(&key.name, sequence));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_is_tried_fast_at_first_and_then_once_a_second() {
    for code in [503, 500, 429] {
        let mut fake = Fake::answering(vec![code; 10_000]);
        let (performer, mut door) = performer(&fake);
        performer.start(renewal(1));
        tries_again(&performer, &mut door, Instant::now() + Duration::from_millis(1_700)).await;
        let at_first = fake.arrived();
        assert!((10..=20).contains(&at_first), "reads and writes while the right runs out: {at_first}");
        tries_again(&performer, &mut door, Instant::now() + Duration::from_secs(30)).await;
        let later = fake.arrived();
        assert!((54..=120).contains(&later), "reads and writes in 30 s: {later}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_that_fail_ask_no_more_often_than_their_turns_allow() {
    let mut fake = Fake::answering(vec![503; 10_000]);
    let (performer, mut door) = performer(&fake);
    for number in 0..1000 {
        performer.start(claim(&format!("web-{number}"), 1));
    }
    tries_again(&performer, &mut door, Instant::now() + Duration::from_secs(30)).await;
    let count = fake.arrived();
    let most = 30 * TITLES_AT_ONCE * 2 + 10 * TITLES_AT_ONCE;
    assert!(count <= most, "{count} requests in 30 s");
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_told_at_once_and_makes_the_next_wait_a_short_one() {
    let mut fake = Fake::answering([[503; 9].as_slice(), &[409, 503]].concat());
    let (performer, mut door) = performer(&fake);
    for _ in 0..9 {
        performer.start(renewal(1));
        door.recv().await.unwrap();
    }
    let told = async |door: &mut UnboundedReceiver<Input>| {
        let start = Instant::now();
        performer.start(renewal(1));
        (door.recv().await.unwrap(), start.elapsed())
    };
    let (answer, after) = told(&mut door).await;
    assert!(matches!(answer, Input::Own(Event::NodeAnswer { answer: Answer::Conflict, .. })), "{answer:?}");
    assert_eq!(after.as_millis(), 0);
    assert!(told(&mut door).await.1 <= RETRY);
    assert_eq!(fake.arrived(), 11);
}
