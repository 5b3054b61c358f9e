//! What the spec says of addresses is what the kernel has, and what leaves.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::{Rig, on, spec, wired};
use crate::api::{
    AddressOptions, Announcement, ArpForm, OnRelease, PrefixPolicy, SourceAddress, VirtualIPSpec,
};
use crate::network::testing::{BLOCKING, Ear, address_in_ip, in_namespace, ip, neighbour};
use crate::network::{arp, ndp};

fn with(options: AddressOptions, spec: VirtualIPSpec) -> VirtualIPSpec {
    VirtualIPSpec { address_options: Some(options), ..spec }
}

#[test]
fn prefix_label_and_broadcast_are_as_written() {
    in_namespace(async || {
        wired("near", "192.0.2.1/24");
        let mut rig = Rig::new().await;
        let options = AddressOptions {
            prefix: PrefixPolicy::Auto,
            label: Some("web".to_owned()),
            broadcast: "None".to_owned(),
            prefix_route: false,
            ..AddressOptions::default()
        };
        let (up, trouble) = rig.set(&with(options, spec(&["192.0.2.9"]))).await;
        assert_eq!((up.len(), trouble), (1, None));
        let seen = address_in_ip("near", "192.0.2.9/24").unwrap();
        assert_eq!((&seen["label"], seen.get("broadcast")), (&"near:web".into(), None), "{seen}");
        rig.release().await;
        assert!(address_in_ip("near", "192.0.2.9/24").is_none());
    });
}

#[test]
fn what_is_changed_while_it_is_up_is_changed_there() {
    in_namespace(async || {
        wired("near", "192.0.2.1/24");
        wired("far", "198.51.100.1/24");
        let mut rig = Rig::new().await;
        rig.set(&spec(&["192.0.2.9"])).await;
        assert_eq!(address_in_ip("near", "192.0.2.9/32").unwrap()["label"], "near:vip");
        let options = AddressOptions { label: Some("web".to_owned()), ..AddressOptions::default() };
        rig.handle(&with(options, spec(&["192.0.2.9"])));
        rig.until(|| address_in_ip("near", "192.0.2.9/32").is_some_and(|seen| seen["label"] == "near:web"))
            .await;
        rig.handle(&on("far", &["192.0.2.9/28"]));
        rig.until(|| address_in_ip("far", "192.0.2.9/28").is_some()).await;
        assert!(address_in_ip("near", "192.0.2.9/32").is_none());
    });
}

#[test]
fn an_ipv6_address_is_a_source_only_if_it_may_also_after_a_renewal() {
    in_namespace(async || {
        cable_v6();
        let mut rig = Rig::new().await;
        rig.set(&spec(&["2001:db8::9"])).await;
        assert_eq!(address_in_ip("near", "2001:db8::9/128").unwrap()["preferred_life_time"], 0);
        let options = AddressOptions { source_address: SourceAddress::Allowed, ..AddressOptions::default() };
        rig.handle(&with(options, spec(&["2001:db8::9"])));
        let preferred =
            || address_in_ip("near", "2001:db8::9/128").and_then(|seen| seen["preferred_life_time"].as_u64());
        rig.until(|| preferred().is_some_and(|seconds| seconds > 0)).await;
        let before = preferred();
        rig.deadline.set(Some(crate::agent::deadline::now().unwrap() + std::time::Duration::from_mins(5)));
        rig.order(super::Order::Extend);
        rig.until(|| preferred() > before).await;
    });
}

fn cable_v6() {
    crate::network::testing::cable("near", "near-x");
    ip("-6 addr add 2001:db8::1/64 dev near nodad");
}

