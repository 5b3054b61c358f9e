//! Real-time priority and locked memory: asked of the kernel itself, since musl offers the first only as a stub, and not
//! all of the second.
#![allow(unsafe_code)]

use std::io;

use nix::libc;

/// The lowest real-time priorities: before every ordinary thread, behind everything that somebody made urgent on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Priority {
    /// For what touches the kernel: a thousand addresses take their time, and no right must wait for them.
    Hand = 1,
    /// For what keeps the right.
    Rights = 2,
}

/// `MCL_ONFAULT` (since Linux 4.4): what is never touched takes no memory.
const ON_FAULT: libc::c_int = 4;

/// From now on this thread runs before all that are not real-time, in turns with those of its priority. Threads and programs
/// that it starts are ordinary ones.
///
/// # Errors
/// Without `CAP_SYS_NICE` or a limit that allows it, and in a control group that allows none.
pub fn prefer_this_thread(priority: Priority) -> io::Result<()> {
    let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
    let priority = priority as libc::c_int;
    // SAFETY: the kernel's `struct sched_param` is one int, read during the call; 0 is this thread.
    let answer = unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const priority) };
    told(answer)
}

/// Keeps all memory of this process in RAM, also what it will have, from the first use on.
///
/// # Errors
/// Without `CAP_IPC_LOCK` or a limit that allows it.
pub fn lock_memory() -> io::Result<()> {
    let flags = libc::MCL_CURRENT | libc::MCL_FUTURE | ON_FAULT;
    // SAFETY: takes flags only, and changes nothing that a program could see.
    told(unsafe { libc::syscall(libc::SYS_mlockall, flags) })
}

fn told(answer: libc::c_long) -> io::Result<()> {
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preferred_thread_is_a_real_time_one_or_says_why_not() {
        std::thread::spawn(|| match prefer_this_thread(Priority::Rights) {
            Ok(()) => {
                let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
                let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
                // Fields 40 and 41 of proc(5), the first after the name being the third: priority and SCHED_RR.
                assert_eq!((fields[37], fields[38]), ("2", "2"));
            }
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
        })
        .join()
        .unwrap();
    }
}
