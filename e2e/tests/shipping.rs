//! What ships: the image, and what the kernel lets the agent do.

use crate::{
    lab::{Cluster, Node, addresses::management, image::target},
    runner::Outcome,
};
use std::{fs, os::unix::fs::MetadataExt};

super::tests![
    the_image_is_small_and_belongs_to_nobody_who_runs,
    an_agent_has_three_capabilities_and_cannot_write_its_files,
    an_agent_listens_on_loopback_and_for_its_peers_and_serves_its_figures,
    the_installed_definitions_are_the_files_in_crds,
];

/// What an image may have.
const LARGEST: u64 = 15_000_000;
/// `CAP_NET_ADMIN`, `CAP_NET_RAW` and `CAP_BPF`, as the kernel prints them.
const CAPABILITIES: &str = "0000008000003000";

fn the_image_is_small_and_belongs_to_nobody_who_runs(lab: &Cluster) -> Outcome {
    let archive = target().join(format!("e2e/images/virtualip.{}/image.tar", std::process::id()));
    let size = fs::metadata(&archive)?.len();
    assert!(size < LARGEST, "the image has {size} bytes; is it around a release binary?");
    for node in lab.nodes() {
        let program = fs::metadata(format!("/proc/{}/root/virtualip", node.agent()?.pid))?;
        assert_eq!((program.uid(), program.gid(), program.mode() & 0o777), (65532, 65532, 0o555));
    }
    Ok(())
}

fn an_agent_has_three_capabilities_and_cannot_write_its_files(lab: &Cluster) -> Outcome {
    for node in lab.nodes() {
        let pid = node.agent()?.pid;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let says = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.unwrap_or_default().trim()
        };
        for set in ["CapEff", "CapPrm", "CapBnd"] {
            assert_eq!(says(set), CAPABILITIES, "{set}");
        }
        // Seccomp 2 is a filter.
        assert_eq!((says("NoNewPrivs"), says("Seccomp")), ("1", "2"));
        let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo"))?;
        let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/"));
        let options = root.and_then(|line| line.split(' ').nth(5)).unwrap_or_default();
        assert!(options.split(',').any(|option| option == "ro"), "{root:?}");
    }
    Ok(())
}

fn an_agent_listens_on_loopback_and_for_its_peers_and_serves_its_figures(lab: &Cluster) -> Outcome {
    for (index, node) in lab.nodes().iter().enumerate() {
        let sockets = listening(node)?;
        assert_eq!(sockets, ["udp *:7473", "tcp 127.0.0.1:7472"]);
        let metrics = node.agent_get("/metrics")?;
        assert!(metrics.contains("# TYPE virtualip_") && metrics.trim_end().ends_with("# EOF"), "{metrics}");
        let from_outside = format!("{}:7472", management(index));
        assert!(lab.control_plane().host.http_get(&from_outside, "/metrics").is_err());
    }
    Ok(())
}

/// Protocols and addresses on which the agent of a node waits for somebody, as `ss` says.
fn listening(node: &Node) -> crate::lab::Result<Vec<String>> {
    let shown =
        node.exec(&["ss", "--no-header", "--listening", "--tcp", "--udp", "--numeric", "--processes"])?;
    let ours = shown.lines().filter(|line| line.contains("(\"virtualip\""));
    let socket = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        Some(format!("{} {}", words.first()?, words.get(4)?))
    };
    Ok(ours.filter_map(socket).collect())
}

fn the_installed_definitions_are_the_files_in_crds(lab: &Cluster) -> Outcome {
    let crds = crate::lab::image::root().join("crds");
    let output = lab.kubectl_output(&["diff", "-k", &crds.to_string_lossy()])?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}
