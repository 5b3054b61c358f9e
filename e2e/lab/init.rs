//! The first process of a host: sets up its mounts, says "ready", then reaps orphans until its lifeline ends.
//!
//! The lifeline is its standard input. When the process that booted the host dies, in whatever way, the pipe ends,
//! this process ends with it, and the kernel ends everything in the host.

use super::error::{Doing, Error, Result, chain};
use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
    sys::{
        signal::{SigSet, Signal},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
};
use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
    process, thread,
};

/// The word on the command line that makes this program the first process of a host.
pub const WORD: &str = "__host-init";
/// Written into the lifeline of a host that shall survive it.
pub const KEEP: u8 = b'k';
/// What the first process says when its host may be used.
pub const READY: &str = "ready";

/// Sysctls of the whole machine that a kubelet insists on writing: it is shown files with the values it wants.
const SHOWN_SYSCTLS: [(&str, &str); 3] =
    [("vm/overcommit_memory", "1"), ("kernel/panic", "10"), ("kernel/panic_on_oops", "1")];

/// Runs as pid 1 of the host `name`; `disk` is the directory of a node's disk, if it is one.
pub fn main(name: &str, disk: Option<&Path>) -> ! {
    match set_up(name, disk) {
        Ok(()) => println!("{READY}"),
        Err(error) => {
            println!("{}", chain(&error));
            process::exit(1);
        }
    }
    reap()
}

fn set_up(name: &str, disk: Option<&Path>) -> Result<()> {
    // Blocked signals are kept also for pid 1; see `reap`.
    child_ended().thread_block().doing(|| "block SIGCHLD".into())?;
    thread::spawn(end_with_lifeline);
    nix::unistd::sethostname(name).doing(|| "set the host's name".into())?;
    change("/", MsFlags::MS_REC | MsFlags::MS_PRIVATE)?;
    attach(Some("proc"), "/proc", Some("proc"), MsFlags::empty())?;
    if let Some(disk) = disk {
        node_mounts(disk)?;
    }
    let up = process::Command::new("ip").args(["link", "set", "lo", "up"]).status();
    up.doing(|| "bring lo up".into()).map(drop)
}

fn node_mounts(disk: &Path) -> Result<()> {
    for place in ["/var/lib", "/var/log"] {
        let own = disk.join(place.trim_start_matches('/').replace('/', "-"));
        fs::create_dir_all(&own).doing(|| format!("make {}", own.display()))?;
        attach(Some(&own.to_string_lossy()), place, None, MsFlags::MS_BIND)?;
    }
    attach(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty())?;
    make_dir("/run/cgroup")?;
    // A fresh sysfs shows this host's interfaces, but hides the mounts under the old one: these are carried over.
    attach(Some("/sys/fs/cgroup"), "/run/cgroup", None, MsFlags::MS_BIND | MsFlags::MS_REC)?;
    attach(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty())?;
    attach(Some("/run/cgroup"), "/sys/fs/cgroup", None, MsFlags::MS_MOVE)?;
    // As systemd mounts it; one for each node, since what is in it speaks of interfaces.
    attach(Some("bpf"), "/sys/fs/bpf", Some("bpf"), MsFlags::empty())?;
    show_sysctls()?;
    let forward = "/proc/sys/net/ipv4/ip_forward";
    fs::write(forward, "1").doing(|| format!("write {forward}"))?;
    // As on a machine booted by systemd. Only now: a mount must not be moved inside a shared one.
    change("/", MsFlags::MS_REC | MsFlags::MS_SHARED)
}

fn show_sysctls() -> Result<()> {
    for (name, value) in SHOWN_SYSCTLS {
        let file = format!("/run/{}", name.replace('/', "."));
        fs::write(&file, value).doing(|| format!("write {file}"))?;
        attach(Some(&file), &format!("/proc/sys/{name}"), None, MsFlags::MS_BIND)?;
    }
    Ok(())
}

fn make_dir(path: &str) -> Result<()> {
    fs::create_dir_all(path).doing(|| format!("make {path}"))
}

fn change(target: &str, flags: MsFlags) -> Result<()> {
    attach(None, target, None, flags)
}

fn attach(source: Option<&str>, target: &str, kind: Option<&str>, flags: MsFlags) -> Result<()> {
    mount(source, target, kind, flags, None::<&str>)
        .doing(|| format!("mount {} on {target}", source.unwrap_or("nothing new")))
}

fn end_with_lifeline() {
    let mut byte = [0];
    // An error is an end as well.
    let kept = matches!(io::stdin().read(&mut byte), Ok(1) if byte[0] == KEEP);
    if !kept {
        process::exit(0);
    }
}

/// Orphans of the whole host become children of its pid 1, which must take their exit codes.
fn reap() -> ! {
    let _ = io::stdout().flush();
    loop {
        let _ = child_ended().wait();
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            if status == WaitStatus::StillAlive {
                break;
            }
        }
    }
}

fn child_ended() -> SigSet {
    SigSet::from(Signal::SIGCHLD)
}

/// What became of a host whose first process said `line`.
///
/// # Errors
/// Its own complaint.
pub fn heard(name: &str, line: &str) -> Result<()> {
    match line.trim() {
        READY => Ok(()),
        "" => Err(Errno::EPIPE).doing(|| format!("boot {name}: its first process died")),
        complaint => Err(Error::other(format!("could not boot {name}: {complaint}"))),
    }
}
