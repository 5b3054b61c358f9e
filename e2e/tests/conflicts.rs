//! Two objects that want the same address.

use super::vip::{Vip, holders};
use crate::{lab::Cluster, runner::Outcome};

super::tests![the_older_of_two_keeps_the_address_and_the_younger_waits_for_it];

fn the_older_of_two_keeps_the_address_and_the_younger_waits_for_it(lab: &Cluster) -> Outcome {
    let [shared, own] = ["192.168.200.220", "192.168.200.221"];
    let older = Vip::ready(lab, "older", &[shared])?;
    let owner = older.owner()?;
    let before = lab.watch_while(&[shared, own], || {
        let younger = Vip::apply(lab, "younger", &serde_json::json!({"addresses": [own, shared]}))?;
        let message = younger.wait_reason("AddressConflict")?;
        assert!(message.contains(&format!("{shared} belongs to default/older")), "{message}");
        let other =
            "--for=jsonpath={.status.conditions[?(@.type==\"AddressConflict\")].reason}=OtherVirtualIP";
        lab.kubectl(&["wait", "virtualip/younger", other, "--timeout=30s"])?;
        older.wait_ready()
    })?;
    assert!(!before.ever_two());
    assert_eq!(before.owners(shared)?, [owner.as_str()]);
    assert_eq!(before.of(shared)?.silences, [], "the older one works on undisturbed");
    assert_eq!(holders(lab, shared)?, [owner.as_str()]);

    let after = lab.watch_while(&[shared], || {
        older.delete()?;
        let younger = Vip::ready(lab, "younger", &[own, shared])?;
        lab.client_exec(&["ping", "-c1", "-W1", shared])?;
        assert_eq!(holders(lab, shared)?, [younger.owner()?]);
        Ok(())
    })?;
    assert!(!after.ever_two());
    Ok(())
}
