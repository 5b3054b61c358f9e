//! Namespaces of a process: made for a new one, or entered to start a program beside it.
//!
//! Namespaces belong to threads. Each call therefore does its work in a short-lived thread, and a program that
//! is started from there is born in the right place, as a direct child of ours.

use super::error::{Doing, Error, Result};
use nix::sched::{CloneFlags, setns, unshare};
use std::{
    fs::File,
    process::{Child, Command},
    thread,
};

/// Everything that makes a host of its own.
const HOST: CloneFlags = CloneFlags::CLONE_NEWNS
    .union(CloneFlags::CLONE_NEWNET)
    .union(CloneFlags::CLONE_NEWPID)
    .union(CloneFlags::CLONE_NEWUTS)
    .union(CloneFlags::CLONE_NEWIPC);

/// Starts `command` as pid 1 of new network, mount, pid, uts and ipc namespaces.
///
/// # Errors
/// When the kernel refuses the namespaces (root is needed) or the program cannot be started.
pub fn spawn_in_new(command: Command) -> Result<Child> {
    in_thread(move || {
        unshare(HOST).doing(|| "make the namespaces of a host (are we root?)".into())?;
        spawn(command)
    })
}

/// Starts `command` in all namespaces of the process `pid`.
///
/// # Errors
/// When the process is gone or the program cannot be started.
pub fn spawn_in(pid: u32, command: Command) -> Result<Child> {
    in_thread(move || {
        let kinds = ["net", "uts", "ipc", "pid", "mnt"].map(|kind| open(pid, kind));
        // A thread that shares its working directory with others may not change its mounts.
        unshare(CloneFlags::CLONE_FS).doing(|| "leave the shared working directory".into())?;
        for namespace in kinds {
            setns(namespace?, CloneFlags::empty()).doing(|| format!("enter a namespace of process {pid}"))?;
        }
        spawn(command)
    })
}

/// Does `work` in the network namespace of `pid`: sockets belong to the namespace that they were made in.
///
/// # Errors
/// When the process is gone, and the work's own.
pub fn in_network<T: Send + 'static>(
    pid: u32,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    in_thread(move || {
        setns(open(pid, "net")?, CloneFlags::CLONE_NEWNET)
            .doing(|| format!("enter the network namespace of process {pid}"))?;
        work()
    })
}

/// Starts `command` in the network namespace of `pid`, but with this machine's files and process ids.
///
/// # Errors
/// As [`spawn_in`].
pub fn spawn_in_network(pid: u32, command: Command) -> Result<Child> {
    in_network(pid, || spawn(command))
}

fn open(pid: u32, kind: &str) -> Result<File> {
    let path = format!("/proc/{pid}/ns/{kind}");
    File::open(&path).doing(|| format!("open {path}"))
}

fn spawn(mut command: Command) -> Result<Child> {
    command.spawn().doing(|| format!("start {}", command.get_program().display()))
}

fn in_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    thread::spawn(work).join().map_err(|_| Error::other("a thread of the lab panicked"))?
}
