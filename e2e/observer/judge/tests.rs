//! Each test writes a short history of the wire and reads the report.

use super::*;

const VIP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 200));
const A: MacAddr = MacAddr(2, 0, 0, 0, 0, 0xa);
const B: MacAddr = MacAddr(2, 0, 0, 0, 0, 0xb);
const START: u64 = 5_000_000;
const INTERVAL: u64 = 2_000;
/// An answer takes so long.
const TRIP: u64 = 100;

fn sender(k: u64, senders: u64) -> IpAddr {
    IpAddr::from([10, 0, 1, u8::try_from(k % senders).unwrap()])
}

/// Asks once per item; each item says who answers at once.
fn history(answers: &[&[MacAddr]], senders: u64) -> Judge {
    let mut judge = Judge::new(&[VIP], START, INTERVAL);
    for (k, macs) in (0..).zip(answers) {
        let at_us = START + k * INTERVAL;
        judge.tell(Event::Asked { address: VIP, at_us, sender: sender(k, senders) });
        for mac in *macs {
            let at_us = at_us + TRIP;
            judge.tell(Event::Answered { address: VIP, at_us, mac: *mac, sender: sender(k, senders) });
        }
    }
    judge
}

fn verdict(answers: &[&[MacAddr]]) -> report::AddressReport {
    let end_us = START + INTERVAL * u64::try_from(answers.len()).unwrap();
    history(answers, 1).finish(end_us).addresses.remove(&VIP).unwrap()
}

fn owners(report: &report::AddressReport) -> Vec<&str> {
    report.owners.iter().map(|owner| owner.mac.as_str()).collect()
}

#[test]
fn a_lasting_owner_has_no_silence_and_no_second() {
    let report = verdict(&vec![&[A] as &[_]; 2_000]);
    assert_eq!((report.asked, report.answered), (2_000, 2_000));
    assert_eq!((report.longest_silence_us, report.two_owner_us), (0, 0));
    assert_eq!(owners(&report), [A.to_string()]);
    assert_eq!(report.owners[0].answers, 2_000);
}

#[test]
fn a_silence_lasts_from_the_first_unanswered_request_to_the_next_answer() {
    let report = verdict(&[&[A], &[], &[], &[], &[], &[B], &[B]]);
    assert_eq!(report.silences, [report::Silence { start_us: INTERVAL, length_us: 4 * INTERVAL + TRIP }]);
    assert_eq!(report.longest_silence_us, 4 * INTERVAL + TRIP);
    assert_eq!(report.two_owner_us, 0);
    assert_eq!(owners(&report), [A.to_string(), B.to_string()]);
}

#[test]
fn a_short_silence_counts_as_the_longest_but_is_not_listed() {
    let report = verdict(&[&[A], &[], &[A]]);
    assert_eq!(report.longest_silence_us, INTERVAL + TRIP);
    assert!(report.silences.is_empty());
}

#[test]
fn silence_at_the_end_reaches_to_the_end() {
    let report = verdict(&[&[A], &[], &[], &[], &[]]);
    assert_eq!(report.silences, [report::Silence { start_us: INTERVAL, length_us: 4 * INTERVAL }]);
}

#[test]
fn two_answers_to_one_request_are_two_owners_for_its_interval() {
    let report = verdict(&[&[A], &[A, B], &[B]]);
    assert_eq!(report.two_answer_requests, 1);
    assert_eq!(report.two_owner_us, INTERVAL);
    assert_eq!(owners(&report), [A.to_string(), B.to_string()]);
}

#[test]
fn two_lasting_owners_are_listed_once_each_and_counted_once() {
    let report = verdict(&vec![&[A, B] as &[_]; 1_000]);
    assert_eq!(report.two_answer_requests, 1_000);
    assert_eq!(report.two_owner_us, 1_000 * INTERVAL);
    assert_eq!(owners(&report), [A.to_string(), B.to_string()]);
}

#[test]
fn alternating_answers_are_two_owners_although_each_request_has_one() {
    let report = verdict(&[&[A], &[B], &[A], &[B], &[B]]);
    assert_eq!(report.two_answer_requests, 0);
    assert_eq!(
        report.two_owner_us,
        2 * INTERVAL,
        "from the first answer of B to the last of A, and B's again"
    );
}

#[test]
fn an_owner_that_stays_after_the_second_left_is_alone_again() {
    let mut answers: Vec<&[MacAddr]> = vec![&[A], &[A, B]];
    answers.extend([&[A] as &[MacAddr]; 100]);
    assert_eq!(verdict(&answers).two_owner_us, INTERVAL + TRIP);
}

#[test]
fn taking_over_again_is_listed_again() {
    let mut answers: Vec<&[MacAddr]> = vec![&[A]; 10];
    answers.extend([&[B] as &[MacAddr]; 10]);
    answers.extend([&[A] as &[MacAddr]; 10]);
    let report = verdict(&answers);
    assert_eq!(owners(&report), [A.to_string(), B.to_string(), A.to_string()]);
    assert_eq!(report.two_owner_us, 0);
}

#[test]
fn a_late_answer_belongs_to_the_request_it_names() {
    let mut judge = history(&[&[], &[B], &[B]], 8);
    let at_us = START + 2 * INTERVAL + 2 * TRIP;
    judge.tell(Event::Answered { address: VIP, at_us, mac: A, sender: sender(0, 8) });
    let report = judge.finish(START + 3 * INTERVAL).addresses.remove(&VIP).unwrap();
    assert_eq!((report.two_answer_requests, report.two_owner_us), (0, 0));
    assert_eq!(owners(&report), [A.to_string(), B.to_string()]);
}

#[test]
fn an_answer_told_late_is_attributed_by_its_time_of_arrival() {
    let mut judge = history(&[&[], &[B], &[B]], 1);
    judge.tell(Event::Answered { address: VIP, at_us: START + TRIP, mac: A, sender: sender(0, 1) });
    let report = judge.finish(START + 3 * INTERVAL).addresses.remove(&VIP).unwrap();
    assert_eq!((report.answered, report.two_owner_us, report.longest_silence_us), (3, 0, 0));
}

#[test]
fn the_report_reads_as_documented() {
    let mut judge = history(&[&[A]], 1);
    judge.tell(Event::Announced { address: VIP, at_us: START + 7, mac: A, form: Form::Request });
    let json = serde_json::to_value(judge.finish(START + INTERVAL)).unwrap();
    assert_eq!(json["start_boottime_us"], START);
    let vip = &json["addresses"]["10.0.0.200"];
    assert_eq!(
        vip["owners"][0],
        serde_json::json!({
            "mac": "02:00:00:00:00:0a", "first_us": TRIP, "last_us": TRIP, "answers": 1
        })
    );
    assert_eq!(
        vip["announcements"][0],
        serde_json::json!({
            "at_us": 7, "mac": "02:00:00:00:00:0a", "form": "request"
        })
    );
}
