//! The fence against the kernel: what leaves, what stays there without us, what is left behind.

use std::{
    fs,
    net::{IpAddr, SocketAddr, UdpSocket},
    path::Path,
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use nix::libc::{ETH_P_ARP, ETH_P_IPV6};

use crate::network::{
    Announcer, Kernel, Link, Mac, arp, clock,
    fence::{Cell, Fence},
    ndp,
    packet_socket::{Receiver, Sender},
    testing::{Host, in_namespace, ip, neighbour, noise_from, own_bpf_file_system},
};

const VIP: &str = "192.0.2.200";
const VIP6: &str = "2001:db8::200";
const FAR: &str = "192.0.2.9";
const NEAR: &str = "192.0.2.1";
const FAR_FUTURE: Duration = Duration::from_secs(1 << 32);
/// For packets that do come; nobody waits for it in vain.
const WITHIN: Duration = Duration::from_secs(10);

/// A node with a BPF file system and `near`, at whose other end is a client.
fn on_node<F: Future<Output = ()>>(test: impl FnOnce(Host) -> F + Send + 'static) {
    in_namespace(async || {
        own_bpf_file_system();
        let client = neighbour("near", "far");
        ip("addr add 192.0.2.1/24 dev near");
        client.ip("addr add 192.0.2.9/24 dev far");
        client.ip("-6 addr add 2001:db8::9/64 dev far nodad");
        ip("-6 addr add 2001:db8::1/64 dev near nodad");
        test(client).await;
    });
}

fn vips() -> [IpAddr; 2] {
    [VIP, VIP6].map(|vip| vip.parse().unwrap())
}

async fn near() -> Link {
    Kernel::open().unwrap().links().await.unwrap().by_name("near").unwrap().clone()
}

fn open() -> Fence {
    Fence::open(Kernel::open().unwrap(), &Fence::pins()).unwrap()
}

/// A fence that guards both addresses, which are up.
async fn guarding() -> Fence {
    let (mut fence, near) = (open(), near().await);
    for vip in vips() {
        fence.guard(near.index, vip).unwrap();
    }
    ip("addr add 192.0.2.200/32 dev near");
    ip("-6 addr add 2001:db8::200/128 dev near nodad");
    fence
}

fn now() -> Duration {
    clock::now().unwrap()
}

fn tc(arguments: &str) -> String {
    tc_words(&arguments.split(' ').collect::<Vec<_>>())
}

fn tc_words(arguments: &[&str]) -> String {
    let output = Command::new("tc").args(arguments).output().unwrap();
    assert!(output.status.success(), "tc {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Everything that a fence could leave behind.
fn traces() -> String {
    let pins: Vec<_> = fs::read_dir("/sys/fs/bpf").unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let filters = ["egress", "ingress"].map(|way| tc(&format!("filter show dev near {way}")));
    format!("{pins:?} {} {filters:?}", tc("qdisc show dev near"))
}

/// The client asks without a pause until `until`, and says when it sent the last question that was answered, if any was.
fn last_answered(client: &Host, until: Duration) -> Option<Duration> {
    ask(client, until, false)
}

/// It is answered. The client asks until then: on a busy machine it may begin late.
fn answers(client: &Host) -> bool {
    ask(client, now() + WITHIN, true).is_some()
}

/// Each question has a sender of its own, and so has its answer: when that arrives does not matter, even if that is in the
/// next round.
fn ask(client: &Host, until: Duration, once: bool) -> Option<Duration> {
    static ROUND: AtomicU8 = AtomicU8::new(0);
    let round = ROUND.fetch_add(1, Ordering::Relaxed);
    client.run(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _entered = runtime.enter();
        let far = nix::net::if_::if_nametoindex("far").unwrap();
        let receiver = Receiver::open(far, u16::try_from(ETH_P_ARP).unwrap(), &[]).unwrap();
        let sender = Sender::open().unwrap();
        let mut asked = Vec::new();
        let mut answered = None;
        let mut read = |asked: &[Duration]| {
            let mut frame = [0; 64];
            while let Some(length) = receiver.receive_now(&mut frame) {
                let answer =
                    arp::claim(&frame[..length]).is_some_and(|claim| claim.address.to_string() == VIP);
                let number = u32::from_be_bytes(frame[34..38].try_into().unwrap());
                if answer && frame[21] == 2 && frame[33] == round {
                    answered = answered.max(Some(asked[usize::try_from(number).unwrap()]));
                }
            }
            answered
        };
        while now() < until {
            let [a, b, c, d] = u32::try_from(asked.len()).unwrap().to_be_bytes();
            asked.push(now());
            sender.send(far, &arp::probe(Mac([2, round, a, b, c, d]), VIP.parse().unwrap())).unwrap();
            if read(&asked).is_some() && once {
                break;
            }
        }
        // What was answered is on its way within the call that asked, or soon after.
        std::thread::sleep(Duration::from_millis(1));
        read(&asked)
    })
}

#[test]
fn no_answer_to_what_was_asked_after_the_deadline() {
    on_node(async |client| {
        let fence = guarding().await;
        let cell = fence.deadline();
        assert_eq!(last_answered(&client, now() + Duration::from_millis(2)), None, "no right at first");
        // Nobody lives who could look at a clock.
        drop(fence);
        let mut before = Vec::new();
        for spread in noise_from(200, 3_000) {
            let deadline = now() + Duration::from_micros(1_000 + spread);
            cell.set(deadline).unwrap();
            let last = last_answered(&client, deadline + Duration::from_millis(1));
            // On a busy machine the client may come too late to ask at all.
            let Some(last) = last else { continue };
            assert!(last < deadline, "answered {:?} after the deadline", last.saturating_sub(deadline));
            before.push(deadline.saturating_sub(last));
        }
        before.sort();
        let (count, median) = (before.len(), before[before.len() / 2]);
        assert!(count > 100, "{count}");
        println!(
            "last answered question, before {count} deadlines: at least {:?}, median {median:?}",
            before[0]
        );
    });
}

/// What the node sends and gets, each with a packet before and one after the deadline: only the first arrives.
struct Traffic {
    cell: Cell,
    deadline: Duration,
}

impl Traffic {
    fn new(cell: Cell) -> Self {
        Self { cell, deadline: FAR_FUTURE }
    }

    /// Sends `first` under the right, `second` without it, and `first` again: what `heard` must be.
    fn expect(&self, mut send: impl FnMut(u8), mut hear: impl FnMut() -> u8) {
        self.cell.set(self.deadline).unwrap();
        send(1);
        self.cell.set(Duration::ZERO).unwrap();
        send(2);
        self.cell.set(now()).unwrap();
        send(3);
        self.cell.set(self.deadline).unwrap();
        send(4);
        assert_eq!((hear(), hear()), (1, 4));
    }
}

fn socket(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(SocketAddr::new(address.parse().unwrap(), 0)).unwrap();
    socket.set_read_timeout(Some(WITHIN)).unwrap();
    socket
}

fn hear(socket: &UdpSocket) -> u8 {
    let mut byte = [0];
    socket.recv(&mut byte).unwrap();
    byte[0]
}

#[test]
fn ip_packets_pass_neither_way_without_the_right() {
    on_node(async |client| {
        let fence = guarding().await;
        let traffic = Traffic::new(fence.deadline());
        for (vip, far) in [(VIP, FAR), (VIP6, "2001:db8::9")] {
            let (ours, theirs) = (socket(vip), client.run(move || socket(far)));
            let (there, here) = (theirs.local_addr().unwrap(), ours.local_addr().unwrap());
            // So that no packet waits for a neighbour.
            traffic.cell.set(FAR_FUTURE).unwrap();
            theirs.send_to(&[0], here).unwrap();
            hear(&ours);
            traffic.expect(|byte| _ = ours.send_to(&[byte], there), || hear(&theirs));
            traffic.expect(|byte| _ = theirs.send_to(&[byte], here).unwrap(), || hear(&ours));
        }
        // Other addresses of the node are none of our business.
        traffic.cell.set(Duration::ZERO).unwrap();
        let (ours, theirs) = (socket(NEAR), client.run(|| socket(FAR)));
        ours.send_to(&[7], theirs.local_addr().unwrap()).unwrap();
        assert_eq!(hear(&theirs), 7);
        theirs.send_to(&[8], ours.local_addr().unwrap()).unwrap();
        assert_eq!(hear(&ours), 8);
    });
}

#[test]
fn behind_a_shut_gate_an_address_is_silent_before_the_deadline_and_others_are_not() {
    on_node(async |client| {
        let fence = guarding().await;
        let gates = fence.gates();
        fence.deadline().set(FAR_FUTURE).unwrap();
        gates.vouch(vips().into(), gates.doubt());
        assert!(answers(&client));
        for (vip, far) in [(VIP, FAR), (VIP6, "2001:db8::9")] {
            let (ours, theirs) = (socket(vip), client.run(move || socket(far)));
            let (there, here) = (theirs.local_addr().unwrap(), ours.local_addr().unwrap());
            theirs.send_to(&[0], here).unwrap();
            hear(&ours);
            let this = [vip.parse().unwrap()];
            let others: Vec<IpAddr> = vips().into_iter().filter(|other| *other != this[0]).collect();
            let check = |send: &dyn Fn(u8), heard: &UdpSocket| {
                send(1);
                assert!(gates.shut(&this));
                send(2);
                gates.open(&this).unwrap();
                assert!(gates.shut(&others));
                send(3);
                gates.open(&others).unwrap();
                assert_eq!((hear(heard), hear(heard)), (1, 3));
            };
            check(&|byte| _ = ours.send_to(&[byte], there), &theirs);
            check(&|byte| _ = theirs.send_to(&[byte], here).unwrap(), &ours);
        }
        assert!(gates.shut(&vips()[..1]));
        assert_eq!(last_answered(&client, now() + Duration::from_millis(2)), None);
        gates.open(&vips()).unwrap();
        assert!(answers(&client));
        fence.deadline().set(Duration::ZERO).unwrap();
        assert_eq!(
            last_answered(&client, now() + Duration::from_millis(2)),
            None,
            "an open gate is no right"
        );
    });
}

#[test]
fn a_gate_is_as_it_was_left_when_its_address_is_guarded_and_in_the_next_life() {
    on_node(async |client| {
        let (mut fence, near) = (open(), near().await);
        fence.deadline().set(FAR_FUTURE).unwrap();
        let [four, six] = vips();
        assert!(!fence.gates().shut([&four]), "nothing stands before it yet");
        ip("addr add 192.0.2.200/32 dev near");
        fence.guard(near.index, six).unwrap();
        fence.guard(near.index, four).unwrap();
        assert_eq!(last_answered(&client, now() + Duration::from_millis(2)), None);
        drop(fence);
        let next = open();
        let gates = next.gates();
        assert!(gates.is_shut(four) && !gates.is_shut(six));
        assert_eq!(last_answered(&client, now() + Duration::from_millis(2)), None);
        gates.open([&four]).unwrap();
        assert!(answers(&client));
    });
}

#[test]
fn announcements_leave_only_with_the_right() {
    on_node(async |client| {
        let fence = guarding().await;
        let near = near().await;
        let (arps, advertisements) = client.run(|| {
            let runtime = Box::leak(Box::new(
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            ));
            let _entered = runtime.enter();
            let far = nix::net::if_::if_nametoindex("far").unwrap();
            let on = |kind: i32| Receiver::open(far, u16::try_from(kind).unwrap(), &[]).unwrap();
            (on(ETH_P_ARP), on(ETH_P_IPV6))
        });
        let announcer = Announcer::open().unwrap();
        let cell = fence.deadline();
        let mut heard = Vec::new();
        for (round, right) in [Duration::ZERO, FAR_FUTURE, now()].into_iter().enumerate() {
            cell.set(right).unwrap();
            for vip in vips() {
                // Whether it is dropped is not said to whoever sends.
                let _ = announcer.announce(&near, vip);
            }
            let mut frame = [0; 128];
            while let Some(length) = arps.receive_now(&mut frame) {
                heard.extend(arp::claim(&frame[..length]).map(|claim| (round, claim.address)));
            }
            while let Some(length) = advertisements.receive_now(&mut frame) {
                heard.extend(ndp::claim(&frame[..length]).map(|claim| (round, claim.address)));
            }
        }
        let [four, six] = vips();
        assert_eq!(heard, [(1, four), (1, four), (1, six)], "ARP in both forms, and the advertisement");
    });
}

#[test]
fn the_next_life_finds_what_the_former_one_left() {
    on_node(async |client| {
        let fence = guarding().await;
        fence.deadline().set(FAR_FUTURE).unwrap();
        drop(fence);
        let mut next = open();
        assert_eq!(next.deadline().get(), FAR_FUTURE);
        assert!(answers(&client), "the old deadline counts");
        let near = near().await;
        for vip in vips() {
            assert!(next.keep(near.index, vip).unwrap());
        }
        next.stand_on(&[].into()).await.unwrap();
        next.deadline().set(Duration::ZERO).unwrap();
        assert_eq!(last_answered(&client, now() + Duration::from_millis(2)), None);
    });
}

/// The program looks at the last digits first: 13 bits of them.
#[test]
fn whoever_shares_its_last_digits_with_a_guarded_address_goes_free_or_is_fenced_for_itself() {
    on_node(async |client| {
        let (mut fence, near) = (guarding().await, near().await);
        ip("addr add 198.51.34.200/32 dev near");
        client.ip("route add 198.51.34.200/32 dev far");
        let twin: IpAddr = "198.51.34.200".parse().unwrap();
        let (ours, theirs) = (socket("198.51.34.200"), client.run(|| socket(FAR)));
        ours.send_to(&[7], theirs.local_addr().unwrap()).unwrap();
        assert_eq!(hear(&theirs), 7, "not guarded");
        fence.guard(near.index, twin).unwrap();
        fence.release(near.index, vips()[0]).await.unwrap();
        let traffic = Traffic::new(fence.deadline());
        traffic.expect(|byte| _ = ours.send_to(&[byte], theirs.local_addr().unwrap()), || hear(&theirs));
        drop(fence);
        let traffic = Traffic::new(open().deadline());
        traffic.expect(|byte| _ = ours.send_to(&[byte], theirs.local_addr().unwrap()), || hear(&theirs));
    });
}

#[test]
fn an_upgrade_leaves_no_moment_without_the_fence() {
    on_node(async |client| {
        drop(guarding().await);
        // On a busy machine one takes a fifth of a second.
        let end = now() + Duration::from_secs(2);
        let asking = std::thread::scope(|scope| {
            let asking = scope.spawn(|| last_answered(&client, end));
            let mut upgrades = 0;
            while now() < end {
                drop(open());
                upgrades += 1;
            }
            assert!(upgrades > 0);
            asking.join().unwrap()
        });
        assert_eq!(asking, None);
        assert_eq!(tc("filter show dev near egress").matches("handle 0x7669").count(), 1);
    });
}

/// Another version may have had other maps.
#[test]
fn a_program_whose_maps_are_not_ours_is_replaced() {
    on_node(async |client| {
        drop(guarding().await);
        fs::remove_file("/sys/fs/bpf/virtualip/shut").unwrap();
        let (mut fence, near) = (open(), near().await);
        fence.deadline().set(FAR_FUTURE).unwrap();
        fence.guard(near.index, vips()[0]).unwrap();
        assert!(answers(&client));
    });
}

#[test]
fn nothing_is_left_behind() {
    on_node(async |_client| {
        let before = traces();
        let (mut fence, near) = (open(), near().await);
        assert_eq!(traces(), before, "nothing is there as long as nothing is guarded");
        for _ in 0..2 {
            for vip in vips() {
                fence.guard(near.index, vip).unwrap();
            }
            assert!(tc("filter show dev near egress").contains("0x7669"), "{}", traces());
            assert!(Path::new("/sys/fs/bpf/virtualip/deadlines").exists());
            fence.release(near.index, vips()[0]).await.unwrap();
            assert!(tc("filter show dev near ingress").contains("0x7669"));
            fence.retain(|_, _| false).await.unwrap();
            assert_eq!(traces(), before);
        }
    });
}

#[test]
fn what_a_killed_agent_left_is_swept() {
    on_node(async |_client| {
        let before = traces();
        drop(guarding().await);
        assert_ne!(traces(), before);
        open().stand_on(&[].into()).await.unwrap();
        assert_eq!(traces(), before);
    });
}

#[test]
fn others_keep_their_place_and_their_filters() {
    on_node(async |client| {
        tc("qdisc add dev near clsact");
        let empty = traces();
        let mut fence = guarding().await;
        fence.retain(|_, _| false).await.unwrap();
        assert_eq!(traces(), empty, "a place that was there before");
        let near = near().await;
        tc("qdisc del dev near clsact");
        fence.guard(near.index, vips()[0]).unwrap();
        // Classic BPF: return 2, TC_ACT_SHOT.
        let behind = "filter add dev near egress prio 2 protocol all bpf da bytecode".split(' ');
        tc_words(&behind.chain(["1,6 0 0 2,"]).collect::<Vec<_>>());
        fence.deadline().set(FAR_FUTURE).unwrap();
        assert_eq!(
            last_answered(&client, now() + Duration::from_millis(2)),
            None,
            "who is behind us has a say"
        );
        fence.retain(|_, _| false).await.unwrap();
        assert!(tc("filter show dev near egress").contains("bytecode"), "{}", traces());
        assert!(!traces().contains("0x7669"));
    });
}

#[test]
fn what_somebody_took_away_is_put_there_again() {
    on_node(async |client| {
        let mut fence = guarding().await;
        tc("qdisc del dev near clsact");
        fence.repair().unwrap();
        assert_eq!(last_answered(&client, now() + Duration::from_millis(2)), None);
    });
}

#[test]
fn an_interface_that_goes_takes_everything_along() {
    on_node(async |_client| {
        let mut fence = guarding().await;
        ip("link del near");
        fence.repair().unwrap();
        fence.retain(|_, _| false).await.unwrap();
        assert!(!Path::new("/sys/fs/bpf/virtualip").exists());
    });
}

#[test]
fn without_a_bpf_file_system_there_is_no_fence() {
    in_namespace(async || {
        let refused = Fence::open(Kernel::open().unwrap(), Path::new("/tmp/virtualip")).unwrap_err();
        assert!(refused.to_string().starts_with("/tmp is no BPF file system: mount one there"), "{refused}");
    });
}
