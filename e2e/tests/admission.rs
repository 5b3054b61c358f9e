//! What the API server accepts and refuses, seen by kubectl. The cases are data, beside their runner.

use crate::{
    admission::{self, Reply},
    lab::Cluster,
    runner::Outcome,
};
use std::io;

super::tests![
    bad_manifests_are_refused_with_what_to_write_instead,
    only_the_agent_of_a_node_writes_its_leases,
    kubectl_does_with_a_virtualip_what_it_does_with_any_object,
    every_sample_applies,
];

fn bad_manifests_are_refused_with_what_to_write_instead(lab: &Cluster) -> Outcome {
    none(&admission::virtualips(&mut |words, input| kubectl(lab, words, input))?)
}

fn only_the_agent_of_a_node_writes_its_leases(lab: &Cluster) -> Outcome {
    none(&admission::leases(&mut |words, input| kubectl(lab, words, input), std::process::id())?)
}

fn kubectl_does_with_a_virtualip_what_it_does_with_any_object(lab: &Cluster) -> Outcome {
    none(&admission::experience(&mut |words, input| kubectl(lab, words, input))?)
}

fn every_sample_applies(lab: &Cluster) -> Outcome {
    none(&admission::samples(&mut |words, input| kubectl(lab, words, input), "default")?)
}

fn kubectl(lab: &Cluster, words: &[&str], input: Option<&str>) -> io::Result<Reply> {
    let output = lab.kubectl_fed(words, input.unwrap_or_default()).map_err(io::Error::other)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Reply { success: output.status.success(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
}

fn none(failures: &[String]) -> Outcome {
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}
