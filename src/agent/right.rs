//! Where this node's right comes from, and why it is no better: for status, metrics and logs. Nothing here decides.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::peers::Peers;
use crate::api::{NodeRight, RightSource};
use crate::observe::metrics::Metrics;
use crate::ownership::{Answer, Event, Mode, NodeName, Source, Version};

/// A node that was not heard for this long does not answer. Longer than a lost datagram or two, so that the status does not
/// change with each.
const ANSWERS: Duration = Duration::from_secs(5);

/// The source of the right as this node's Lease states it.
#[derive(Debug)]
pub struct Standing {
    me: NodeName,
    version: Version,
    source: Source,
}

impl Standing {
    /// Nothing is known of the Lease of `me` yet.
    #[must_use]
    pub fn new(me: NodeName) -> Self {
        Self { me, version: 0, source: Source::default() }
    }

    /// Looks whether the event tells of this node's own Lease.
    pub fn hear(&mut self, event: &Event, metrics: &Metrics) {
        let lease = match event {
            Event::Node { node, lease: Some(lease), .. }
            | Event::NodeAnswer { node, answer: Answer::Written(_, Some(lease)), .. }
                if *node == self.me =>
            {
                lease
            }
            _ => return,
        };
        if lease.version <= self.version {
            return;
        }
        self.version = lease.version;
        let before = std::mem::replace(&mut self.source, lease.source.clone());
        metrics.source(lease.source.mode());
        if before == lease.source {
            return;
        }
        let witnesses = others(&lease.source).collect::<Vec<_>>().join(", ");
        match lease.source.mode() {
            Mode::Lease => warn!("the right to answer comes from the API server alone"),
            Mode::Both => {
                info!(witnesses, "the right to answer comes from the API server and from witnesses");
            }
            Mode::Witness => info!(witnesses, "the right to answer comes from witnesses"),
        }
    }

    /// As it is shown.
    #[must_use]
    pub fn shown(&self, peers: &Peers) -> NodeRight {
        let silent = |node: &NodeName| peers.silence(node, ANSWERS);
        let Some(witnesses) = self.source.witnesses() else {
            let spoken = peers.spoken().filter_map(|node| Some((node.0.clone(), silent(node)?)));
            return NodeRight {
                message: alone(peers.mute(), &spoken.collect::<Vec<_>>()),
                ..NodeRight::default()
            };
        };
        let silent: Vec<(Arc<str>, String)> =
            witnesses.others.keys().filter_map(|node| Some((node.0.clone(), silent(node)?))).collect();
        let count = |number: usize| Some(i64::try_from(number).unwrap_or(i64::MAX));
        // The node itself is a witness that always answers.
        let all = witnesses.others.len() + 1;
        let mut names: Vec<String> = others(&self.source).map(str::to_owned).collect();
        names.push(self.me.to_string());
        names.sort();
        NodeRight {
            source: source(self.source.mode()),
            witnesses: names,
            answering: count(all - silent.len()),
            needed: count(witnesses.promises_needed() + 1),
            message: answering(all, &silent),
        }
    }
}

fn others(source: &Source) -> impl Iterator<Item = &str> {
    source.witnesses().into_iter().flat_map(|witnesses| witnesses.others.keys().map(|node| &*node.0))
}

fn source(mode: Mode) -> RightSource {
    match mode {
        Mode::Lease => RightSource::Lease,
        Mode::Both => RightSource::Both,
        Mode::Witness => RightSource::Witness,
    }
}

/// Why there are no witnesses.
fn alone(mute: Option<&str>, silent: &[(Arc<str>, String)]) -> String {
    match mute {
        Some(why) => format!("no witnesses: {why}"),
        None if silent.is_empty() => "no witnesses".to_owned(),
        None => format!("no witnesses: {}", reasons(silent)),
    }
}

fn answering(all: usize, silent: &[(Arc<str>, String)]) -> String {
    let answering = format!("{} of {all} witnesses answer", all - silent.len());
    if silent.is_empty() { answering } else { format!("{answering}: {}", reasons(silent)) }
}

fn reasons(silent: &[(Arc<str>, String)]) -> String {
    let reasons: Vec<String> = silent.iter().map(|(node, why)| format!("{node}: {why}")).collect();
    reasons.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::metrics::registry;
    use crate::ownership::{Epoch, Incarnation, NodeLease, Nonce, Witnesses};

    fn told(version: Version, source: Source) -> Event {
        let node = NodeName("n1".into());
        let lease = NodeLease {
            version,
            epoch: Epoch { lease: "u".into(), number: 1 },
            open: true,
            duration: Duration::from_secs(3),
            nonce: Nonce::default(),
            source,
        };
        Event::Node { node, version, lease: Some(lease) }
    }

    fn both() -> Source {
        let others =
            [(NodeName("n2".into()), Incarnation(1)), (NodeName("n0".into()), Incarnation(1))].into();
        Source::Both(Witnesses { round: Nonce::default(), period: Duration::from_secs(3), others })
    }

    #[tokio::test]
    async fn what_is_shown_is_what_the_lease_says_and_why_there_is_no_more() {
        let (metrics, _) = registry();
        let mut standing = Standing::new(NodeName("n1".into()));
        let peers = Peers::open("n1", 0);
        let shown = standing.shown(&peers);
        assert_eq!(shown.source, RightSource::Lease);
        assert_eq!(shown.message, "no witnesses: messages between agents are switched off");
        standing.hear(&told(7, both()), &metrics);
        standing.hear(&told(6, Source::Lease), &metrics);
        let shown = standing.shown(&peers);
        assert_eq!((shown.source, shown.needed), (RightSource::Both, Some(2)));
        assert_eq!(shown.witnesses, ["n0", "n1", "n2"]);
    }

    #[test]
    fn reasons_are_for_people() {
        let silent = [("n3".into(), "no answer from UDP 192.0.2.3:7473".to_owned())];
        assert_eq!(answering(3, &silent), "2 of 3 witnesses answer: n3: no answer from UDP 192.0.2.3:7473");
        assert_eq!(answering(3, &[]), "3 of 3 witnesses answer");
        assert_eq!(alone(None, &silent), "no witnesses: n3: no answer from UDP 192.0.2.3:7473");
    }
}
