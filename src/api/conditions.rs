//! Condition types and reasons, and how conditions change.
//!
//! `Ready`, `Reconciling` and `Stalled` keep the contract of kstatus, which `kubectl wait`, Flux, Argo CD and
//! others read: at rest `Ready` is true and the two others are false.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Types of conditions.
pub mod types {
    /// One node answers for all addresses (`VirtualIP`); this node can carry a `VirtualIP` (`VirtualIPNode`).
    pub const READY: &str = "Ready";
    /// Work is under way and will end without anybody's help.
    pub const RECONCILING: &str = "Reconciling";
    /// Nothing will happen until somebody changes something; the message says what.
    pub const STALLED: &str = "Stalled";
    /// Somebody else has, or claims, an address: a host outside the cluster, whose MAC is in the message, or another
    /// `VirtualIP`; the reason says which. Only present once seen.
    pub const ADDRESS_CONFLICT: &str = "AddressConflict";
    /// The addresses are up, but a node could not do all that the spec says of them; the message has the node. Only
    /// present once seen.
    pub const DEGRADED: &str = "Degraded";
    /// All of them: others are other writers'.
    pub const ALL: [&str; 5] = [READY, RECONCILING, STALLED, ADDRESS_CONFLICT, DEGRADED];
}

/// Reasons of conditions, which are also the reasons of Events.
pub mod reasons {
    /// A node answers for the addresses.
    pub const OWNED: &str = "Owned";
    /// A node was chosen and takes the addresses.
    pub const CLAIMING: &str = "Claiming";
    /// The addresses move from one living node to another.
    pub const HANDING_OVER: &str = "HandingOver";
    /// The owner is being taken out of its rights, or has just lost them.
    pub const OWNER_LOST: &str = "OwnerLost";
    /// The owner changes its addresses to what the spec now says.
    pub const UPDATING: &str = "Updating";
    /// The addresses are being removed since the object is being deleted.
    pub const RELEASING: &str = "Releasing";
    /// No node may or can have the addresses; the message says why, node by node.
    pub const NO_ELIGIBLE_NODE: &str = "NoEligibleNode";
    /// Somebody else has an address, or claims it: a host outside the cluster, whose MAC is in the message, or another
    /// `VirtualIP`, which is named there.
    pub const ADDRESS_CONFLICT: &str = "AddressConflict";
    /// Of an address conflict: another `VirtualIP` has the same address.
    pub const OTHER_VIRTUAL_IP: &str = "OtherVirtualIP";
    /// Of an address conflict: a host outside the cluster.
    pub const FOREIGN_HOST: &str = "ForeignHost";
    /// Nobody else has, or claims, an address any more.
    pub const NO_CONFLICT: &str = "NoConflict";
    /// The spec cannot be read (it was admitted under other rules).
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// The user asked for it.
    pub const SUSPENDED: &str = "Suspended";
    /// The kernel or the API server refused something; it is tried again.
    pub const ERROR: &str = "Error";
    /// The label that is wanted does not fit to the interface's name.
    pub const LABEL_TOO_LONG: &str = "LabelTooLong";
    /// The kernel would answer for an address on the loopback interface.
    pub const LOOPBACK_UNSAFE: &str = "LoopbackUnsafe";
    /// Nothing is the matter any more.
    pub const AS_SPECIFIED: &str = "AsSpecified";
    /// Nobody has looked yet.
    pub const UNKNOWN: &str = "Unknown";
    /// The node can carry a `VirtualIP`.
    pub const NODE_READY: &str = "NodeReady";
    /// The node is in standby.
    pub const STANDBY: &str = "Standby";
    /// No interface of the node is up and has a carrier.
    pub const NO_INTERFACE: &str = "NoInterface";
    /// The node's right has ended: it cannot reach the API server.
    pub const NO_RIGHT: &str = "NoRight";
}

/// What the three conditions of kstatus say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// All is as the spec says.
    Ready,
    /// Not yet, but under way.
    Reconciling,
    /// Not until somebody changes something.
    Stalled,
}

