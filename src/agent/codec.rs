//! Leases as the API server stores them, and as the protocol sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;

use crate::api::LeaseName;
use crate::api::names::{
    ANNOTATION_ADDRESSES, ANNOTATION_EPOCH, ANNOTATION_NONCE, ANNOTATION_OFFER, ANNOTATION_SOURCE,
    ANNOTATION_TITLE_FIRST, ANNOTATION_WANTED, FINALIZER_HELD, LABEL_RENEWAL, told,
};
use crate::ownership::{
    Epoch, Expect, Holder, Incarnation, NodeLease, NodeName, NodeWrite, Nonce, Offer, Source, Title,
    TitleContent, TitleWrite, Version, Why, Witnesses,
};

/// A Lease that is not as the agents write it. Nothing is decided on it.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// A field that the API server always sets, or that we do, is missing.
    #[error("lease {lease} has no {field}")]
    Missing {
        /// The Lease.
        lease: String,
        /// The field.
        field: &'static str,
    },
    /// A field cannot be read.
    #[error("lease {lease} has an unreadable {field}: {text:?}")]
    Unreadable {
        /// The Lease.
        lease: String,
        /// The field.
        field: &'static str,
        /// What it says.
        text: String,
    },
}

/// One of our Leases.
#[derive(Debug)]
pub enum Seen {
    /// `node.<node>`.
    Node(NodeName, NodeLease),
    /// `vip.<namespace>.<name>`.
    Title(crate::api::VipKey, Title),
    /// The anchor of uninstalling; whether somebody asked to delete it.
    Anchor {
        /// Whether it is being deleted.
        deleting: bool,
    },
}

/// Reads a Lease; none when it is not one of ours.
///
/// # Errors
/// When it is named like ours but does not read like ours.
pub fn read(lease: &Lease) -> Result<Option<Seen>, CodecError> {
    let name = lease.metadata.name.clone().unwrap_or_default();
    let deleting = lease.metadata.deletion_timestamp.is_some();
    Ok(match LeaseName::parse(&name) {
        None => None,
        Some(LeaseName::Uninstall) => Some(Seen::Anchor { deleting }),
        Some(LeaseName::Node(node)) => Some(Seen::Node(NodeName(node.into()), node_lease(&name, lease)?)),
        Some(LeaseName::VirtualIp(key)) => Some(Seen::Title(key, title(&name, lease)?)),
    })
}

/// The version of an object.
///
/// # Errors
/// When there is none, or it is no number.
pub fn version(name: &str, meta: &ObjectMeta) -> Result<Version, CodecError> {
    let text = meta.resource_version.clone().ok_or_else(|| missing(name, "resourceVersion"))?;
    text.parse().map_err(|_| unreadable(name, "resourceVersion", &text))
}

fn node_lease(name: &str, lease: &Lease) -> Result<NodeLease, CodecError> {
    let spec = lease.spec.clone().unwrap_or_default();
    let uid = lease.metadata.uid.clone().ok_or_else(|| missing(name, "uid"))?;
    let seconds = spec.lease_duration_seconds.ok_or_else(|| missing(name, "leaseDurationSeconds"))?;
    Ok(NodeLease {
        version: version(name, &lease.metadata)?,
        epoch: Epoch { lease: uid.into(), number: spec.lease_transitions.unwrap_or_default() },
        open: spec.holder_identity.is_some_and(|holder| !holder.is_empty()),
        duration: Duration::from_secs(u64::try_from(seconds).unwrap_or_default()),
        nonce: annotation(lease, ANNOTATION_NONCE).and_then(read_nonce).unwrap_or_default(),
        source: match annotation(lease, ANNOTATION_SOURCE) {
            None => Source::Lease,
            Some(text) => read_source(text).ok_or_else(|| unreadable(name, "source", text))?,
        },
    })
}

fn title(name: &str, lease: &Lease) -> Result<Title, CodecError> {
    let spec = lease.spec.clone().unwrap_or_default();
    let holder = match spec.holder_identity.filter(|holder| !holder.is_empty()) {
        None => None,
        Some(node) => {
            let text = annotation(lease, ANNOTATION_EPOCH).ok_or_else(|| missing(name, "epoch"))?;
            let epoch = read_epoch(text).ok_or_else(|| unreadable(name, "epoch", text))?;
            Some(Holder { node: NodeName(node.into()), epoch })
        }
    };
    let addresses = |key, field| match annotation(lease, key) {
        None => Ok(BTreeSet::new()),
        Some(text) => read_addresses(text).ok_or_else(|| unreadable(name, field, text)),
    };
    let waits = annotation(lease, ANNOTATION_TITLE_FIRST).is_some();
    let (offer, awaiting) = match annotation(lease, ANNOTATION_OFFER) {
        None => (None, None),
        Some(text) => read_offer(text, waits).ok_or_else(|| unreadable(name, "offer", text))?,
    };
    Ok(Title {
        version: version(name, &lease.metadata)?,
        content: TitleContent {
            holder,
            offer,
            awaiting: awaiting.map(Box::new),
            granted: addresses(ANNOTATION_ADDRESSES, "addresses")?,
            wanted: addresses(ANNOTATION_WANTED, "wanted addresses")?,
            moves: spec.lease_transitions.unwrap_or_default(),
        },
        deleting: lease.metadata.deletion_timestamp.is_some(),
    })
}

