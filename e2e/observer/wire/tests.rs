//! Frames, octet by octet.

use std::net::IpAddr;

use super::*;

const MAC: MacAddr = MacAddr(2, 0, 0, 0, 0, 1);
const OWNER: MacAddr = MacAddr(2, 0, 0, 0, 0, 0xa);
const CLIENT: [u8; 4] = [192, 0, 2, 1];
const VIP: [u8; 4] = [192, 0, 2, 200];

fn arp(destination: [u8; 6], operation: u8, sender: [u8; 4], target: [u8; 4]) -> Option<Heard> {
    let mut frame = destination.to_vec();
    frame.extend(OWNER.octets());
    frame.extend([0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, operation]);
    frame.extend(OWNER.octets());
    frame.extend(sender);
    frame.extend(destination);
    frame.extend(target);
    hear(&frame)
}

#[test]
fn an_arp_request_asks_everybody_from_the_given_address() {
    let frame = question(MAC, CLIENT.into(), VIP.into()).unwrap();
    let mut expected = vec![0xff; 6];
    expected.extend([2, 0, 0, 0, 0, 1, 0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, 1]);
    expected.extend([2, 0, 0, 0, 0, 1, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 192, 0, 2, 200]);
    assert_eq!(frame, expected);
    assert_eq!(hear(&frame), None, "a question says nothing");
}

#[test]
fn a_reply_names_owner_and_asker() {
    let answer = Heard::Answer { address: VIP.into(), mac: OWNER, sender: CLIENT.into() };
    assert_eq!(arp(MAC.octets(), 2, VIP, CLIENT), Some(answer));
}

#[test]
fn gratuitous_arp_is_known_in_both_forms() {
    for (operation, target, form) in
        [(1, VIP, Form::Request), (2, VIP, Form::Reply), (2, [0; 4], Form::Reply)]
    {
        let said = Heard::Announcement { address: VIP.into(), mac: OWNER, form };
        assert_eq!(arp([0xff; 6], operation, VIP, target), Some(said));
    }
}

#[test]
fn families_do_not_mix() {
    assert_eq!(question(MAC, CLIENT.into(), IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)), None);
}
