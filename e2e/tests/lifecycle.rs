//! From `kubectl apply` to `kubectl delete`.

use super::{
    monitor::Monitor,
    vip::{Vip, holders, manifest},
};
use crate::{
    lab::{Cluster, Error, Result, audit::boottime_us, judge::Verdict, run::happy},
    runner::Outcome,
};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

super::tests![
    applying_a_virtualip_gives_one_owner_and_both_families_answer,
    kubectl_says_what_a_user_wants_to_know,
    editing_an_address_leaves_the_others_alone,
    a_virtualip_is_silent_before_it_is_gone,
];

const V4: &str = "192.168.200.201";
const V6: &str = "2001:db8::201";

fn applying_a_virtualip_gives_one_owner_and_both_families_answer(lab: &Cluster) -> Outcome {
    let watch = lab.watch(&[V4, V6])?;
    let vip = Vip::ready(lab, "web", &[V4, V6])?;
    for address in [V4, V6] {
        lab.client_exec(&["ping", "-c1", "-W1", address])?;
    }
    let verdict = watch.stop()?;
    let owner = vip.owner()?;
    assert!(!verdict.ever_two());
    for (address, shown) in
        [(V4, format!("{V4}/32 scope global dynamic noprefixroute eth1:vip")), (V6, format!("{V6}/128 "))]
    {
        assert_eq!(verdict.owners(address)?, [owner.as_str()]);
        assert_eq!(holders(lab, address)?, [owner.as_str()]);
        let list = lab.node(&owner)?.exec(&["ip", "-o", "address", "show", "dev", "eth1"])?;
        assert!(list.contains(&shown), "{list}");
    }
    let lease = lab.get(&["lease", "vip.default.web", "-n", "virtualip-system"])?;
    assert_eq!(lease["spec"]["holderIdentity"], owner.as_str());
    Ok(())
}

fn kubectl_says_what_a_user_wants_to_know(lab: &Cluster) -> Outcome {
    let spec = json!({"addresses": [V4, V6]});
    let said = kubectl(lab, &["apply", "--server-side", "-f", "-"], &spec)?;
    assert_eq!(said.trim(), "virtualip.virtualip.dev/web serverside-applied");
    let said = lab.kubectl(&["wait", "--for=condition=Ready", "vip/web", "--timeout=30s"])?;
    assert_eq!(said.trim(), "virtualip.virtualip.dev/web condition met");
    let owner = Vip::ready(lab, "web", &[V4, V6])?.owner()?;

    let said = lab.kubectl(&["get", "vip"])?;
    let [head, row] = table(&said)?;
    assert_eq!(head, ["NAME", "ADDRESS", "NODE", "INTERFACE", "READY", "AGE"]);
    assert_eq!(row[..5], ["web", V4, owner.as_str(), "eth1", "True"], "{said}");
    let wide = lab.kubectl(&["get", "vip", "-o", "wide"])?;
    for word in ["REASON", "SINCE", "MOVES", "ADDRESSES", "MESSAGE", "Owned", V6] {
        assert!(wide.contains(word), "{word}: {wide}");
    }
    let described = lab.kubectl(&["describe", "vip", "web"])?;
    let event = format!("{owner} answers for {V4}, {V6}");
    for word in ["Ready", "Owned", &format!("{owner} answers on eth1"), &event] {
        assert!(described.contains(word), "{word}: {described}");
    }
    let explained = lab.kubectl(&["explain", "virtualip.spec"])?;
    assert!(explained.contains("addresses") && explained.contains("placement"), "{explained}");

    let same = lab.kubectl_fed(&["diff", "-f", "-"], &manifest("web", &spec).to_string())?;
    assert!(same.status.success() && same.stdout.is_empty());
    let other = manifest("web", &json!({"addresses": [V4]})).to_string();
    let differs = lab.kubectl_fed(&["diff", "-f", "-"], &other)?;
    assert_eq!(differs.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&differs.stdout).contains(&format!("-  - {V6}")));
    Ok(())
}

/// `kubectl` with the manifest of `web` on its standard input.
fn kubectl(lab: &Cluster, words: &[&str], spec: &Value) -> Result<String> {
    let output = lab.kubectl_fed(words, &manifest("web", spec).to_string())?;
    happy(&format!("kubectl {}", words.join(" ")), &output)
}

/// Head and only row of a table.
fn table(text: &str) -> Result<[Vec<&str>; 2]> {
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    lines.try_into().map_err(|_| Error::other(format!("not a table of one row: {text}")))
}

fn editing_an_address_leaves_the_others_alone(lab: &Cluster) -> Outcome {
    let (stays, goes, comes) = ("192.168.200.201", "192.168.200.202", "192.168.200.203");
    let vip = Vip::ready(lab, "web", &[stays, goes, V6])?;
    let owner = vip.owner()?;
    let monitor = Monitor::listen(lab.node(&owner)?)?;
    let verdict = lab.watch_while(&[stays, goes, comes, V6], || {
        Vip::ready(lab, "web", &[stays, comes, V6])?;
        lab.client_exec(&["ping", "-c1", "-W1", comes]).map(drop)
    })?;
    assert!(!verdict.ever_two());
    for address in [stays, goes, comes, V6] {
        assert_eq!(verdict.owners(address)?, [owner.as_str()], "{address}");
    }
    assert!(last_answer(&verdict, goes)? < last_answer(&verdict, comes)?);
    assert!(holders(lab, goes)?.is_empty());
    // The kernel's own word that nothing else was taken away, not even for an instant.
    let removed = monitor.stop()?;
    assert!(removed.iter().all(|line| line.contains(&format!(" {goes}/32 "))), "{removed:?}");
    assert_eq!(removed.len(), 1);
    Ok(())
}

fn a_virtualip_is_silent_before_it_is_gone(lab: &Cluster) -> Outcome {
    let vip = Vip::ready(lab, "web", &[V4, V6])?;
    let verdict = lab.watch_while(&[V4, V6], || vip.delete())?;
    let released = Timestamp::now().as_microsecond() - released(lab, "web")?.as_microsecond();
    let released = boottime_us()?.saturating_sub(released.unsigned_abs());
    for address in [V4, V6] {
        let last = verdict.report.start_boottime_us + last_answer(&verdict, address)?;
        assert!(last < released, "{address} answered {} us after the object was let go", last - released);
        assert!(holders(lab, address)?.is_empty());
    }
    let leases = lab.kubectl(&["get", "leases", "-n", "virtualip-system", "-o", "name"])?;
    assert!(!leases.contains("vip."), "{leases}");
    Ok(())
}

/// When an agent asked the API server to let the object go, by the API server's own log.
fn released(lab: &Cluster, name: &str) -> Result<Timestamp> {
    let is_release = |request: &Value| {
        let object = &request["objectRef"];
        object["resource"] == "virtualips"
            && object["name"] == name
            && object["subresource"].is_null()
            && request["verb"] == "patch"
    };
    let log = lab.audit_log()?;
    let last = log.iter().rfind(|request| is_release(request));
    let at = last.and_then(|request| request["requestReceivedTimestamp"].as_str()?.parse().ok());
    at.ok_or_else(|| Error::other(format!("the audit log does not tell who let {name} go")))
}

/// When the last answer for the address came, as the observer counts.
fn last_answer(verdict: &Verdict, address: &str) -> Result<u64> {
    let last = verdict.of(address)?.owners.last();
    last.map(|owner| owner.last_us).ok_or_else(|| Error::other(format!("nobody answered for {address}")))
}
