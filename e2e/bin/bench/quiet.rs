//! What each agent writes when nothing happens and rights come from witnesses: a slow sign of life, however many
//! `VirtualIP`s there are.

use super::{
    crowd,
    figures::Figures,
    lab::{Cluster, Result},
};
use std::{collections::BTreeMap, thread, time::Duration};

/// So many `VirtualIP`s.
const COUNTS: [u16; 2] = [1, 1000];
/// After this nothing is left of the beginning: statuses, Events, the slower renewals of nodes that own nothing.
const REST: Duration = Duration::from_secs(45);
/// How long is counted.
const COUNT: Duration = Duration::from_mins(1);

/// Measures it.
///
/// # Errors
/// When one of them gets no node, or rights do not come from witnesses.
pub fn measure(lab: &Cluster, figures: &mut Figures) -> Result<()> {
    lab.use_source("witness")?;
    for count in COUNTS {
        crowd::part(lab)?;
        crowd::gather(lab, &crowd::vips(count, 1))?;
        lab.wait_source("witness")?;
        eprintln!("counting each agent's writes over {} s with {count} VirtualIPs ...", COUNT.as_secs());
        thread::sleep(REST);
        let before = lab.agents_writes_by_node()?;
        thread::sleep(COUNT);
        let after = lab.agents_writes_by_node()?;
        let most = most(&before, &after);
        let in_10_s = f64::from(most) * 10.0 / COUNT.as_secs_f64();
        figures.note(&format!("witness_writes_of_a_node_in_10_s_with_{count}_vips"), in_10_s);
    }
    crowd::part(lab)?;
    lab.use_source("both")
}

/// The writes of the node that wrote most.
fn most(before: &BTreeMap<String, u32>, after: &BTreeMap<String, u32>) -> u32 {
    let new = after.iter().map(|(node, count)| count - before.get(node).unwrap_or(&0));
    new.max().unwrap_or_default()
}