/// The Lease that a write of a node's life asks for.
#[must_use]
pub fn node_object(write: &NodeWrite) -> Lease {
    let holder = if write.open { write.node.to_string() } else { String::new() };
    let nonce = (ANNOTATION_NONCE.to_owned(), nonce_text(write.nonce));
    let source = source_text(&write.source).map(|text| (ANNOTATION_SOURCE.to_owned(), text));
    let audience = write.told.as_ref().map(|others| {
        let told = others.iter().chain([&write.node]).map(|node| told(&node.0));
        told.chain([LABEL_RENEWAL.to_owned()]).map(|label| (label, String::new())).collect()
    });
    Lease {
        metadata: ObjectMeta {
            name: Some(LeaseName::node(&*write.node.0).to_string()),
            resource_version: expected(write.expect),
            labels: audience,
            annotations: Some([nonce].into_iter().chain(source).collect()),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(holder),
            lease_duration_seconds: Some(whole_seconds(write.duration)),
            lease_transitions: Some(write.number),
            renew_time: Some(wall_clock()),
            ..LeaseSpec::default()
        }),
    }
}

/// The Lease that a write of ownership asks for. It carries a finalizer while somebody holds it.
#[must_use]
pub fn title_object(write: &TitleWrite, duration: Duration) -> Lease {
    let content = &write.content;
    let mut annotations = BTreeMap::from([(ANNOTATION_NONCE.to_owned(), nonce_text(write.nonce))]);
    let mut annotate = |key: &str, text: Option<String>| {
        if let Some(text) = text {
            annotations.insert(key.to_owned(), text);
        }
    };
    annotate(ANNOTATION_EPOCH, content.holder.as_ref().map(|holder| epoch_text(&holder.epoch)));
    annotate(ANNOTATION_OFFER, offer_text(content));
    let waits = content.offer.as_ref().is_some_and(|offer| offer.waits);
    annotate(ANNOTATION_TITLE_FIRST, waits.then(|| "true".to_owned()));
    annotate(ANNOTATION_ADDRESSES, addresses_text(&content.granted));
    annotate(ANNOTATION_WANTED, addresses_text(&content.wanted));
    let finalizers =
        (content.holder.is_some() && write.why != Why::Retire).then(|| vec![FINALIZER_HELD.to_owned()]);
    Lease {
        metadata: ObjectMeta {
            name: Some(write.key.lease_name()),
            resource_version: expected(write.expect),
            annotations: Some(annotations),
            finalizers,
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(
                content.holder.as_ref().map(|holder| holder.node.to_string()).unwrap_or_default(),
            ),
            lease_duration_seconds: Some(whole_seconds(duration)),
            lease_transitions: Some(content.moves),
            renew_time: Some(wall_clock()),
            ..LeaseSpec::default()
        }),
    }
}

/// For people only: no decision reads it.
fn wall_clock() -> MicroTime {
    MicroTime(Timestamp::now())
}

fn expected(expect: Expect) -> Option<String> {
    match expect {
        Expect::Absent => None,
        Expect::At(version) => Some(version.to_string()),
    }
}

/// Rounded up: whoever closes may wait longer than needed, never shorter.
fn whole_seconds(duration: Duration) -> i32 {
    let up = u64::from(duration.subsec_nanos() > 0);
    i32::try_from(duration.as_secs() + up).unwrap_or(i32::MAX)
}

fn annotation<'a>(lease: &'a Lease, key: &str) -> Option<&'a str> {
    lease.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

fn nonce_text(nonce: Nonce) -> String {
    format!("{:x}-{:x}", nonce.incarnation, nonce.sequence)
}

fn read_nonce(text: &str) -> Option<Nonce> {
    let (incarnation, sequence) = text.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some(Nonce { incarnation: number(incarnation)?, sequence: number(sequence)? })
}

fn epoch_text(epoch: &Epoch) -> String {
    format!("{}/{}", epoch.lease, epoch.number)
}

