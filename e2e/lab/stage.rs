//! `VirtualIP`s whose addresses the client asks for while something happens, and the verdict at the end: each one
//! on exactly one node, and never on two.

use super::{
    cluster::Cluster,
    error::{Error, Result},
    judge::{PACE, Verdict, Watch},
    run::until,
};
use std::{net::IpAddr, thread, time::Duration};

/// How long anything may take before it counts as not happening. What is promised is far less; a test that fails
/// shall say so, not hang.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How long the client asks on when all has come to rest: a second answer might come late.
const AFTERWARDS: Duration = Duration::from_millis(300);

/// A `VirtualIP` of a test.
#[derive(Clone, Debug)]
pub struct Vip {
    /// Its name; the namespace is `default`.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

impl Vip {
    /// One address of each family that end in `digits`, which is at least 200: nothing of the lab's own.
    pub fn dual(name: &str, digits: u8) -> Self {
        let v6 = format!("2001:db8::{digits}").parse().unwrap_or(std::net::Ipv6Addr::UNSPECIFIED);
        Self { name: name.to_owned(), addresses: vec![[192, 168, 200, digits].into(), v6.into()] }
    }

    /// Its manifest.
    pub fn manifest(&self) -> String {
        let (name, addresses) = (&self.name, &self.addresses);
        let addresses: Vec<_> =
            addresses.iter().map(|address| format!("{:?}", address.to_string())).collect();
        format!(
            "apiVersion: virtualip.dev/v1alpha1\nkind: VirtualIP\nmetadata: {{name: {name}}}\nspec: {{addresses: [{}]}}\n---\n",
            addresses.join(", ")
        )
    }

    /// As kubectl names it.
    pub fn object(&self) -> String {
        format!("virtualip/{}", self.name)
    }
}

/// `VirtualIP`s at rest, and the client that asks for their addresses.
#[derive(Debug)]
pub struct Stage<'a> {
    lab: &'a Cluster,
    vips: Vec<Vip>,
    watch: Watch,
    /// Who had the first one in the beginning.
    pub owner: String,
}

/// How it ended.
#[derive(Clone, Debug)]
pub struct Ending {
    /// Who has each `VirtualIP`, in the order in which they were given.
    pub owners: Vec<String>,
    /// What the client saw.
    pub verdict: Verdict,
}

impl<'a> Stage<'a> {
    /// One `VirtualIP` with an address of each family.
    ///
    /// # Errors
    /// As [`Stage::set`].
    pub fn dual(lab: &'a Cluster) -> Result<Self> {
        Self::set(lab, vec![Vip::dual("web", 200)])
    }

    /// Applies `VirtualIP`s, waits until each has its node, and begins to watch.
    ///
    /// # Errors
    /// When one gets no node.
    pub fn set(lab: &'a Cluster, vips: Vec<Vip>) -> Result<Self> {
        Self::set_at(lab, vips, PACE)
    }

    /// The same, where the client asks for each address at this pace.
    ///
    /// # Errors
    /// As [`Stage::set`].
    pub fn set_at(lab: &'a Cluster, vips: Vec<Vip>, pace: Duration) -> Result<Self> {
        lab.apply(&vips.iter().map(Vip::manifest).collect::<String>())?;
        let owners = vips.iter().map(|vip| settled(lab, vip)).collect::<Result<Vec<_>>>()?;
        let addresses: Vec<_> = vips.iter().flat_map(|vip| &vip.addresses).map(IpAddr::to_string).collect();
        let watch = lab.watch_at(&addresses, pace)?;
        let owner = owners.into_iter().next().ok_or_else(|| Error::other("a stage needs a VirtualIP"))?;
        Ok(Self { lab, vips, watch, owner })
    }

