//! The control groups that the kubelets of the lab live under: one tree per lab, named after its process.

use super::error::{Doing, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

const MOUNT: &str = "/sys/fs/cgroup";

/// What `cpu.shares` may be.
const MIN_SHARES: usize = 2;
const MAX_SHARES: usize = 1 << 18;

/// Makes the group `name` (`lab/node`) in every hierarchy of the machine, ready for a kubelet to put its own under it.
///
/// # Errors
/// When a group cannot be made.
pub fn create(name: &Path) -> Result<()> {
    for hierarchy in hierarchies()? {
        let mut group = hierarchy.clone();
        for level in name {
            let parent = group.clone();
            delegate(&parent);
            group.push(level);
            fs::create_dir_all(&group).doing(|| format!("make the control group {}", group.display()))?;
            inherit_cpuset(&parent, &group)?;
        }
        delegate(&group);
        if let Some(lab) = name.parent() {
            weigh(&hierarchy.join(lab))?;
        }
    }
    Ok(())
}

/// Gives the group of a lab the processor that the pods of so many machines would get beside the programs of theirs: what a
/// kubelet gives to its pods, 1024 shares for each processor, times the nodes. Left as it is made, the pods of all nodes would
/// get together as much as any single program outside, and starve beside an API server that starts.
fn weigh(lab: &Path) -> Result<()> {
    let nodes = fs::read_dir(lab).doing(|| format!("read {}", lab.display()))?;
    let nodes = nodes.flatten().filter(|entry| entry.path().is_dir()).count();
    let processors = thread::available_parallelism().doing(|| "count processors".into())?.get();
    let shares = MAX_SHARES.min(1024 * nodes * processors);
    // As Kubernetes translates shares to version 2.
    let weight = 1 + (shares - MIN_SHARES) * 9999 / (MAX_SHARES - MIN_SHARES);
    for (file, value) in [("cpu.shares", shares), ("cpu.weight", weight)] {
        let file = lab.join(file);
        if file.exists() {
            fs::write(&file, value.to_string()).doing(|| format!("write {}", file.display()))?;
        }
    }
    Ok(())
}

/// Removes `name` with everything under it; false while something still lives there.
pub fn remove(name: &Path) -> bool {
    let Ok(hierarchies) = hierarchies() else { return true };
    // Every hierarchy is tried, also after a failure.
    hierarchies.iter().filter(|root| !remove_tree(&root.join(name))).count() == 0
}

/// Version 1 has a directory per controller, version 2 (unified) is one tree.
fn hierarchies() -> Result<Vec<PathBuf>> {
    let mount = PathBuf::from(MOUNT);
    if mount.join("cgroup.controllers").exists() {
        return Ok(vec![mount]);
    }
    let entries = fs::read_dir(&mount).doing(|| format!("read {MOUNT}"))?;
    let roots = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(roots.filter(|root| root.join("cgroup.procs").exists()).collect())
}

/// Version 2: gives a group's controllers to its children. Refused where a controller does not exist, which is no harm.
fn delegate(group: &Path) {
    for controller in ["+cpuset", "+cpu", "+io", "+memory", "+pids", "+hugetlb"] {
        let _ = fs::write(group.join("cgroup.subtree_control"), controller);
    }
}

/// Version 1: a new cpuset is empty, and nothing may run in it until it is filled.
fn inherit_cpuset(parent: &Path, group: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if parent.join(file).exists() && group.join("tasks").exists() {
            fs::copy(parent.join(file), group.join(file))
                .doing(|| format!("fill {file} of {}", group.display()))?;
        }
    }
    Ok(())
}

fn remove_tree(group: &Path) -> bool {
    let Ok(entries) = fs::read_dir(group) else { return true };
    for child in entries.filter_map(std::result::Result::ok).filter(|entry| entry.path().is_dir()) {
        remove_tree(&child.path());
    }
    fs::remove_dir(group).is_ok()
}
