//! What the tests of this room share: namespaces of their own, `ip` as the witness, bytes to read.

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    process::Command,
    sync::mpsc::{Sender, channel},
    thread::{self, JoinHandle},
};

use super::{Claim, Kernel, Link, Mac, packet_socket::Receiver};
use nix::{
    libc::{ETH_P_ARP, ETH_P_IPV6},
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    unistd::{Pid, gettid},
};

type Job = Box<dyn FnOnce() + Send>;

/// A machine of its own on the network: a namespace, and a thread that lives in it. Both vanish with it, also when
/// the test fails.
pub(crate) struct Host {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    id: Pid,
}

impl Host {
    pub(crate) fn new() -> Self {
        let (jobs, todo) = channel::<Job>();
        let (ready, id) = channel();
        let thread = thread::spawn(move || {
            enter_namespace();
            ready.send(gettid()).unwrap();
            for job in todo {
                job();
            }
        });
        let id = id.recv().expect("a network namespace");
        Self { jobs: Some(jobs), thread: Some(thread), id }
    }

    /// Does something there, and waits for it.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = channel();
        self.jobs.as_ref().unwrap().send(Box::new(move || drop(done.send(work())))).unwrap();
        result.recv().expect("what was done there did not panic")
    }

    /// `ip` there.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        let arguments = arguments.to_owned();
        self.run(move || ip(&arguments))
    }

    /// What `ip link set ... netns` takes.
    pub(crate) fn id(&self) -> Pid {
        self.id
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.jobs.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// How many calls that block may be under way at once in [`in_namespace`].
pub(crate) const BLOCKING: usize = 4;

/// Runs an asynchronous test in a network namespace of its own.
pub(crate) fn in_namespace<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let run = move || {
        enter_namespace();
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.max_blocking_threads(BLOCKING).enable_all().build().unwrap().block_on(test());
    };
    if let Err(panic) = thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}

fn enter_namespace() {
    unshare(CloneFlags::CLONE_NEWNET)
        .expect("these tests make network namespaces: run them as root (CAP_SYS_ADMIN and CAP_NET_ADMIN)");
    ip("link set lo up");
}

/// Gives this thread a BPF file system that nobody else sees.
pub(crate) fn own_bpf_file_system() {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    mount(Some("bpf"), "/sys/fs/bpf", Some("bpf"), MsFlags::empty(), none).unwrap();
}

/// The independent witness: runs `ip` with these arguments in the namespace of this thread.
pub(crate) fn ip(arguments: &str) -> String {
    let output = match Command::new("ip").args(arguments.split_whitespace()).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("there is no `ip` here: install iproute2")
        }
        output => output.unwrap(),
    };
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What `ip` says of one address in JSON; none if it is not there.
pub(crate) fn address_in_ip(link: &str, address: &str) -> Option<serde_json::Value> {
    let links: serde_json::Value = serde_json::from_str(&ip(&format!("-j addr show dev {link}"))).unwrap();
    let addresses = links[0]["addr_info"].as_array().unwrap().clone();
    addresses
        .into_iter()
        .find(|info| format!("{}/{}", info["local"].as_str().unwrap(), info["prefixlen"]) == address)
}

/// Sets a sysctl of the namespace of this thread.
pub(crate) fn sysctl(name: &str, value: &str) {
    let path = format!("/proc/sys/net/{name}");
    std::fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
}

/// Two connected interfaces that are up and send: ours, and its other end.
pub(crate) fn cable(ours: &str, other: &str) {
    ip(&format!("link add {ours} type veth peer name {other}"));
    ip(&format!("link set {ours} up"));
    ip(&format!("link set {other} up"));
    until_it_sends(ours);
    until_it_sends(other);
}

/// Just after it came up an interface drops what it is given.
pub(crate) fn until_it_sends(link: &str) {
    while !ip(&format!("link show {link}")).contains("state UP") {
        thread::yield_now();
    }
}

/// Another machine, whose interface `other` is at the end of our `ours`.
pub(crate) fn neighbour(ours: &str, other: &'static str) -> Host {
    let host = Host::new();
    cable(ours, other);
    ip(&format!("link set {other} netns {}", host.id()));
    host.run(move || {
        ip(&format!("link set {other} up"));
        until_it_sends(other);
    });
    until_it_sends(ours);
    host
}

/// Hears what arrives on an interface.
pub(crate) struct Ear {
    arp: Receiver,
    ip6: Receiver,
}

