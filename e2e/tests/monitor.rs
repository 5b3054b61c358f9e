//! `ip monitor` on a node: every address that its kernel adds, changes and removes.

use crate::lab::{Node, Result, error::Doing, run::command};
use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdout, Stdio},
};

/// At work until [`Monitor::stop`].
#[derive(Debug)]
pub struct Monitor {
    child: Child,
    heard: String,
    out: BufReader<ChildStdout>,
}

impl Monitor {
    /// Listens on a node that has an address of ours: the agent renews its lifetime again and again, and the first such
    /// renewal that is heard proves that nothing from then on is missed.
    pub fn listen(node: &Node) -> Result<Self> {
        // Line by line also into a pipe.
        let mut monitor = command(&["stdbuf", "-oL", "ip", "-o", "monitor", "address"]);
        monitor.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = node.spawn(monitor)?;
        let out = child.stdout.take().ok_or(nix::errno::Errno::EPIPE).doing(|| "hear `ip monitor`".into())?;
        let mut monitor = Self { child, heard: String::new(), out: BufReader::new(out) };
        monitor.out.read_line(&mut monitor.heard).doing(|| "hear `ip monitor`".into())?;
        Ok(monitor)
    }

    /// The lines on removed addresses.
    pub fn stop(mut self) -> Result<Vec<String>> {
        self.child.kill().doing(|| "end `ip monitor`".into())?;
        self.out.read_to_string(&mut self.heard).doing(|| "hear `ip monitor`".into())?;
        let removed = self.heard.lines().filter(|line| line.contains("Deleted"));
        Ok(removed.map(str::to_owned).collect())
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
