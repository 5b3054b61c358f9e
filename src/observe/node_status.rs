//! The status of a `VirtualIPNode`, computed from facts. Pure, like that of a `VirtualIP`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::text::{join_up_to, whole_second};
use crate::api::conditions::{Verdict, kstatus, reasons, update};
use crate::api::{NodeFence, NodeInterface, NodeRight, VirtualIPNode, VirtualIPNodeStatus};

/// What an agent knows of its own node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// How many `VirtualIP`s it answers for.
    pub held: usize,
    /// The interfaces that could carry an address.
    pub interfaces: Vec<NodeInterface>,
    /// Whether it has a right at this moment.
    pub right: bool,
    /// Why nothing can be on its loopback interface, if so.
    pub loopback_refused: Option<String>,
    /// Where it comes from.
    pub source: NodeRight,
    /// What takes its addresses away when the agent does not.
    pub fence: NodeFence,
}

/// The status that `facts` call for, or none when `node` says all of it already.
#[must_use]
pub fn node_status(node: &VirtualIPNode, facts: &NodeFacts, now: &Time) -> Option<VirtualIPNodeStatus> {
    let before = node.status.clone().unwrap_or_default();
    let (verdict, reason, message) = judge(node, facts);
    let mut conditions = before.conditions.clone();
    let generation = node.metadata.generation;
    update(&mut conditions, &kstatus(verdict, reason, &message), generation, &whole_second(now));
    let mut interfaces = facts.interfaces.clone();
    interfaces.sort_by(|a, b| a.name.cmp(&b.name));
    let status = VirtualIPNodeStatus {
        agent_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        held: Some(i64::try_from(facts.held).unwrap_or(i64::MAX)),
        right: Some(facts.source.clone()),
        fence: Some(facts.fence.clone()),
        interfaces,
        loopback_refused: facts.loopback_refused.clone(),
        observed_generation: generation,
        conditions,
    };
    (status != before).then_some(status)
}

fn judge(node: &VirtualIPNode, facts: &NodeFacts) -> (Verdict, &'static str, String) {
    if node.spec.standby {
        return standby(facts.held);
    }
    if !facts.right {
        let message = "the node has no right: it has not renewed its Lease in time, or not yet".to_owned();
        return (Verdict::Reconciling, reasons::NO_RIGHT, message);
    }
    let usable = facts.interfaces.iter().filter(|interface| interface.up && interface.carrier);
    let usable: Vec<_> = usable.map(|interface| interface.name.clone()).collect();
    if usable.is_empty() {
        let message = "no interface is up and has a carrier".to_owned();
        return (Verdict::Stalled, reasons::NO_INTERFACE, message);
    }
    (
        Verdict::Ready,
        reasons::NODE_READY,
        format!("it can have addresses on {}", join_up_to(10, usable, ", ")),
    )
}

/// A node on standby is at rest once it is empty, but can carry nothing: a person has to end it.
fn standby(held: usize) -> (Verdict, &'static str, String) {
    match held {
        0 => (Verdict::Stalled, reasons::STANDBY, "it is on standby and holds nothing".to_owned()),
        held => (Verdict::Reconciling, reasons::STANDBY, format!("it is on standby and hands over {held}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::VirtualIPNodeSpec;
    use crate::api::conditions::{find, types};
    use k8s_openapi::jiff::Timestamp;

    fn interface(name: &str, carrier: bool) -> NodeInterface {
        NodeInterface { name: name.to_owned(), up: true, carrier, ..NodeInterface::default() }
    }

    fn facts() -> NodeFacts {
        NodeFacts {
            held: 2,
            interfaces: vec![interface("eth1", true), interface("eth0", false)],
            right: true,
            loopback_refused: None,
            source: NodeRight::default(),
            fence: NodeFence::default(),
        }
    }

    fn node(standby: bool) -> VirtualIPNode {
        VirtualIPNode::new("n1", VirtualIPNodeSpec { standby })
    }

    fn now() -> Time {
        Time(Timestamp::from_second(1).unwrap())
    }

    fn ready(node: &VirtualIPNode, facts: &NodeFacts) -> (String, String, String) {
        let status = node_status(node, facts, &now()).unwrap();
        let ready = find(&status.conditions, types::READY).unwrap().clone();
        (ready.status, ready.reason, ready.message)
    }

    fn expect(node: &VirtualIPNode, facts: &NodeFacts, status: &str, reason: &str, message: &str) {
        assert_eq!(ready(node, facts), (status.to_owned(), reason.to_owned(), message.to_owned()));
    }

    #[test]
    fn a_node_says_what_it_could_carry() {
        expect(&node(false), &facts(), "True", "NodeReady", "it can have addresses on eth1");
        let status = node_status(&node(false), &facts(), &now()).unwrap();
        assert_eq!(status.held, Some(2));
        let names: Vec<_> = status.interfaces.iter().map(|i| i.name.as_str()).collect();
        assert_eq!(names, ["eth0", "eth1"], "in an order that does not change by itself");
    }

    #[test]
    fn a_node_says_why_it_carries_nothing() {
        expect(&node(true), &facts(), "False", "Standby", "it is on standby and hands over 2");
        let empty = NodeFacts { held: 0, ..facts() };
        expect(&node(true), &empty, "False", "Standby", "it is on standby and holds nothing");
        let unplugged = NodeFacts { interfaces: vec![interface("eth0", false)], ..facts() };
        expect(&node(false), &unplugged, "False", "NoInterface", "no interface is up and has a carrier");
        let (.., reason, _) = ready(&node(false), &NodeFacts { right: false, ..facts() });
        assert_eq!(reason, "NoRight");
    }

    #[test]
    fn nothing_new_is_not_written() {
        let mut node = node(false);
        node.status = node_status(&node, &facts(), &now());
        assert_eq!(node_status(&node, &facts(), &now()), None);
    }
}
