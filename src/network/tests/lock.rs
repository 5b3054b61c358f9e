//! One agent per node.

use crate::network::{
    HostLock, LockError,
    testing::{Host, in_namespace},
};

#[test]
fn a_second_agent_is_refused_until_the_first_has_gone() {
    in_namespace(async || {
        let first = HostLock::take().unwrap();
        let refused = HostLock::take().unwrap_err();
        assert!(matches!(refused, LockError::Held));
        assert!(refused.to_string().starts_with("another agent runs in this network namespace"));
        drop(first);
        drop(HostLock::take().unwrap());
    });
}

#[test]
fn nodes_in_namespaces_of_one_machine_have_a_lock_each() {
    let (one, other) = (Host::new(), Host::new());
    let held = one.run(HostLock::take).unwrap();
    let also_held = other.run(HostLock::take).unwrap();
    drop((held, also_held));
}