    /// The cluster.
    pub fn lab(&self) -> &'a Cluster {
        self.lab
    }

    /// Waits until the first `VirtualIP` is on another node than in the beginning, and says on which.
    ///
    /// # Errors
    /// When it stays.
    pub fn moved(&self) -> Result<String> {
        self.moved_from(&self.owner)
    }

    /// Waits until the first `VirtualIP` is on another node than `old`, and says on which.
    ///
    /// # Errors
    /// When it stays.
    pub fn moved_from(&self, old: &str) -> Result<String> {
        let vip = self.first()?;
        until(&format!("another node than {old} has {}", vip.name), PATIENCE, || {
            let having = self.lab.nodes_with(&vip.addresses)?;
            Ok(having.into_iter().find(|node| node != old))
        })?;
        let now = settled(self.lab, vip)?;
        if now == old { Err(Error::other(format!("{} went back to {old}", vip.name))) } else { Ok(now) }
    }

    /// Waits until the first `VirtualIP` is at rest, wherever that is, and says on which node.
    ///
    /// # Errors
    /// When it does not come to rest.
    pub fn settled(&self) -> Result<String> {
        settled(self.lab, self.first()?)
    }

    /// Waits until no node has an address of the first `VirtualIP`.
    ///
    /// # Errors
    /// When one keeps it.
    pub fn silent(&self) -> Result<()> {
        let vip = self.first()?;
        until(&format!("no node has {}", vip.name), PATIENCE, || {
            Ok(self.lab.nodes_with(&vip.addresses)?.is_empty().then_some(()))
        })
    }

    /// Waits until each `VirtualIP` is on exactly one node, watches a little longer, and judges.
    ///
    /// # Errors
    /// When two hosts ever answered, or when the one that answered last is not the one that the object names.
    pub fn end(self) -> Result<Ending> {
        let owners = self.vips.iter().map(|vip| settled(self.lab, vip)).collect::<Result<Vec<_>>>()?;
        thread::sleep(AFTERWARDS);
        let verdict = self.watch.stop()?;
        if verdict.ever_two() {
            return Err(Error::other(format!(
                "TWO HOSTS ANSWERED, for {:?}: {:?}",
                verdict.two_owner_time(),
                verdict.report
            )));
        }
        for (vip, owner) in self.vips.iter().zip(&owners) {
            for address in &vip.addresses {
                answered_by(&verdict, *address, owner)?;
                shown_by(self.lab, *address, owner)?;
            }
        }
        self.lab.seen().silence(verdict.longest_silence());
        eprintln!("    {}: longest silence {:.1} ms", owners.join(", "), millis(verdict.longest_silence()));
        Ok(Ending { owners, verdict })
    }

    /// Ends the watch without any judgement.
    ///
    /// # Errors
    /// When the observer failed.
    pub fn stop(self) -> Result<Verdict> {
        self.watch.stop()
    }

    fn first(&self) -> Result<&Vip> {
        self.vips.first().ok_or_else(|| Error::other("a stage needs a VirtualIP"))
    }
}

impl Ending {
    /// Who has the first `VirtualIP`.
    pub fn owner(&self) -> &str {
        self.owners.first().map_or("", String::as_str)
    }
}

/// Waits until one node alone has addresses of these, and says which. Whose they are is not asked.
///
/// # Errors
/// When none or several keep them.
pub fn alone(lab: &Cluster, addresses: &[IpAddr]) -> Result<String> {
    until("one node has the addresses", PATIENCE, || {
        let mut with = lab.nodes_with(addresses)?;
        Ok(with.pop().filter(|_| with.is_empty()))
    })
}

/// Waits until exactly one node has all addresses, and the object names it and is Ready; says which node.
///
/// # Errors
/// When it does not come to that.
pub fn settled(lab: &Cluster, vip: &Vip) -> Result<String> {
    let all_on_one = || -> Result<Option<String>> {
        let mut with = lab.nodes_with(&vip.addresses)?;
        let Some(name) = with.pop().filter(|_| with.is_empty()) else { return Ok(None) };
        let there = lab.node(&name)?.addresses()?;
        Ok(vip.addresses.iter().all(|address| there.contains(address)).then_some(name))
    };
    until(&format!("{} is Ready, on exactly one node", vip.name), PATIENCE, || {
        let Some(node) = all_on_one()? else { return Ok(None) };
        let object = vip.object();
        let named = format!("--for=jsonpath={{.status.node}}={node}");
        lab.kubectl(&["wait", &object, &named, "--timeout=2s"])?;
        lab.kubectl(&["wait", &object, "--for=condition=Ready", "--timeout=2s"])?;
        Ok((all_on_one()? == Some(node.clone())).then_some(node))
    })
}

/// The client's last word.
fn answered_by(verdict: &Verdict, address: IpAddr, owner: &str) -> Result<()> {
    let address = address.to_string();
    let seen = verdict.of(&address)?;
    let last = verdict.owners(&address)?.pop().unwrap_or_default();
    let is_silent = seen
        .silences
        .last()
        .is_some_and(|silence| silence.start_us + silence.length_us >= verdict.report.end_us);
    if last == owner && !is_silent {
        return Ok(());
    }
    let end = if is_silent { "nobody" } else { &last };
    Err(Error::other(format!("{end} answers for {address} in the end, which the object says is on {owner}")))
}

/// The word of `ip`.
fn shown_by(lab: &Cluster, address: IpAddr, owner: &str) -> Result<()> {
    for node in lab.nodes() {
        if node.shows(address)? != (node.name() == owner) {
            return Err(Error::other(format!(
                "`ip` on {} contradicts that {address} is on {owner} alone",
                node.name()
            )));
        }
    }
    Ok(())
}

/// For people.
pub fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}
