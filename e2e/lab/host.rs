//! A host: namespaces of its own (network, mount, pid, uts, ipc) around a first process.

use super::{
    error::{Doing, Error, Result},
    http, init, namespaces,
    process::{self, Process},
    run,
    state::State,
};
use nix::sys::signal::Signal;
use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

/// A host, on or off.
#[derive(Debug)]
pub struct Host {
    name: String,
    dir: PathBuf,
    has_disk: bool,
    init: Mutex<Option<Child>>,
}

impl Host {
    /// A host that runs programs on this machine's files; off at first.
    ///
    /// # Errors
    /// When its directory cannot be made.
    pub fn new(state: &State, name: &str) -> Result<Self> {
        let dir = state.host(name);
        std::fs::create_dir_all(&dir).doing(|| format!("make {}", dir.display()))?;
        Ok(Self { name: name.to_owned(), dir, has_disk: false, init: Mutex::new(None) })
    }

    /// The same with `/var/lib` and `/var/log` of its own, which survive a power-off.
    ///
    /// # Errors
    /// As [`Host::new`].
    pub fn with_disk(state: &State, name: &str) -> Result<Self> {
        let mut host = Self::new(state, name)?;
        host.has_disk = true;
        Ok(host)
    }

    /// The host's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A file on the host's disk.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Boots the host, if it is off.
    ///
    /// # Errors
    /// When its namespaces cannot be made or set up.
    pub fn power_on(&self) -> Result<()> {
        let mut init = self.init();
        if init.is_some() {
            return Ok(());
        }
        let mut command = Command::new("/proc/self/exe");
        command.arg(init::WORD).arg(&self.name).args(self.has_disk.then_some(&self.dir));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = namespaces::spawn_in_new(command)?;
        let said = read_line(&mut child).doing(|| format!("hear from {}", self.name))?;
        let alive = init::heard(&self.name, &said).and_then(|()| {
            let init =
                Process::find(child.id()).ok_or_else(|| Error::other(format!("{} died", self.name)))?;
            process::record(init, &self.file("init"))
        });
        if alive.is_err() {
            end(child);
            return alive;
        }
        *init = Some(child);
        Ok(())
    }

    /// Ends every process of the host at once, and its network with them.
    pub fn power_off(&self) {
        if let Some(init) = self.init().take() {
            end(init);
        }
    }

    /// Whether the host runs.
    pub fn is_on(&self) -> bool {
        self.init().is_some()
    }

    /// The host's first process, as this machine counts.
    ///
    /// # Errors
    /// When the host is off.
    pub fn pid(&self) -> Result<u32> {
        self.init().as_ref().map(Child::id).ok_or_else(|| Error::other(format!("{} is off", self.name)))
    }

    /// Starts a program in the host.
    ///
    /// # Errors
    /// When the host is off or has no such program.
    pub fn spawn(&self, command: Command) -> Result<Child> {
        namespaces::spawn_in(self.pid()?, command)
    }

    /// Runs a program in the host, to its end, happy or not.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn output<S: AsRef<str>>(&self, words: &[S]) -> Result<Output> {
        let command = run::command(words);
        let spelled = run::spelled(&command);
        run::finish(self.spawn(run::piped(command))?, &spelled)
    }

    /// Runs a program in the host, to its happy end, and gives what it printed.
    ///
    /// # Errors
    /// When it cannot be started or ends unhappily.
    pub fn run<S: AsRef<str>>(&self, words: &[S]) -> Result<String> {
        let spelled = format!("{}: {}", self.name, run::spelled(&run::command(words)));
        run::happy(&spelled, &self.output(words)?)
    }

    /// Does `work` in the host's network.
    ///
    /// # Errors
    /// When the host is off, and the work's own.
    pub fn in_network<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        namespaces::in_network(self.pid()?, work)
    }

    /// Runs a program that sees this machine's files and processes, but the host's network.
    ///
    /// # Errors
    /// As [`Host::run`], but without a judgement of how it ended.
    pub fn output_in_network(&self, command: Command) -> Result<Output> {
        let spelled = run::spelled(&command);
        run::finish(namespaces::spawn_in_network(self.pid()?, run::piped(command))?, &spelled)
    }

    /// The same with `text` on its standard input.
    ///
    /// # Errors
    /// As [`Host::output_in_network`].
    pub fn feed_in_network(&self, command: Command, text: &str) -> Result<Output> {
        let spelled = run::spelled(&command);
        let mut command = run::piped(command);
        command.stdin(Stdio::piped());
        let mut child = namespaces::spawn_in_network(self.pid()?, command)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not read to the end has its reason, and says it.
            let _ = stdin.write_all(text.as_bytes());
        }
        run::finish(child, &spelled)
    }

    /// The body that a server in the host's network answers to `GET path`.
    ///
    /// # Errors
    /// When there is no such server, or its answer is not 200.
    pub fn http_get(&self, server: &str, path: &str) -> Result<String> {
        let (server, path) = (server.to_owned(), path.to_owned());
        namespaces::in_network(self.pid()?, move || http::get(&server, &path))
    }

    /// Does what `lines` say, each the arguments of one `ip`, in the host's network.
    ///
    /// # Errors
    /// When one of them is refused; those before it are done.
    pub fn ip<S: AsRef<str>>(&self, lines: &[S]) -> Result<()> {
        let text = lines.iter().fold(String::new(), |text, line| text + line.as_ref() + "\n");
        let output = self.feed_in_network(run::command(&["ip", "-batch", "-"]), &text)?;
        let spelled = format!("{}: ip {}", self.name, text.trim_end().replace('\n', "; "));
        run::happy(&spelled, &output).map(drop)
    }

    /// Lets the host live on when this process ends. This handle has nothing more to do with it.
    ///
    /// # Errors
    /// When its first process is gone.
    pub fn keep(&self) -> Result<()> {
        let lifeline = self.init().take().and_then(|init| init.stdin);
        lifeline
            .map_or(Ok(()), |mut pipe| pipe.write_all(&[init::KEEP]))
            .doing(|| format!("keep {}", self.name))
    }

    /// Sends a signal to every process of the host but its first.
    ///
    /// # Errors
    /// When the host is off.
    pub fn signal_all(&self, signal: Signal) -> Result<()> {
        // From inside, -1 is exactly that; the shell that sends it is spared by the kernel. That nobody is there is fine.
        let name = signal.as_str().trim_start_matches("SIG");
        self.run(&["sh", "-c", &format!("kill -s {name} -- -1 2>/dev/null; true")]).map(drop)
    }

    fn init(&self) -> MutexGuard<'_, Option<Child>> {
        self.init.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.power_off();
    }
}

/// The kernel keeps a first process until the last exit code of its host is taken, which may be up to our own caller:
/// this must not wait for it.
fn end(mut init: Child) {
    let _ = init.kill();
    thread::spawn(move || init.wait());
}

fn read_line(child: &mut Child) -> std::io::Result<String> {
    let mut line = String::new();
    child.stdout.take().map_or(Ok(0), |out| BufReader::new(out).read_line(&mut line)).map(|_| line)
}
