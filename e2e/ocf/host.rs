//! A host: a network namespace, and the thread that lives in it. Both vanish together, also when the test fails.

use std::{
    io,
    process::{Child, Command, Output},
    sync::mpsc::{Sender, channel},
    thread::{self, JoinHandle},
};

use nix::{
    sched::{CloneFlags, unshare},
    unistd::{Pid, gettid},
};

type Job = Box<dyn FnOnce() + Send>;

/// One host.
pub struct Host {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    id: Pid,
}

impl Host {
    /// A host with nothing but a loopback interface that is up.
    pub fn new() -> Result<Self, String> {
        let (jobs, todo) = channel::<Job>();
        let (ready, id) = channel();
        let thread = thread::spawn(move || {
            let entered = unshare(CloneFlags::CLONE_NEWNET).map(|()| gettid());
            let _ = ready.send(entered);
            for job in todo {
                job();
            }
        });
        let id = id.recv().map_err(|error| error.to_string())?;
        let id =
            id.map_err(|error| format!("cannot make a network namespace ({error}): run this as root"))?;
        let host = Self { jobs: Some(jobs), thread: Some(thread), id };
        host.ip("link set lo up")?;
        Ok(host)
    }

    /// What `ip link add ... netns` takes.
    pub const fn id(&self) -> Pid {
        self.id
    }

    /// Runs a program there, to its end.
    pub fn run(&self, command: Command) -> Result<Output, String> {
        self.within(command, Command::output)
    }

    /// Starts a program there.
    #[allow(dead_code)] // Not every test has one that goes on.
    pub fn spawn(&self, command: Command) -> Result<Child, String> {
        self.within(command, Command::spawn)
    }

    fn within<T: Send + 'static>(
        &self,
        mut command: Command,
        work: impl FnOnce(&mut Command) -> io::Result<T> + Send + 'static,
    ) -> Result<T, String> {
        let program = command.get_program().display().to_string();
        let worked = self.within_it(move || work(&mut command))?;
        worked.map_err(|error| format!("cannot run {program} ({error}): is it installed?"))
    }

    /// Does something there, and waits for it.
    pub fn within_it<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, String> {
        let (done, result) = channel();
        let job = Box::new(move || drop(done.send(work())));
        self.jobs.as_ref().ok_or("the host has gone")?.send(job).map_err(|error| error.to_string())?;
        result.recv().map_err(|error| error.to_string())
    }

    /// The independent witness: `ip` of iproute2.
    pub fn ip(&self, arguments: &str) -> Result<String, String> {
        let mut command = Command::new("ip");
        command.args(arguments.split_whitespace());
        let output = self.run(command)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(format!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Sets a sysctl: a path below `/proc/sys`.
    pub fn sysctl(&self, name: &str, value: &str) -> Result<(), String> {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("echo {value} > /proc/sys/{name}")]);
        let status = self.run(command)?.status;
        if status.success() { Ok(()) } else { Err(format!("{name}: {status}")) }
    }

    /// An interface that was just set up drops what it is given.
    pub fn until_it_sends(&self, nic: &str) -> Result<(), String> {
        while !self.ip(&format!("link show {nic}"))?.contains("state UP") {
            thread::yield_now();
        }
        Ok(())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.jobs.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
