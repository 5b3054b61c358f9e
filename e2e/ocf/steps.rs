//! What the steps of a case mean.

use std::{collections::BTreeMap, process::Command};

use serde_json::Value;
use virtualip::network::Kernel;

use super::{PROGRAM, host::Host};

const DTD: &str = "/usr/share/resource-agents/ra-api-1.dtd";

/// A case under way.
pub struct Run {
    here: Host,
    peer: Host,
    set: BTreeMap<String, String>,
}

impl Run {
    /// On these hosts, with these parameters.
    pub const fn new(here: Host, peer: Host, set: BTreeMap<String, String>) -> Self {
        Self { here, peer, set }
    }

    /// Does one step: see `cases.yaml`.
    pub fn step(&mut self, step: &str) -> Result<(), String> {
        let words: Vec<&str> = step.split_whitespace().collect();
        match words.as_slice() {
            ["ip", ..] => self.here.ip(&step[2..]).map(drop),
            ["peer", ..] => self.peer.ip(&step[4..]).map(drop),
            ["set", name, value] => {
                self.set.insert((*name).to_owned(), (*value).to_owned());
                Ok(())
            }
            ["there", nic, address, label @ ..] => self.there(nic, address, label.first().copied()),
            ["gone", address] => self.gone(address),
            ["up", nic] => self.here.until_it_sends(nic),
            ["down", nic] => self.down(nic),
            ["listed", text] => self.listed(text, true),
            ["unlisted", text] => self.listed(text, false),
            ["sysctl", name, value] => self.here.sysctl(name, value),
            ["agents", address, nic] => self.agents(address, nic),
            ["peer-knows", address] => self.peer_knows(address),
            [action, codes] => self.act(action, codes),
            _ => Err("there is no such step".to_owned()),
        }
    }

    fn act(&self, action: &str, codes: &str) -> Result<(), String> {
        let mut command = Command::new(PROGRAM);
        command.args(["ocf", action]).env_clear();
        command.envs(self.set.iter().map(|(name, value)| (format!("OCF_RESKEY_{name}"), value)));
        let output = self.here.run(command)?;
        let code = output.status.code().map_or_else(|| output.status.to_string(), |code| code.to_string());
        let said = String::from_utf8_lossy(&output.stderr);
        if !codes.split('|').any(|expected| expected == code) {
            return Err(format!("exit code {code}: {said}"));
        }
        // Whoever reads the cluster's status wants to know why.
        let silent = matches!(code.as_str(), "0" | "3" | "7");
        if silent || said.starts_with("ocf-exit-reason:") {
            Ok(())
        } else {
            Err(format!("no reason in: {said}"))
        }
    }

    fn there(&self, nic: &str, address: &str, label: Option<&str>) -> Result<(), String> {
        let said = self.here.ip(&format!("-j addr show dev {nic}"))?;
        let links: Value = serde_json::from_str(&said).map_err(|error| error.to_string())?;
        let addresses = links[0]["addr_info"].as_array().cloned().unwrap_or_default();
        let found = addresses.iter().any(|info| {
            let local = info["local"].as_str().unwrap_or_default();
            format!("{local}/{}", info["prefixlen"]) == address
                && label.is_none_or(|label| info["label"].as_str() == Some(label))
                && info.get("tentative").is_none()
        });
        if found { Ok(()) } else { Err(format!("not among {said}")) }
    }

    fn gone(&self, address: &str) -> Result<(), String> {
        let said = self.here.ip("-o addr show")?;
        if said.contains(&format!(" {address}/")) { Err(format!("still there: {said}")) } else { Ok(()) }
    }

    fn down(&self, nic: &str) -> Result<(), String> {
        let said = self.here.ip(&format!("link show {nic}"))?;
        if said.contains(",UP") || said.contains("<UP") { Err(said) } else { Ok(()) }
    }

    /// `ifconfig` knows addresses by their labels only.
    fn listed(&self, text: &str, listed: bool) -> Result<(), String> {
        let said = self.here.run(Command::new("ifconfig"))?.stdout;
        let said = String::from_utf8_lossy(&said);
        let found = said.contains(&format!("{text}: ")) || said.contains(&format!(" {text} "));
        if found == listed { Ok(()) } else { Err(format!("ifconfig prints {said}")) }
    }

    /// By the project's own hand, so that it is what the real one would be.
    fn agents(&self, address: &str, nic: &str) -> Result<(), String> {
        let address: ipnet::IpNet = address.parse().map_err(|_| "not an address with a prefix length")?;
        let nic = nic.to_owned();
        self.here.within_it(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(|error| error.to_string())?.block_on(async {
                let kernel = Kernel::open().map_err(|error| error.to_string())?;
                let links = kernel.links().await.map_err(|error| error.to_string())?;
                let link = links.by_name(&nic).ok_or("no such interface")?.index;
                kernel.add(link, address, 60).await.map(drop).map_err(|error| error.to_string())
            })
        })?
    }

    /// An announcement is taken note of soon after it has come.
    fn peer_knows(&self, address: &str) -> Result<(), String> {
        let said = self.here.ip("-j link show dev eth0")?;
        let links: Value = serde_json::from_str(&said).map_err(|error| error.to_string())?;
        let mac = links[0]["address"].as_str().ok_or("eth0 has no hardware address")?;
        while !self.peer.ip(&format!("neigh show {address} dev eth0"))?.contains(mac) {
            std::thread::yield_now();
        }
        Ok(())
    }
}

/// The description is what Pacemaker's tools accept: it follows the definition that the resource agents ship, where
/// that is installed (package resource-agents), and is well-formed in any case.
pub fn metadata() -> Result<(), String> {
    let printed =
        Command::new(PROGRAM).args(["ocf", "meta-data"]).output().map_err(|error| error.to_string())?;
    let file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    std::fs::write(file.path(), &printed.stdout).map_err(|error| error.to_string())?;
    let mut command = Command::new("xmllint");
    command.args(["--noout", "--nonet"]);
    if std::path::Path::new(DTD).exists() {
        command.args(["--dtdvalid", DTD]);
    }
    let output = command.arg(file.path()).output();
    let output = output.map_err(|error| format!("cannot run xmllint ({error}): install libxml2-utils"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}
