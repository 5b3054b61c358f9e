//! What a manifest says of its addresses, with `virtualip run`.

use std::thread;

use super::{Outcome, Test, run::check, standing::Standing};

pub const TESTS: &[Test] = &[
    ("run: addresses have the prefix, label and broadcast that are written", configured),
    ("run: an interface without any address is set up, and left as it was found", bare),
    ("run: a label that has no room is told, and the address is up", label),
    ("run: the base address goes, its VirtualIP stays", base),
    ("run: an address follows its subnet to another interface", moved),
];

fn with(spec: &str) -> Result<Standing, String> {
    let mut standing = Standing::new()?;
    standing.write_spec("web", spec)?;
    standing.start()?;
    Ok(standing)
}

fn configured() -> Outcome {
    let mut standing = with(
        "addresses: [192.0.2.200], addressOptions: {prefix: Auto, label: web, broadcast: 192.0.2.127}, \
         announcement: {form: Reply, targets: [192.0.2.9]}",
    )?;
    standing.until_ready("192.0.2.200", true)?;
    let seen = standing.here.ip("-o addr show dev eth0")?;
    let line = seen.lines().find(|line| line.contains("192.0.2.200")).unwrap_or_default();
    check(line.contains("192.0.2.200/24 brd 192.0.2.127") && line.contains("eth0:web"), line)?;
    check(standing.stop()? == Some(0), "a stop is no failure")
}

fn bare() -> Outcome {
    let mut standing = Standing::new()?;
    standing.here.ip("addr flush dev eth0")?;
    standing.here.ip("link set eth0 down")?;
    standing.write_spec("web", "addresses: [192.0.2.200/24], interface: eth0")?;
    standing.start()?;
    standing.until_ready("192.0.2.200", true)?;
    let seen = standing.here.ip("-o addr show dev eth0")?;
    check(seen.contains("192.0.2.200/24") && !seen.contains("secondary"), &seen)?;
    check(standing.here.ip("route show")?.contains("192.0.2.0/24"), "there is no route")?;
    check(standing.stop()? == Some(0), "a stop is no failure")?;
    let left = standing.here.ip("link show eth0")?;
    check(left.contains("state DOWN") && !left.contains("alias"), left)
}

fn label() -> Outcome {
    let mut standing = Standing::new()?;
    standing.here.ip("link set eth0 down")?;
    standing.here.ip("link set eth0 name enp129s0f1np1")?;
    standing.here.ip("link set enp129s0f1np1 up")?;
    standing.here.until_it_sends("enp129s0f1np1")?;
    standing.write_spec("web", "addresses: [192.0.2.200], addressOptions: {label: web}")?;
    standing.start()?;
    let said = standing.until_ready("192.0.2.200", true)?;
    let message = said["message"].as_str().unwrap_or_default();
    check(message.contains("no room for the label enp129s0f1np1:web"), &said)?;
    check(standing.has("192.0.2.200")?, "it is not up")
}

fn base() -> Outcome {
    let mut standing = with("addresses: [192.0.2.200/24]")?;
    standing.until_ready("192.0.2.200", true)?;
    standing.here.sysctl("net/ipv4/conf/eth0/promote_secondaries", "0")?;
    // There is no subnet left to find the interface by: the one that has it keeps it.
    standing.write_spec("web", "addresses: [192.0.2.200/24], interface: eth0")?;
    standing.here.ip("addr del 192.0.2.1/24 dev eth0")?;
    standing.until_there("192.0.2.200", true)
}

fn moved() -> Outcome {
    let mut standing = with("addresses: [192.0.2.200]")?;
    standing.until_ready("192.0.2.200", true)?;
    standing.here.ip("link add br0 type bridge")?;
    standing.here.ip("link set br0 up")?;
    standing.here.ip("addr del 192.0.2.1/24 dev eth0")?;
    standing.here.ip("link set eth0 master br0")?;
    standing.here.ip("addr add 192.0.2.1/24 dev br0")?;
    let on_bridge = || Ok::<_, String>(standing.here.ip("-o addr show dev br0")?.contains("192.0.2.200/32"));
    while !on_bridge()? {
        thread::yield_now();
    }
    Ok(())
}
