use super::*;
use crate::network::{Claim, Mac, arp, corpus, ndp, testing::noise};

/// How many bytes of a frame a program hands on, as `bpf(4)` describes it.
fn run(program: &[Instruction], frame: &[u8]) -> u32 {
    let (mut at, mut accumulator) = (0, 0);
    loop {
        let Instruction { code, then, otherwise, value } = program[at];
        let code = u32::from(code);
        let operand = usize::try_from(value).unwrap();
        at += 1;
        if code == BPF_RET | BPF_K {
            return value;
        } else if code == BPF_JMP | BPF_JA {
            at += operand;
        } else if code == BPF_JMP | BPF_JEQ | BPF_K {
            at += usize::from(if accumulator == value { then } else { otherwise });
        } else {
            let length = match code & 0x18 {
                BPF_W => 4,
                BPF_H => 2,
                _ => 1,
            };
            let Some(bytes) = frame.get(operand..operand + length) else { return 0 };
            accumulator = bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
        }
    }
}

/// What the two sockets hand on together: each hears one kind of frame.
fn passes(addresses: &BTreeSet<IpAddr>, frame: &[u8]) -> bool {
    match frame.get(12..14) {
        Some([0x08, 0x06]) => run(&arp_of(addresses), frame) > 0,
        Some([0x86, 0xdd]) => run(&advertisements_of(addresses), frame) > 0,
        _ => false,
    }
}

fn many(count: u32) -> BTreeSet<IpAddr> {
    let v4 = (0..count).map(|n| std::net::Ipv4Addr::from(0x0a00_0001 + 7 * n).into());
    let v6 =
        (0..count).map(|n| std::net::Ipv6Addr::from((0x2001_0db8_u128 << 96) + 7 * u128::from(n)).into());
    v4.chain(v6).collect()
}

fn claim_of(address: IpAddr) -> Vec<u8> {
    let mac = Mac([2, 0, 0, 0, 0, 1]);
    match address {
        IpAddr::V4(address) => arp::announcement_reply(mac, address),
        IpAddr::V6(address) => ndp::advertisement(mac, address, false),
    }
}

#[test]
fn every_claim_of_ours_passes_and_none_of_others() {
    for count in [0, 1, 2, 199, 200, 201, 1000] {
        let (ours, more) = (many(count), many(count + 1));
        for address in &more {
            assert_eq!(passes(&ours, &claim_of(*address)), ours.contains(address), "{count}: {address}");
        }
    }
}

#[test]
fn a_program_is_one_that_the_kernel_takes() {
    for count in [0, 1, 200, 1000, 3500, 3501, 9000] {
        let ours = many(count);
        assert!(arp_of(&ours).len() <= 4096);
        assert!(advertisements_of(&ours).len() <= 4096);
    }
    assert!(passes(&many(9000), &claim_of("192.0.2.1".parse().unwrap())), "too many for a program: all pass");
}

#[test]
fn whatever_a_reader_would_take_for_a_claim_of_ours_passes() {
    let seeds = corpus::frames();
    let ours: BTreeSet<IpAddr> = seeds.iter().filter_map(|frame| Some(Claim::read(frame)?.address)).collect();
    for frame in noise(&seeds) {
        if let Some(claim) = Claim::read(&frame) {
            let heeded = ours.contains(&claim.address);
            assert!(!heeded || passes(&ours, &frame), "{claim:?} in {frame:02x?}");
        }
    }
}

#[test]
fn of_notifications_only_new_addresses_of_one_port_are_kept_back() {
    let notification = |kind: u16, port: u32| {
        let mut bytes = vec![20, 0, 0, 0];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 6]);
        bytes.extend(port.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes
    };
    let (removal, ours, other) = (21, 0x0102_0304, 0x0102_0305);
    let passes = |kind, port| run(&all_but_new_addresses_by(ours), &notification(kind, port)) > 0;
    assert!(!passes(netlink::RTM_NEWADDR, ours));
    for (kind, port) in [(netlink::RTM_NEWADDR, other), (netlink::RTM_NEWADDR, 0), (removal, ours)] {
        assert!(passes(kind, port), "{kind} {port}");
    }
}
