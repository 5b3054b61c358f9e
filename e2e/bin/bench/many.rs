//! A thousand addresses on one node: how long until they are there.

use crate::figures::Figures;
use crate::lab::{Result, error::Doing};
use futures::StreamExt;
use nix::sched::{CloneFlags, unshare};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    process::Command,
    thread,
    time::{Duration, Instant},
};
use virtualip::network::{Kernel, KernelError, Monitor, Setup, Spot};

const ADDRESSES: u32 = 1000;

/// In a network namespace of its own, with a monitor that listens as an agent's does.
pub fn measure(figures: &mut Figures) -> Result<()> {
    for (name, first) in [
        ("thousand_addresses", IpAddr::from(Ipv4Addr::new(10, 0, 0, 1))),
        ("thousand_ipv6_addresses", IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))),
    ] {
        figures.note(&format!("{name}_added_ms"), thousand(first)?.as_secs_f64() * 1000.0);
    }
    Ok(())
}

/// How long it took to add them.
fn thousand(first: IpAddr) -> Result<Duration> {
    let measured = thread::spawn(move || -> Result<Duration> {
        unshare(CloneFlags::CLONE_NEWNET).doing(|| "make a network namespace".into())?;
        Command::new("ip")
            .args(["link", "add", "near", "type", "veth", "peer", "name", "far"])
            .status()
            .doing(|| "run ip".into())?;
        Command::new("ip").args(["link", "set", "near", "up"]).status().doing(|| "run ip".into())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.doing(|| "start a runtime".into())?.block_on(add(first))
    });
    measured.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

async fn add(first: IpAddr) -> Result<Duration> {
    let mut changes = asked(Monitor::open())?;
    let kernel = asked(Kernel::open())?;
    changes.deaf_to(&kernel);
    tokio::spawn(async move { while changes.next().await.is_some() {} });
    let link = asked(kernel.links().await)?.by_name("near").map_or(0, |link| link.index);
    let spots: Vec<Spot> =
        (0..ADDRESSES).map(|n| Spot { link, net: nth(first, n).into(), setup: Setup::permanent() }).collect();
    let start = Instant::now();
    asked(kernel.add_all(&spots, 60).await)?;
    Ok(start.elapsed())
}

fn nth(first: IpAddr, n: u32) -> IpAddr {
    match first {
        IpAddr::V4(first) => Ipv4Addr::from_bits(first.to_bits() + n).into(),
        IpAddr::V6(first) => Ipv6Addr::from_bits(first.to_bits() + u128::from(n)).into(),
    }
}

fn asked<T>(answer: std::result::Result<T, KernelError>) -> Result<T> {
    answer.map_err(io::Error::other).doing(|| "ask the kernel".into())
}
