//! A host that `virtualip run` keeps, and another one on the same wire.

use std::{
    fs,
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

use super::{Outcome, PROGRAM, host::Host};

/// Both hosts, the program, and its manifests. The program ends with it.
pub struct Standing {
    pub here: Host,
    pub peer: Host,
    folder: TempDir,
    child: Option<Child>,
    lines: Option<Lines<BufReader<ChildStdout>>>,
}

impl Standing {
    /// Two hosts, nothing running: eth0 here has 192.0.2.1/24 and `2001:db8::1/64`, and there 192.0.2.9/24.
    pub fn new() -> Result<Self, String> {
        let (here, peer) = (Host::new()?, Host::new()?);
        here.ip(&format!("link add eth0 type veth peer name eth0 netns {}", peer.id()))?;
        peer.ip("link set eth0 up")?;
        here.ip("link set eth0 up")?;
        here.until_it_sends("eth0")?;
        here.ip("addr add 192.0.2.1/24 dev eth0")?;
        here.ip("addr add 2001:db8::1/64 dev eth0 nodad")?;
        peer.ip("addr add 192.0.2.9/24 dev eth0")?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        Ok(Self { here, peer, folder, child: None, lines: None })
    }

    /// Writes the manifest of a `VirtualIP` with these addresses.
    pub fn write(&self, name: &str, addresses: &str) -> Outcome {
        self.write_spec(name, &format!("addresses: [{addresses}]"))
    }

    /// Writes the manifest of a `VirtualIP`, as editors do: another file takes the place of the former.
    pub fn write_spec(&self, name: &str, spec: &str) -> Outcome {
        let text = format!(
            "apiVersion: virtualip.dev/v1alpha1\nkind: VirtualIP\nmetadata: {{name: {name}}}\n\
             spec: {{{spec}}}\n"
        );
        let file = |ending: &str| self.folder.path().join(format!("{name}.{ending}"));
        fs::write(file("new"), text).map_err(|error| error.to_string())?;
        fs::rename(file("new"), file("yaml")).map_err(|error| error.to_string())
    }

    /// Deletes a manifest.
    pub fn delete(&self, name: &str) -> Outcome {
        fs::remove_file(self.folder.path().join(format!("{name}.yaml"))).map_err(|error| error.to_string())
    }

    /// Starts the program.
    pub fn start(&mut self) -> Outcome {
        let mut command = Command::new(PROGRAM);
        command.args(["run", "-o", "json", "--manifests"]).arg(self.folder.path()).stdout(Stdio::piped());
        let mut child = self.here.spawn(command)?;
        self.lines = child.stdout.take().map(|out| BufReader::new(out).lines());
        self.child = Some(child);
        Ok(())
    }

    /// Reads on until a line is as wanted, and gives it.
    pub fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Result<Value, String> {
        for line in self.lines.as_mut().ok_or("it does not run")? {
            let line = line.map_err(|error| error.to_string())?;
            let line: Value = serde_json::from_str(&line).map_err(|error| format!("{error}: {line}"))?;
            if wanted(&line) {
                return Ok(line);
            }
        }
        Err("it ended".to_owned())
    }

    /// Waits until it says that the address is up, or is not.
    pub fn until_ready(&mut self, address: &str, ready: bool) -> Result<Value, String> {
        self.until(|line| line["address"] == address && line["ready"] == ready)
    }

    /// Waits until `ip` sees the address, or sees it no more.
    pub fn until_there(&self, address: &str, there: bool) -> Outcome {
        while self.has(address)? != there {
            thread::yield_now();
        }
        Ok(())
    }

    /// Whether `ip` sees the address.
    pub fn has(&self, address: &str) -> Result<bool, String> {
        Ok(self.here.ip("-o addr show")?.contains(&format!(" {address}/")))
    }

    /// Kills the program, which then cannot clean up.
    pub fn kill(&mut self) -> Outcome {
        let mut child = self.child.take().ok_or("it does not run")?;
        child.kill().and_then(|()| child.wait()).map(drop).map_err(|error| error.to_string())
    }

    /// Tells the program to stop, and gives its exit code.
    pub fn stop(&mut self) -> Result<Option<i32>, String> {
        let mut child = self.child.take().ok_or("it does not run")?;
        let id = Pid::from_raw(i32::try_from(child.id()).map_err(|error| error.to_string())?);
        kill(id, Signal::SIGTERM).map_err(|error| error.to_string())?;
        Ok(child.wait().map_err(|error| error.to_string())?.code())
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
