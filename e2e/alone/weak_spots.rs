//! The weak spots of IPaddr2 that are a matter of what happens between two looks, by their numbers; those of its actions are in
//! `e2e/ocf/cases.yaml`, those of a cluster are in `e2e/tests`, named so.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    Outcome, Test,
    run::{check, started},
    standing::Standing,
};

pub const TESTS: &[Test] = &[
    ("weak spot 2: the longest prefix decides, whichever interface comes first", longest),
    ("weak spot 3: an address that went with the base address is back at once", secondary),
    ("weak spot 3: a host address stays when the base address goes", host_address),
    ("weak spot 4: without a carrier nothing is added, and it comes with the carrier", no_carrier),
    ("weak spot 5: an address deleted by hand is back at once", polling),
    ("weak spot 6: the kernel takes the addresses of a killed process away", killed),
    ("weak spot 9: an address that another host had is taken when that host lets go", second_chance),
];

/// So quick, also on a busy machine. IPaddr2 under a monitor of 10 s: 8.5 s.
const AT_ONCE: Duration = Duration::from_millis(500);

/// IPaddr2 takes the first route that matches in the order in which they are listed: the /8.
fn longest() -> Outcome {
    let mut standing = Standing::new()?;
    standing.here.ip("link add wide type veth peer name end")?;
    standing.here.ip("link set end up")?;
    standing.here.ip("link set wide up")?;
    standing.here.until_it_sends("wide")?;
    standing.here.ip("addr add 192.1.2.3/8 dev wide")?;
    standing.write("web", "192.0.2.200")?;
    standing.start()?;
    let said = standing.until_ready("192.0.2.200", true)?;
    check(said["interface"] == "eth0", said)
}

/// With `promote_secondaries=0` the kernel takes an address of the same subnet along with the first one. Under IPaddr2 it is
/// missed at the next monitor.
fn secondary() -> Outcome {
    let mut standing = Standing::new()?;
    standing.here.sysctl("net/ipv4/conf/eth0/promote_secondaries", "0")?;
    // Named: nothing else says where the subnet is, once the base address has gone.
    standing.write_spec("web", "addresses: [192.0.2.200/24], interface: eth0")?;
    standing.start()?;
    standing.until_ready("192.0.2.200", true)?;
    standing.here.ip("addr del 192.0.2.1/24 dev eth0")?;
    back_at_once(&standing)
}

fn host_address() -> Outcome {
    let mut standing = started("192.0.2.200")?;
    standing.here.sysctl("net/ipv4/conf/eth0/promote_secondaries", "0")?;
    standing.until_ready("192.0.2.200", true)?;
    standing.here.ip("addr del 192.0.2.1/24 dev eth0")?;
    // Once this is ready the program has seen the interface as it is now.
    standing.write_spec("later", "addresses: [192.0.2.201], interface: eth0")?;
    standing.until_ready("192.0.2.201", true)?;
    check(standing.has("192.0.2.200")?, "the address has gone")
}

/// IPaddr2 adds first, looks at the carrier afterwards, fails, and leaves the address.
fn no_carrier() -> Outcome {
    let mut standing = Standing::new()?;
    standing.peer.ip("link set eth0 down")?;
    standing.write("web", "192.0.2.200")?;
    standing.start()?;
    standing.until_ready("192.0.2.200", false)?;
    check(!standing.has("192.0.2.200")?, "it is there without a carrier")?;
    standing.peer.ip("link set eth0 up")?;
    standing.until_ready("192.0.2.200", true).map(drop)
}

/// IPaddr2 is asked now and then: 8.5 s. The kernel says so at once.
fn polling() -> Outcome {
    let mut standing = started("192.0.2.200, '2001:db8::200'")?;
    standing.until_ready("2001:db8::200", true)?;
    standing.here.ip("addr del 192.0.2.200/32 dev eth0")?;
    standing.here.ip("addr del 2001:db8::200/128 dev eth0")?;
    back_at_once(&standing)?;
    standing.until_there("2001:db8::200", true)
}

fn back_at_once(standing: &Standing) -> Outcome {
    let start = Instant::now();
    standing.until_there("192.0.2.200", true)?;
    let took = start.elapsed();
    println!("back after {took:?}");
    check(took < AT_ONCE, format!("{took:?}"))
}

/// Addresses of IPaddr2 stay until a reboot when the cluster stack is killed.
fn killed() -> Outcome {
    let mut standing = started("192.0.2.200, '2001:db8::200'")?;
    standing.until_ready("192.0.2.200", true)?;
    standing.until_ready("2001:db8::200", true)?;
    standing.kill()?;
    let start = Instant::now();
    while standing.has("192.0.2.200")? || standing.has("2001:db8::200")? {
        // The kernel counts in seconds.
        thread::sleep(Duration::from_millis(50));
        check(start.elapsed() < Duration::from_secs(12), "an address stayed")?;
    }
    check(standing.has("192.0.2.1")?, "the host's own address has gone")
}

/// After one failed start Pacemaker never tries that node again, until somebody cleans up.
fn second_chance() -> Outcome {
    let mut standing = Standing::new()?;
    standing.peer.ip("addr add 192.0.2.200/24 dev eth0")?;
    standing.write("web", "192.0.2.200")?;
    standing.start()?;
    standing.until_ready("192.0.2.200", false)?;
    standing.peer.ip("addr del 192.0.2.200/24 dev eth0")?;
    standing.until_ready("192.0.2.200", true).map(drop)
}
