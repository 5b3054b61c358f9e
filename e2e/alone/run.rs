//! `virtualip run` keeps addresses up, and takes them away.

use std::{fs, process::Command};

use super::{Outcome, PROGRAM, Test, standing::Standing};

pub const TESTS: &[Test] = &[
    ("run: from start to stop", life),
    ("run: manifests are followed as they change", follow),
    ("run: a manifest that makes no sense changes nothing", nonsense),
    ("run: without a carrier the address goes, and comes back with it", carrier),
    ("run: an address that another host has is left to it", foreign),
    ("run: an address that another host claims is defended", defence),
    ("run: a second one is refused", second),
];

#[allow(clippy::needless_pass_by_value)] // A reference at each call says nothing.
pub fn check(fine: bool, otherwise: impl ToString) -> Outcome {
    if fine { Ok(()) } else { Err(otherwise.to_string()) }
}

pub fn started(addresses: &str) -> Result<Standing, String> {
    let mut standing = Standing::new()?;
    standing.write("web", addresses)?;
    standing.start()?;
    Ok(standing)
}

fn life() -> Outcome {
    let mut standing = started("192.0.2.200, '2001:db8::200'")?;
    let said = standing.until_ready("192.0.2.200", true)?;
    check(said["interface"] == "eth0" && said["namespace"] == "default" && said["name"] == "web", said)?;
    standing.until_ready("2001:db8::200", true)?;
    let seen = standing.here.ip("-o addr show dev eth0")?;
    check(seen.contains("192.0.2.200/32") && seen.contains("2001:db8::200/128"), &seen)?;
    // Whatever becomes of the process, the kernel removes them.
    let line = seen.lines().find(|line| line.contains("192.0.2.200/32")).unwrap_or_default();
    check(!line.contains("valid_lft forever"), line)?;
    check(standing.stop()? == Some(0), "a stop is no failure")?;
    check(!standing.has("192.0.2.200")? && !standing.has("2001:db8::200")?, "an address stayed")?;
    standing.until_ready("192.0.2.200", false)?;
    check(standing.has("192.0.2.1")?, "the host's own address has gone")
}

fn follow() -> Outcome {
    let mut standing = started("192.0.2.200")?;
    standing.until_ready("192.0.2.200", true)?;
    standing.write("api", "192.0.2.201")?;
    standing.until_ready("192.0.2.201", true)?;
    standing.write("web", "192.0.2.202/24")?;
    standing.until_ready("192.0.2.202", true)?;
    check(!standing.has("192.0.2.200")?, "the former address stayed")?;
    standing.delete("web")?;
    standing.until_ready("192.0.2.202", false)?;
    check(!standing.has("192.0.2.202")? && standing.has("192.0.2.201")?, "not what is wanted")
}

fn nonsense() -> Outcome {
    let mut standing = started("192.0.2.200")?;
    standing.until_ready("192.0.2.200", true)?;
    standing.write("web", "192.0.2.256")?;
    let said = standing.until(|line| line["problem"].is_object())?;
    check(said["problem"]["line"] == 4, said)?;
    check(standing.has("192.0.2.200")?, "the address has gone")?;
    standing.write("web", "192.0.2.200")?;
    standing.until(|line| line["solved"]["line"] == 4).map(drop)
}

fn carrier() -> Outcome {
    let mut standing = started("192.0.2.200")?;
    standing.until_ready("192.0.2.200", true)?;
    standing.peer.ip("link set eth0 down")?;
    let said = standing.until_ready("192.0.2.200", false)?;
    check(said["message"].as_str().is_some_and(|message| message.contains("no carrier")), said)?;
    check(!standing.has("192.0.2.200")?, "the address stayed")?;
    standing.peer.ip("link set eth0 up")?;
    standing.until_ready("192.0.2.200", true).map(drop)
}

fn foreign() -> Outcome {
    let mut standing = Standing::new()?;
    standing.peer.ip("link set eth0 address 02:00:00:00:00:77")?;
    standing.peer.ip("addr add 192.0.2.200/24 dev eth0")?;
    standing.write("web", "192.0.2.200")?;
    standing.start()?;
    let said = standing.until_ready("192.0.2.200", false)?;
    check(said["message"].as_str().is_some_and(|message| message.contains("02:00:00:00:00:77")), said)?;
    check(!standing.has("192.0.2.200")?, "two owners")
}

fn defence() -> Outcome {
    let mut standing = started("192.0.2.200")?;
    standing.until_ready("192.0.2.200", true)?;
    standing.peer.ip("addr add 192.0.2.200/24 dev eth0")?;
    // With this its kernel claims its addresses when the hardware address changes.
    standing.peer.sysctl("net/ipv4/conf/eth0/arp_notify", "1")?;
    standing.peer.ip("link set eth0 address 02:00:00:00:00:78")?;
    let claimed = |line: &serde_json::Value| {
        line["message"].as_str().is_some_and(|message| message.contains("02:00:00:00:00:78 claims it too"))
    };
    let said = standing.until(claimed)?;
    check(said["ready"] == true, said)
}

fn second() -> Outcome {
    let mut standing = started("192.0.2.200")?;
    standing.until_ready("192.0.2.200", true)?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    fs::write(folder.path().join("none.yaml"), "").map_err(|error| error.to_string())?;
    let mut command = Command::new(PROGRAM);
    command.args(["run", "--manifests"]).arg(folder.path());
    let output = standing.here.run(command)?;
    let said = String::from_utf8_lossy(&output.stderr);
    check(output.status.code() == Some(1) && said.contains("another agent runs"), said)?;
    check(standing.has("192.0.2.200")?, "the address has gone")
}
