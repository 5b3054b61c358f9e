//! The observer against real kernels: hosts are network namespaces on a bridge of their own. Needs root and `ip`.

use std::fs::{self, File};
use std::net::IpAddr;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

use crate::judge::report::{AddressReport, Form, Report};
use crate::session::{Plan, observe};

const VIP4: &str = "192.0.2.200";
const VIP6: &str = "2001:db8::200";
const A: &str = "02:00:00:00:00:0a";
const B: &str = "02:00:00:00:00:0b";

/// A bridge with the hosts `client`, `a` and `b`, each with an `eth0`; gone with the value.
struct Wire {
    prefix: String,
}

impl Wire {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let wire = Self { prefix: format!("observer-{}-{count}", std::process::id()) };
        wire.add_namespace("switch");
        wire.ip("switch", "link add br0 type bridge");
        wire.ip("switch", "link set br0 up");
        for (host, mac, address) in
            [("client", "02:00:00:00:00:01", "192.0.2.1"), ("a", A, "192.0.2.10"), ("b", B, "192.0.2.11")]
        {
            wire.add_namespace(host);
            let peer = format!("netns {}", wire.namespace("switch"));
            wire.ip(host, &format!("link add eth0 address {mac} type veth peer name {host} {peer}"));
            wire.ip("switch", &format!("link set dev {host} master br0 up"));
            wire.ip(host, "link set eth0 up");
            wire.ip(host, &format!("address add {address}/24 dev eth0"));
        }
        wire
    }

    fn namespace(&self, host: &str) -> String {
        format!("{}-{host}", self.prefix)
    }

    fn add_namespace(&self, host: &str) {
        run(&format!("netns add {}", self.namespace(host)));
    }

    fn ip(&self, host: &str, arguments: &str) {
        run(&format!("-n {} {arguments}", self.namespace(host)));
    }

    fn add_vips(&self, host: &str) {
        self.ip(host, &format!("address add {VIP4}/32 dev eth0"));
        self.ip(host, &format!("address add {VIP6}/128 dev eth0 nodad"));
    }

    fn remove_vips(&self, host: &str) {
        self.ip(host, &format!("address del {VIP4}/32 dev eth0"));
        self.ip(host, &format!("address del {VIP6}/128 dev eth0"));
    }

    /// Runs `work` in a thread of the host's network namespace.
    fn within<T: Send>(&self, host: &str, work: impl FnOnce() -> T + Send) -> T {
        let path = format!("/run/netns/{}", self.namespace(host));
        let entered = move || {
            setns(File::open(path).unwrap(), CloneFlags::CLONE_NEWNET).unwrap();
            work()
        };
        thread::scope(|scope| scope.spawn(entered).join().unwrap())
    }

    /// What the client sees while `story` happens.
    fn observe(&self, story: impl FnOnce()) -> Report {
        let plan = Plan {
            interface: "eth0".to_owned(),
            interval: Duration::from_millis(2),
            limit: None,
            senders: (64..96).map(|host| [192, 0, 2, host].into()).collect(),
            addresses: vec![VIP4.parse().unwrap(), VIP6.parse().unwrap()],
        };
        let stop = AtomicBool::new(false);
        let (ready, asking) = channel();
        thread::scope(|scope| {
            let observed = scope.spawn(|| {
                self.within("client", || observe(&plan, &stop, move || ready.send(()).unwrap()).unwrap())
            });
            asking.recv().unwrap();
            story();
            stop.store(true, Ordering::Relaxed);
            observed.join().unwrap()
        })
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for host in ["client", "a", "b", "switch"] {
            Command::new("ip").args(["netns", "delete", &self.namespace(host)]).status().ok();
        }
    }
}

fn run(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    let output = output.expect("these tests need `ip` (Debian package iproute2)");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {error} (these tests need root)");
}

/// Lets something be true on the wire for a while: what the observer then saw is the test.
fn for_a_while() {
    thread::sleep(Duration::from_millis(200));
}

fn both(report: &Report) -> [&AddressReport; 2] {
    [VIP4, VIP6].map(|vip| &report.addresses[&vip.parse::<IpAddr>().unwrap()])
}

fn owners(report: &AddressReport) -> Vec<&str> {
    report.owners.iter().map(|owner| owner.mac.as_str()).collect()
}

#[test]
fn two_hosts_with_one_address_are_two_owners() {
    let wire = Wire::new();
    wire.add_vips("a");
    let report = wire.observe(|| {
        for_a_while();
        wire.add_vips("b");
        for_a_while();
        wire.remove_vips("a");
        for_a_while();
    });
    for vip in both(&report) {
        // On a busy machine one of two hosts may miss requests that the other answers: when it
        // answers again, it is listed again.
        assert!(owners(vip).starts_with(&[A, B]), "{vip:?}");
        assert!(owners(vip).iter().all(|mac| [A, B].contains(mac)), "{vip:?}");
        let last = vip.owners.iter().max_by_key(|owner| owner.last_us).expect("both have answered");
        assert_eq!(last.mac, B, "{vip:?}");
        assert!(vip.two_answer_requests > 0, "{vip:?}");
        assert!(vip.two_owner_us > 100_000, "{vip:?}");
    }
}

#[test]
fn an_address_that_goes_away_and_comes_back_elsewhere_was_silent_and_had_one_owner() {
    let wire = Wire::new();
    wire.add_vips("a");
    let report = wire.observe(|| {
        for_a_while();
        wire.remove_vips("a");
        for_a_while();
        wire.add_vips("b");
        for_a_while();
    });
    for vip in both(&report) {
        assert_eq!(owners(vip), [A, B], "{vip:?}");
        assert_eq!((vip.two_answer_requests, vip.two_owner_us), (0, 0), "{vip:?}");
        let gap =
            vip.silences.iter().find(|silence| silence.length_us >= 200_000).expect("the silence is listed");
        assert!(gap.start_us >= vip.owners[0].last_us && vip.owners[1].first_us >= gap.start_us, "{vip:?}");
        assert!(vip.longest_silence_us >= gap.length_us);
    }
}

#[test]
fn announcements_are_seen_although_nobody_asked_for_them() {
    let wire = Wire::new();
    wire.add_vips("a");
    wire.within("a", || {
        fs::write("/proc/sys/net/ipv4/conf/eth0/arp_notify", "1").unwrap();
        fs::write("/proc/sys/net/ipv6/conf/eth0/ndisc_notify", "1").unwrap();
    });
    let report = wire.observe(|| {
        // The kernel announces its addresses when their hardware address changes.
        wire.ip("a", "link set eth0 address 02:00:00:00:00:1a");
        for_a_while();
    });
    for (vip, form) in both(&report).into_iter().zip([Form::Request, Form::Na]) {
        let said = vip.announcements.iter().find(|said| said.form == form);
        assert_eq!(said.map(|said| said.mac.as_str()), Some("02:00:00:00:00:1a"), "{vip:?}");
    }
}