#[test]
fn nothing_is_said_of_an_address_before_the_kernel_has_found_it_unique() {
    in_namespace(async || {
        cable_v6();
        let ear = Ear::on("near-x").await;
        let mut rig = Rig::new().await;
        let options = AddressOptions { duplicate_address_detection: true, ..AddressOptions::default() };
        let (up, _) = rig.set(&with(options, spec(&["2001:db8::9"]))).await;
        assert_eq!(up.len(), 1);
        let claimed = tokio::spawn(ear.claim_of("2001:db8::9".parse().unwrap()));
        // As the namespace of this thread has it, detection takes a second or more.
        let mut early = false;
        rig.until(|| {
            let tentative =
                address_in_ip("near", "2001:db8::9/128").is_some_and(|seen| seen.get("tentative").is_some());
            early |= tentative && claimed.is_finished();
            claimed.is_finished()
        })
        .await;
        assert!(!early);
    });
}

#[test]
fn an_address_that_the_kernel_finds_elsewhere_is_trouble() {
    in_namespace(async || {
        let host = neighbour("near", "far");
        ip("-6 addr add 2001:db8::1/64 dev near nodad");
        host.ip("-6 addr add 2001:db8::9/64 dev far nodad");
        let mut rig = Rig::new().await;
        let options = AddressOptions { duplicate_address_detection: true, ..AddressOptions::default() };
        rig.set(&with(options, spec(&["2001:db8::9"]))).await;
        loop {
            if let crate::agent::input::Input::Trouble { reason: Some(reason), .. } = rig.next().await {
                assert!(reason.contains("found another host that has 2001:db8::9"), "{reason}");
                break;
            }
        }
    });
}

#[test]
fn announcements_have_the_form_and_the_hosts_that_are_written() {
    in_namespace(async || {
        wired("near", "192.0.2.1/24");
        let mut ear = Ear::on("near-x").await;
        let mut rig = Rig::new().await;
        let announcement = Announcement {
            form: ArpForm::Reply,
            targets: vec!["192.0.2.254".parse().unwrap(), "2001:db8::1".parse().unwrap()],
            ..Announcement::default()
        };
        rig.set(&VirtualIPSpec { announcement: Some(announcement), ..spec(&["192.0.2.9"]) }).await;
        let mac = rig.link("near").await.mac.unwrap();
        let vip = "192.0.2.9".parse().unwrap();
        assert_eq!(ear.frame_with(vip).await, arp::announcement_reply(mac, vip));
        assert_eq!(ear.frame_with(vip).await, arp::question(mac, vip, "192.0.2.254".parse().unwrap()));
    });
}

/// A few at the interval, then one at each refresh, each time in every form to everybody.
#[test]
fn announcements_are_as_many_as_written_and_go_on_at_the_refresh() {
    in_namespace(async || {
        wired("near", "192.0.2.1/24");
        ip("-6 addr add 2001:db8::1/64 dev near nodad");
        let (mut ear, mut ear6) = (Ear::on("near-x").await, Ear::on("near-x").await);
        let mut rig = Rig::new().await;
        let (host, host6) = ("192.0.2.254".parse().unwrap(), "2001:db8::fe".parse().unwrap());
        let announcement = Announcement {
            count: 3,
            interval_milliseconds: 200,
            refresh_interval_seconds: 1,
            form: ArpForm::Request,
            targets: vec!["192.0.2.254".parse().unwrap(), "2001:db8::fe".parse().unwrap()],
        };
        let (vip, vip6) = ("192.0.2.9".parse().unwrap(), "2001:db8::9".parse().unwrap());
        let spec = VirtualIPSpec { announcement: Some(announcement), ..spec(&["192.0.2.9", "2001:db8::9"]) };
        let start = std::time::Instant::now();
        rig.set(&spec).await;
        let mac = rig.link("near").await.mac.unwrap();
        let mut heard = Vec::new();
        for _ in 0..4 {
            assert_eq!(ear.frame_with(vip).await, arp::announcement_request(mac, vip));
            assert_eq!(ear.frame_with(vip).await, arp::question(mac, vip, host));
            assert_eq!(ear6.advertisement_of(vip6).await, ndp::advertisement(mac, vip6, false));
            assert_eq!(ear6.solicitation_from(vip6).await, ndp::question(mac, vip6, host6));
            heard.push(std::time::Instant::now());
        }
        // Each may be heard late, none early.
        assert!(heard[2] - start >= Duration::from_millis(2 * 200), "{heard:?}");
        assert!(heard[3] - start >= Duration::from_millis(2 * 200 + 1_000), "{heard:?}");
    });
}