/// A condition before it has a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// One of [`types`].
    pub type_: &'static str,
    /// True or false.
    pub status: bool,
    /// One of [`reasons`].
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
}

/// The three conditions of kstatus for one verdict.
#[must_use]
pub fn kstatus(verdict: Verdict, reason: &'static str, message: &str) -> [State; 3] {
    let state =
        |type_, true_for| State { type_, status: verdict == true_for, reason, message: message.to_owned() };
    [
        state(types::READY, Verdict::Ready),
        state(types::RECONCILING, Verdict::Reconciling),
        state(types::STALLED, Verdict::Stalled),
    ]
}

/// Brings `conditions` to `wanted`: `now` is taken over only where a status changed, and conditions of other
/// types (other writers' too) are left alone.
///
/// Returns whether anything changed, that is, whether there is something to write.
pub fn update(
    conditions: &mut Vec<Condition>,
    wanted: &[State],
    generation: Option<i64>,
    now: &Time,
) -> bool {
    let before = conditions.clone();
    for state in wanted {
        let status = if state.status { "True" } else { "False" };
        let old = conditions.iter().position(|condition| condition.type_ == state.type_);
        let since = old
            .map(|at| &conditions[at])
            .filter(|condition| condition.status == status)
            .map_or(now, |condition| &condition.last_transition_time);
        let condition = Condition {
            last_transition_time: since.clone(),
            message: state.message.clone(),
            observed_generation: generation,
            reason: state.reason.to_owned(),
            status: status.to_owned(),
            type_: state.type_.to_owned(),
        };
        match old {
            Some(at) => conditions[at] = condition,
            None => conditions.push(condition),
        }
    }
    *conditions != before
}

/// The condition of a type.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether the condition of a type is there and true.
#[must_use]
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::jiff::Timestamp;

    fn at(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    #[test]
    fn the_time_of_a_condition_is_that_of_its_last_change_of_status() {
        let mut conditions = Vec::new();
        let claiming = kstatus(Verdict::Reconciling, reasons::CLAIMING, "n1 takes the addresses");
        assert!(update(&mut conditions, &claiming, Some(1), &at(10)));
        assert!(!update(&mut conditions, &claiming, Some(1), &at(11)), "nothing changed");
        let owned = kstatus(Verdict::Ready, reasons::OWNED, "n1 answers");
        assert!(update(&mut conditions, &owned, Some(2), &at(12)));
        let times: Vec<_> =
            conditions.iter().map(|c| (c.type_.as_str(), c.last_transition_time.0.as_second())).collect();
        assert_eq!(times, [("Ready", 12), ("Reconciling", 12), ("Stalled", 10)]);
        assert!(is_true(&conditions, types::READY) && !is_true(&conditions, types::STALLED));
        assert!(conditions.iter().all(|condition| condition.observed_generation == Some(2)));
    }

    #[test]
    fn a_new_message_alone_is_a_change_without_a_transition() {
        let mut conditions = Vec::new();
        update(&mut conditions, &kstatus(Verdict::Ready, reasons::OWNED, "n1 answers"), Some(1), &at(10));
        assert!(update(
            &mut conditions,
            &kstatus(Verdict::Ready, reasons::OWNED, "n2 answers"),
            Some(1),
            &at(20)
        ));
        assert_eq!(find(&conditions, types::READY).unwrap().last_transition_time, at(10));
    }

    #[test]
    fn conditions_of_others_are_left_alone() {
        let mut conditions = Vec::new();
        let foreign = State {
            type_: types::ADDRESS_CONFLICT,
            status: true,
            reason: reasons::FOREIGN_HOST,
            message: "02:00:00:00:00:01 claims 192.0.2.1".to_owned(),
        };
        update(&mut conditions, std::slice::from_ref(&foreign), None, &at(1));
        update(&mut conditions, &kstatus(Verdict::Ready, reasons::OWNED, ""), None, &at(2));
        assert!(is_true(&conditions, types::ADDRESS_CONFLICT));
        assert_eq!(conditions.len(), 4);
    }
}
