//! The lab itself: what a fault does, seen from the client and from kubectl, and that it is undone.

use crate::{
    lab::{self, Cluster, InterfacePlan, addresses::API, programs::Programs, run::until},
    runner::Outcome,
};
use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

super::tests![
    the_client_reaches_every_node_in_both_families,
    a_folder_with_ready_programs_is_honoured_and_the_cache_has_the_rest,
    a_node_powered_off_is_silent_at_once_and_comes_back,
    a_node_cut_off_keeps_its_carrier,
    the_api_server_hears_nothing_of_a_node_that_is_cut_off,
    a_node_loses_its_carrier,
    a_node_whose_programs_are_killed_keeps_its_addresses,
    an_interface_of_any_name_is_plugged_and_unplugged,
    the_api_server_is_killed_stopped_and_repaired,
];

const SOON: Duration = Duration::from_secs(5);

fn the_client_reaches_every_node_in_both_families(lab: &Cluster) -> Outcome {
    for node in lab.nodes() {
        let digits = node.name().trim_start_matches('n');
        for address in [format!("192.168.200.1{digits}"), format!("2001:db8::1{digits}")] {
            lab.client_exec(&["ping", "-c1", "-W1", &address])?;
        }
    }
    Ok(())
}

fn a_folder_with_ready_programs_is_honoured_and_the_cache_has_the_rest(lab: &Cluster) -> Outcome {
    let folder = lab.dir().join("assets");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("kubectl"), "")?;
    let theirs = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let programs = Programs::ready_with([folder.clone()].into_iter().chain(theirs).collect())?;
    assert_eq!(Path::new(&programs.path("kubectl")), folder.join("kubectl"));
    let etcd = programs.path("etcd");
    assert!(Path::new(&etcd).is_file() && !etcd.starts_with(&*folder.to_string_lossy()), "{etcd}");
    Ok(())
}

fn a_node_powered_off_is_silent_at_once_and_comes_back(lab: &Cluster) -> Outcome {
    let node = lab.node("n2")?;
    node.power_off()?;
    assert!(!answers(lab, "192.168.200.12"));
    assert!(node.exec(&["true"]).is_err());
    node.power_on()?;
    assert!(answers(lab, "192.168.200.12"));
    Ok(())
}

fn a_node_cut_off_keeps_its_carrier(lab: &Cluster) -> Outcome {
    let node = lab.node("n2")?;
    node.cut_off()?;
    assert!(!answers(lab, "192.168.200.12") && lab_carrier(lab, "n2")? == "1");
    assert!(node.exec(&["ping", "-c1", "-W1", API]).is_err());
    node.heal()?;
    assert!(answers(lab, "192.168.200.12"));
    Ok(node.exec(&["ping", "-c1", "-W1", API]).map(drop)?)
}

/// An answer that is lost is another fault: a write takes effect all the same.
fn the_api_server_hears_nothing_of_a_node_that_is_cut_off(lab: &Cluster) -> Outcome {
    for node in lab.nodes() {
        // Then it knows the hardware address.
        node.exec(&["ping", "-c1", "-W1", API])?;
        let before = echo_requests(lab)?;
        node.cut_off()?;
        assert!(node.exec(&["ping", "-c3", "-i0.2", "-W1", API]).is_err());
        assert_eq!(echo_requests(lab)?, before, "from {}", node.name());
        node.heal()?;
        node.exec(&["ping", "-c1", "-W1", API])?;
        assert_ne!(echo_requests(lab)?, before, "they are counted");
    }
    Ok(())
}

/// What the API server's host has counted of those that it heard.
fn echo_requests(lab: &Cluster) -> lab::Result<String> {
    lab.control_plane().host.run(&["nstat", "-asz", "IcmpInEchos"])
}

fn a_node_loses_its_carrier(lab: &Cluster) -> Outcome {
    let node = lab.node("n2")?;
    node.data_down()?;
    assert_eq!(lab_carrier(lab, "n2")?, "0");
    node.data_up()?;
    assert_eq!(lab_carrier(lab, "n2")?, "1");
    Ok(())
}

fn a_node_whose_programs_are_killed_keeps_its_addresses(lab: &Cluster) -> Outcome {
    let node = lab.node("n2")?;
    node.kill_programs()?;
    assert!(node.agent().is_err());
    assert!(answers(lab, "192.168.200.12"));
    Ok(node.start_programs()?)
}

fn an_interface_of_any_name_is_plugged_and_unplugged(lab: &Cluster) -> Outcome {
    let node = lab.node("n2")?;
    node.plug(&InterfacePlan::new("lan0", &["192.168.201.0/24"]))?;
    assert!(node.exec(&["ip", "address", "show", "dev", "lan0"])?.contains("192.168.201.12/24"));
    node.unplug("lan0")?;
    assert!(node.exec(&["ip", "address", "show", "dev", "lan0"]).is_err());
    Ok(())
}

fn the_api_server_is_killed_stopped_and_repaired(lab: &Cluster) -> Outcome {
    let plane = lab.control_plane();
    let answers = || lab.kubectl(&["get", "nodes", "--request-timeout=1s"]).is_ok();
    plane.kill_api();
    assert!(!answers());
    plane.start_api()?;
    assert!(answers());
    plane.stop_api()?;
    assert!(!answers());
    lab.repair()?;
    assert!(answers());
    Ok(())
}

/// Whether a host on the wire answers for the address.
fn answers(lab: &Cluster, address: &str) -> bool {
    lab.client_exec(&["ping", "-c1", "-W1", address]).is_ok()
}

fn lab_carrier(lab: &Cluster, node: &str) -> Result<String, Box<dyn std::error::Error>> {
    let node = lab.node(node)?;
    let read = || node.exec(&["cat", "/sys/class/net/eth1/carrier"]).map(|text| text.trim().to_owned());
    Ok(until("the node tells its carrier", SOON, || read().map(Some))?)
}