#[test]
fn without_a_refresh_nothing_is_said_after_the_last_announcement() {
    in_namespace(async || {
        wired("near", "192.0.2.1/24");
        let mut ear = Ear::on("near-x").await;
        let mut rig = Rig::new().await;
        let announcement = Announcement {
            count: 2,
            interval_milliseconds: 100,
            refresh_interval_seconds: 0,
            ..Announcement::default()
        };
        rig.set(&VirtualIPSpec { announcement: Some(announcement), ..spec(&["192.0.2.9"]) }).await;
        let (mac, vip) = (rig.link("near").await.mac.unwrap(), "192.0.2.9".parse().unwrap());
        for _ in 0..2 {
            assert_eq!(ear.frame_with(vip).await, arp::announcement_request(mac, vip));
            assert_eq!(ear.frame_with(vip).await, arp::announcement_reply(mac, vip));
        }
        let more = tokio::time::timeout(Duration::from_millis(500), ear.frame_with(vip)).await;
        assert!(more.is_err(), "{more:?}");
    });
}

#[test]
fn connections_end_with_their_address_where_that_is_wanted() {
    in_namespace(async || {
        let host = neighbour("near", "far");
        ip("addr add 192.0.2.1/24 dev near");
        host.ip("addr add 192.0.2.2/24 dev far");
        let mut rig = Rig::new().await;
        let on_release = Some(OnRelease { close_connections: true });
        rig.set(&VirtualIPSpec { on_release, ..spec(&["192.0.2.9"]) }).await;
        let listener = TcpListener::bind("192.0.2.9:80").unwrap();
        let mut client = host.run(|| TcpStream::connect("192.0.2.9:80").unwrap());
        let (server, _) = listener.accept().unwrap();
        rig.release().await;
        let told = client.read(&mut [0; 1]).unwrap_err();
        assert_eq!(told.kind(), std::io::ErrorKind::ConnectionReset);
        // What listens is not disturbed.
        drop((server, listener.local_addr().unwrap()));
    });
}

#[test]
fn an_address_goes_although_its_connections_cannot_be_closed_in_time() {
    in_namespace(async || {
        let host = neighbour("near", "far");
        ip("addr add 192.0.2.1/24 dev near");
        host.ip("addr add 192.0.2.2/24 dev far");
        let mut rig = Rig::new().await;
        let on_release = Some(OnRelease { close_connections: true });
        let spec = VirtualIPSpec { on_release, ..spec(&["192.0.2.9"]) };
        rig.set(&spec).await;
        let listener = TcpListener::bind("192.0.2.9:80").unwrap();
        let mut client = host.run(|| TcpStream::connect("192.0.2.9:80").unwrap());
        let (mut server, _) = listener.accept().unwrap();
        let busy: Vec<_> = (0..BLOCKING).map(|_| std::sync::mpsc::channel::<()>()).collect();
        let (ends, waits): (Vec<_>, Vec<_>) = busy.into_iter().unzip();
        let waits = waits.into_iter().map(|wait| tokio::task::spawn_blocking(move || wait.recv()));
        let waits: Vec<_> = waits.collect();
        rig.release().await;
        assert!(address_in_ip("near", "192.0.2.9/32").is_none());
        // Whatever was still to be closed then stays open: the address may be here again.
        drop(ends);
        for wait in waits {
            assert!(wait.await.unwrap().is_err());
        }
        tokio::task::spawn_blocking(|| ()).await.unwrap();
        rig.set(&VirtualIPSpec { on_release: None, ..spec }).await;
        client.write_all(b"?").unwrap();
        server.read_exact(&mut [0; 1]).unwrap();
    });
}