fn read_epoch(text: &str) -> Option<Epoch> {
    let (lease, number) = text.split_once('/')?;
    Some(Epoch { lease: lease.into(), number: number.parse().ok()? })
}

/// Who is asked to own next; or who owned before and is awaited, while nobody is asked. The latter is there as a third state of
/// an offer so that agents that know only two cannot read the Lease, and leave it alone: one that claimed without waiting
/// would make a second owner.
fn offer_text(content: &TitleContent) -> Option<String> {
    let (holder, state) = match (&content.awaiting, &content.offer) {
        (Some(awaited), _) => (awaited.as_ref(), "awaited"),
        (None, Some(offer)) => (&offer.to, if offer.accepted { "accepted" } else { "offered" }),
        (None, None) => return None,
    };
    Some(format!("{} {} {state}", holder.node, epoch_text(&holder.epoch)))
}

fn read_offer(text: &str, waits: bool) -> Option<(Option<Offer>, Option<Holder>)> {
    let mut words = text.split(' ');
    let node = NodeName(words.next()?.into());
    let holder = Holder { node, epoch: read_epoch(words.next()?)? };
    Some(match words.next()? {
        "accepted" => (Some(Offer { to: holder, accepted: true, waits }), None),
        "offered" => (Some(Offer { to: holder, accepted: false, waits: false }), None),
        "awaited" => (None, Some(holder)),
        _ => return None,
    })
}

/// `both 1000ms <round> n2=<incarnation> n3=<incarnation>`; nothing for a right that comes from the Lease alone.
fn source_text(source: &Source) -> Option<String> {
    let (mode, witnesses) = match source {
        Source::Lease => return None,
        Source::Both(witnesses) => ("both", witnesses),
        Source::Witness(witnesses) => ("witness", witnesses),
    };
    let period = format!("{}ms", witnesses.period.as_millis());
    let others = witnesses.others.iter().map(|(node, incarnation)| format!("{node}={:x}", incarnation.0));
    let words = [mode.to_owned(), period, nonce_text(witnesses.round)].into_iter().chain(others);
    Some(words.collect::<Vec<_>>().join(" "))
}

fn read_source(text: &str) -> Option<Source> {
    let mut words = text.split(' ');
    let mode = words.next()?;
    let period = Duration::from_millis(words.next()?.strip_suffix("ms")?.parse().ok()?);
    let round = read_nonce(words.next()?)?;
    let other = |word: &str| {
        let (node, incarnation) = word.split_once('=')?;
        Some((NodeName(node.into()), Incarnation(u64::from_str_radix(incarnation, 16).ok()?)))
    };
    let others: BTreeMap<_, _> = words.map(other).collect::<Option<_>>()?;
    let witnesses = Witnesses { round, period, others };
    match mode {
        // Without another witness anybody could close it at once.
        _ if witnesses.others.is_empty() => None,
        "both" => Some(Source::Both(witnesses)),
        "witness" => Some(Source::Witness(witnesses)),
        _ => None,
    }
}

fn addresses_text(addresses: &BTreeSet<IpAddr>) -> Option<String> {
    let texts: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(","))
}

fn read_addresses(text: &str) -> Option<BTreeSet<IpAddr>> {
    text.split(',').map(|text| text.parse().ok()).collect()
}

fn missing(lease: &str, field: &'static str) -> CodecError {
    CodecError::Missing { lease: lease.to_owned(), field }
}