impl Ear {
    pub(crate) async fn on(link: &str) -> Self {
        let link = Kernel::open().unwrap().links().await.unwrap().by_name(link).unwrap().index;
        let open = |kind| Receiver::open(link, u16::try_from(kind).unwrap(), &[]).unwrap();
        Self { arp: open(ETH_P_ARP), ip6: open(ETH_P_IPV6) }
    }

    async fn frame(&mut self) -> Vec<u8> {
        let (mut arp, mut ip6) = (vec![0; 1514], vec![0; 1514]);
        tokio::select! {
            length = self.arp.receive(&mut arp) => { arp.truncate(length.unwrap()); arp }
            length = self.ip6.receive(&mut ip6) => { ip6.truncate(length.unwrap()); ip6 }
        }
    }

    /// The next ARP packet that is about `address`.
    pub(crate) async fn frame_with(&mut self, address: Ipv4Addr) -> Vec<u8> {
        loop {
            let frame = self.frame().await;
            if Claim::read(&frame).is_some_and(|claim| claim.address == IpAddr::V4(address)) {
                return frame;
            }
        }
    }

    /// The next advertisement of `address`.
    pub(crate) async fn advertisement_of(&mut self, address: Ipv6Addr) -> Vec<u8> {
        loop {
            let frame = self.frame().await;
            if Claim::read(&frame).is_some_and(|claim| claim.address == IpAddr::V6(address)) {
                return frame;
            }
        }
    }

    /// The next solicitation that `address` sends.
    pub(crate) async fn solicitation_from(&mut self, address: Ipv6Addr) -> Vec<u8> {
        loop {
            let frame = self.frame().await;
            // RFC 8200, 3, and RFC 4861, 4.3: source and type behind the Ethernet header.
            if frame.get(22..38) == Some(&address.octets()) && frame.get(54) == Some(&135) {
                return frame;
            }
        }
    }

    /// The next claim of whatever address.
    pub(crate) async fn claim(&mut self) -> Claim {
        loop {
            if let Some(claim) = Claim::read(&self.frame().await) {
                return claim;
            }
        }
    }

    /// The next claim of `address`.
    pub(crate) async fn claim_of(mut self, address: IpAddr) -> Claim {
        loop {
            let claim = self.claim().await;
            if claim.address == address {
                return claim;
            }
        }
    }
}

/// An Ethernet interface that is up and connected, with at most one address.
pub(crate) fn link(index: u32, name: &str, address: &str) -> Link {
    Link {
        index,
        name: name.to_owned(),
        mac: Some(Mac([2, 0, 0, 0, 0, 1])),
        up: true,
        carrier: true,
        loopback: false,
        no_arp: false,
        port: false,
        ipv6: true,
        router: false,
        arp_ignore: 0,
        arp_announce: 0,
        prepared: false,
        pair: false,
        lower: None,
        mtu: 1500,
        addresses: (!address.is_empty()).then(|| address.parse().unwrap()).into_iter().collect(),
    }
}

/// Bytes written in hexadecimal, with any spaces.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

/// Frames that resemble the given ones: every truncation, every byte set to extremes, and many with random changes
/// and lengths. The same ones each time.
pub(crate) fn noise(seeds: &[Vec<u8>]) -> impl Iterator<Item = Vec<u8>> {
    let mut frames = Vec::new();
    for seed in seeds {
        frames.extend((0..=seed.len()).map(|length| seed[..length].to_vec()));
        for at in 0..seed.len() {
            for value in [0, 1, 31, 32, 127, 128, 255] {
                let mut frame = seed.clone();
                frame[at] = value;
                frames.push(frame);
            }
        }
    }
    let mut random = random();
    for round in 0..20_000 {
        let mut frame = seeds[round % seeds.len()].clone();
        for _ in 0..=random(6) {
            let at = random(frame.len());
            frame[at] = u8::try_from(random(256)).unwrap();
        }
        frame.resize(random(120), 0xa5);
        frames.push(frame);
    }
    frames.into_iter()
}

/// So many numbers below `limit`, the same ones each time.
pub(crate) fn noise_from(count: usize, limit: usize) -> impl Iterator<Item = u64> {
    let mut random = random();
    std::iter::repeat_with(move || random(limit) as u64).take(count)
}

fn random() -> impl FnMut(usize) -> usize {
    let mut state: u64 = 0x5eed;
    move |below: usize| {
        // xorshift64 (Marsaglia).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    }
}