fn unreadable(lease: &str, field: &'static str, text: &str) -> CodecError {
    CodecError::Unreadable { lease: lease.to_owned(), field, text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::VipKey;

    fn stored(mut lease: Lease) -> Lease {
        lease.metadata.resource_version = Some("42".into());
        lease.metadata.uid = Some("u-1".into());
        lease
    }

    #[test]
    fn a_title_reads_back_as_it_was_written() {
        let holder = |node: &str| Holder {
            node: NodeName(node.into()),
            epoch: Epoch { lease: "u-1".into(), number: 7 },
        };
        let offer = |accepted, waits| Some(Offer { to: holder("n2.example"), accepted, waits });
        let content = |offer, awaiting: Option<Holder>| TitleContent {
            holder: Some(holder("n1")),
            offer,
            awaiting: awaiting.map(Box::new),
            granted: ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()].into(),
            wanted: ["192.0.2.2".parse().unwrap()].into(),
            moves: 3,
        };
        for content in [
            content(None, None),
            content(offer(false, false), None),
            content(offer(true, false), None),
            content(offer(true, true), None),
            content(None, Some(holder("n3"))),
        ] {
            let write = title_write(content.clone());
            let lease = stored(title_object(&write, Duration::from_secs(3)));
            assert_eq!(lease.metadata.finalizers.as_deref(), Some(&[FINALIZER_HELD.to_owned()][..]));
            match read(&lease).unwrap() {
                Some(Seen::Title(key, title)) => {
                    assert_eq!((key, title.content, title.version), (write.key, content, 42));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn title_write(content: TitleContent) -> TitleWrite {
        TitleWrite {
            key: VipKey::new("shop", "web.v2"),
            expect: Expect::Absent,
            content,
            why: Why::Claim,
            nonce: Nonce { incarnation: 0xabc, sequence: 1 },
        }
    }

    #[test]
    fn agents_that_cannot_wait_read_what_was_always_written_and_nothing_where_somebody_is_awaited() {
        let to = Holder { node: NodeName("n2".into()), epoch: Epoch { lease: "u-2".into(), number: 4 } };
        let notes = |offer, awaiting: Option<Holder>| {
            let awaiting = awaiting.map(Box::new);
            let write = title_write(TitleContent { offer, awaiting, ..TitleContent::default() });
            let lease = title_object(&write, Duration::from_secs(3));
            lease.metadata.annotations.unwrap_or_default().remove(ANNOTATION_OFFER)
        };
        let offer = Offer { to: to.clone(), accepted: true, waits: true };
        assert_eq!(notes(Some(offer), None).as_deref(), Some("n2 u-2/4 accepted"));
        // They take none but "offered" and "accepted" for a state, and refuse the Lease.
        assert_eq!(notes(None, Some(to)).as_deref(), Some("n2 u-2/4 awaited"));
    }

    #[test]
    fn a_renewal_names_all_who_are_told_and_what_all_are_told_names_nobody() {
        let labels = |told| {
            let write = NodeWrite {
                node: NodeName("n1".into()),
                expect: Expect::At(41),
                number: 2,
                open: true,
                duration: Duration::from_secs(3),
                source: Source::Lease,
                nonce: Nonce::default(),
                told,
            };
            node_object(&write).metadata.labels.map(|labels| labels.into_keys().collect::<Vec<_>>())
        };
        assert_eq!(labels(None), None);
        let some = labels(Some([NodeName("n2".into())].into())).unwrap_or_default();
        assert_eq!(some, ["told.virtualip.dev/n1", "told.virtualip.dev/n2", "virtualip.dev/renewal"]);
    }

    #[test]
    fn a_closed_node_lease_has_an_empty_holder() {
        let nonce = Nonce { incarnation: u64::MAX, sequence: 9 };
        let write = |open| NodeWrite {
            node: NodeName("n1".into()),
            expect: Expect::At(41),
            number: 2,
            open,
            duration: Duration::from_millis(2500),
            source: Source::Lease,
            nonce,
            told: None,
        };
        for open in [true, false] {
            let Some(Seen::Node(node, lease)) = read(&stored(node_object(&write(open)))).unwrap() else {
                panic!()
            };
            assert_eq!((&*node.0, lease.open, lease.nonce, lease.epoch.number), ("n1", open, nonce, 2));
            assert_eq!(lease.duration, Duration::from_secs(3), "rounded up");
        }
    }

    #[test]
    fn the_source_of_the_right_reads_back_as_it_was_written() {
        let witnesses = Witnesses {
            round: Nonce { incarnation: 0xabc, sequence: 7 },
            period: Duration::from_millis(300),
            others: [
                (NodeName("n2".into()), Incarnation(u64::MAX)),
                (NodeName("n3.example".into()), Incarnation(0)),
            ]
            .into(),
        };
        for source in [Source::Lease, Source::Both(witnesses.clone()), Source::Witness(witnesses)] {
            assert_eq!(
                source_text(&source).map_or(Some(Source::Lease), |text| read_source(&text)),
                Some(source)
            );
        }
        for text in
            ["", "both", "both 1000ms 1-1", "both 1000ms 1-1 n2", "some 1000ms 1-1 n2=1", "both 1s 1-1 n2=1"]
        {
            assert_eq!(read_source(text), None, "{text}");
        }
    }

    #[test]
    fn a_lease_that_is_not_as_ours_is_refused_not_guessed() {
        let mut lease = stored(Lease::default());
        lease.metadata.name = Some("vip.shop.web".into());
        lease.spec = Some(LeaseSpec { holder_identity: Some("n1".into()), ..LeaseSpec::default() });
        assert!(matches!(read(&lease), Err(CodecError::Missing { field: "epoch", .. })));
        lease.metadata.name = Some("kube-scheduler".into());
        assert!(read(&lease).unwrap().is_none());
    }
}
