//! What leaves, what is heard, and what the kernel at the other end makes of it.

use std::{
    net::{IpAddr, UdpSocket},
    time::Duration,
};

use nix::libc::{ETH_P_ARP, ETH_P_IPV6};

use crate::network::{
    Announcer, Claim, Kernel, Link, Links, Listener, Mac, arp, ndp,
    packet_socket::Receiver,
    probe,
    testing::{cable, in_namespace, ip, neighbour, sysctl},
};

const VIP: &str = "192.0.2.200";
const VIP6: &str = "2001:db8::200";
/// Long enough for a busy machine; nobody waits for it where somebody answers.
const WITHIN: Duration = Duration::from_secs(10);

async fn links() -> Links {
    Kernel::open().unwrap().links().await.unwrap()
}

async fn link(name: &str) -> Link {
    links().await.by_name(name).unwrap().clone()
}

/// What arrives on an interface that is neither ours nor expected here (the kernel's own reports of groups) is
/// passed over.
async fn next_claim_frame(receiver: &Receiver) -> Vec<u8> {
    let mut buffer = [0; 1514];
    loop {
        let length = receiver.receive(&mut buffer).await.unwrap();
        if Claim::read(&buffer[..length]).is_some() {
            return buffer[..length].to_vec();
        }
    }
}

#[test]
fn both_arp_forms_and_the_advertisement_leave_exactly_as_built() {
    in_namespace(async || {
        cable("near", "near-x");
        let (near, far) = (link("near").await, link("near-x").await);
        let arps = Receiver::open(far.index, u16::try_from(ETH_P_ARP).unwrap(), &[]).unwrap();
        let advertisements = Receiver::open(far.index, u16::try_from(ETH_P_IPV6).unwrap(), &[]).unwrap();
        let announcer = Announcer::open().unwrap();
        announcer.announce(&near, VIP.parse().unwrap()).unwrap();
        announcer.announce(&near, VIP6.parse().unwrap()).unwrap();
        let mac = near.mac.unwrap();
        assert_eq!(next_claim_frame(&arps).await, arp::announcement_request(mac, VIP.parse().unwrap()));
        assert_eq!(next_claim_frame(&arps).await, arp::announcement_reply(mac, VIP.parse().unwrap()));
        assert_eq!(
            next_claim_frame(&advertisements).await,
            ndp::advertisement(mac, VIP6.parse().unwrap(), false)
        );
    });
}

#[test]
fn the_neighbours_kernel_believes_an_announcement() {
    in_namespace(async || {
        let host = neighbour("near", "far");
        host.run(|| {
            // So that the entries made here by hand may be changed within their first second.
            sysctl("ipv4/neigh/far/locktime", "0");
            ip("addr add 192.0.2.9/24 dev far");
            ip("-6 addr add 2001:db8::9/64 dev far nodad");
            for vip in [VIP, VIP6] {
                ip(&format!("neigh replace {vip} lladdr 02:00:00:00:00:99 dev far nud stale"));
            }
        });
        let near = link("near").await;
        let mac = near.mac.unwrap().to_string();
        for vip in [VIP, VIP6] {
            Announcer::open().unwrap().announce(&near, vip.parse().unwrap()).unwrap();
            // A veth hands over within the call that sends, or soon after.
            while !host.ip(&format!("neigh show {vip} dev far")).contains(&mac) {
                tokio::task::yield_now().await;
            }
        }
    });
}

#[test]
fn an_announcement_that_cannot_leave_is_an_error() {
    in_namespace(async || {
        cable("near", "near-x");
        ip("link set near down");
        let refused =
            Announcer::open().unwrap().announce(&link("near").await, VIP.parse().unwrap()).unwrap_err();
        assert_eq!(refused.to_string(), "cannot send on interface near");
        let refused = Announcer::open()
            .unwrap()
            .announce(&Link { mac: None, ..link("near").await }, VIP6.parse().unwrap());
        assert!(refused.unwrap_err().to_string().contains("not Ethernet"));
    });
}

#[test]
fn a_probe_finds_the_owner_and_changes_nothing_there() {
    in_namespace(async || {
        let host = neighbour("near", "far");
        host.ip("link set far address 02:00:00:00:00:77");
        host.ip("addr add 192.0.2.200/24 dev far");
        host.ip("-6 addr add 2001:db8::200/64 dev far nodad");
        let near = link("near").await;
        for vip in [VIP, VIP6] {
            let owner = probe(&near, vip.parse().unwrap(), WITHIN).await.unwrap();
            assert_eq!(owner, Some(Mac([2, 0, 0, 0, 0, 0x77])), "{vip}");
        }
        assert!(!host.ip("neigh show dev far").contains(&near.mac.unwrap().to_string()));
    });
}

#[test]
fn a_probe_of_a_free_address_finds_nobody() {
    in_namespace(async || {
        let host = neighbour("near", "far");
        host.ip("addr add 192.0.2.9/24 dev far");
        let near = link("near").await;
        for vip in [VIP, VIP6] {
            assert_eq!(probe(&near, vip.parse().unwrap(), Duration::from_millis(50)).await.unwrap(), None);
        }
    });
}

#[test]
fn the_listener_hears_what_another_kernel_claims() {
    in_namespace(async || {
        let host = neighbour("near", "far");
        let near = link("near").await;
        let mut listener = Listener::open(&near, []).unwrap();
        // Asking for a neighbour says who asks: that is a claim, too.
        host.run(|| {
            ip("addr add 192.0.2.200/24 dev far");
            UdpSocket::bind("192.0.2.200:0").unwrap().send_to(b"?", "192.0.2.1:9").unwrap();
        });
        assert_eq!(listener.claim().await.unwrap().address, VIP.parse::<IpAddr>().unwrap());
        // ndisc_notify makes the kernel advertise its addresses when its interface comes up.
        host.run(|| {
            sysctl("ipv6/conf/far/ndisc_notify", "1");
            sysctl("ipv6/conf/far/keep_addr_on_down", "1");
            ip("-6 addr add 2001:db8::200/64 dev far nodad");
            ip("link set far down");
            ip("link set far up");
        });
        while listener.claim().await.unwrap().address != VIP6.parse::<IpAddr>().unwrap() {}
    });
}

#[test]
fn a_busy_network_wakes_nobody() {
    in_namespace(async || {
        cable("near", "near-x");
        let (near, far) = (link("near").await, link("near-x").await);
        let mut listener = Listener::open(&near, []).unwrap();
        listener.heed(&[VIP, VIP6].map(|vip| vip.parse().unwrap()).into()).unwrap();
        let announcer = Announcer::open().unwrap();
        let others = (0..1000_u32).map(|n| IpAddr::from(std::net::Ipv4Addr::from(0x0a00_0001 + n)));
        for other in others.chain(["2001:db8::999".parse().unwrap()]) {
            announcer.announce(&far, other).unwrap();
        }
        // Nothing of that has come: the first that is heard is what was said last.
        assert!(!listener.has_heard());
        for vip in [VIP, VIP6] {
            announcer.announce(&far, vip.parse().unwrap()).unwrap();
            assert_eq!(listener.claim().await.unwrap().address, vip.parse::<IpAddr>().unwrap());
            while listener.has_heard() {
                listener.claim().await.unwrap();
            }
        }
        // A thousand addresses are still a filter.
        let many = (0..1000_u32).map(|n| IpAddr::from(std::net::Ipv4Addr::from(0x0b00_0001 + n))).collect();
        listener.heed(&many).unwrap();
        announcer.announce(&far, "10.0.0.1".parse().unwrap()).unwrap();
        assert!(!listener.has_heard());
        announcer.announce(&far, "11.0.0.1".parse().unwrap()).unwrap();
        assert_eq!(listener.claim().await.unwrap().address, "11.0.0.1".parse::<IpAddr>().unwrap());
    });
}

#[test]
fn the_listener_passes_over_our_own() {
    in_namespace(async || {
        let host = neighbour("near", "far");
        let near = link("near").await;
        let other_of_ours = Mac([2, 0, 0, 0, 0, 0x42]);
        let mut listener = Listener::open(&near, [other_of_ours]).unwrap();
        let (own, mut far) = (near.mac.unwrap(), near.clone());
        host.run(move || {
            let links =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(links());
            far.index = links.by_name("far").unwrap().index;
            let announcer = Announcer::open().unwrap();
            for mac in [own, other_of_ours, Mac([2, 0, 0, 0, 0, 0x66])] {
                far.mac = Some(mac);
                announcer.announce(&far, VIP.parse().unwrap()).unwrap();
            }
        });
        let heard = listener.claim().await.unwrap();
        assert_eq!(heard, Claim { address: VIP.parse().unwrap(), mac: Mac([2, 0, 0, 0, 0, 0x66]) });
    });
}

#[test]
fn the_listener_outlives_an_interface_that_goes_down_and_up() {
    in_namespace(async || {
        let host = neighbour("near", "far");
        let mut listener = Listener::open(&link("near").await, []).unwrap();
        ip("link set near down");
        ip("link set near up");
        host.run(|| {
            ip("addr add 192.0.2.200/24 dev far");
            UdpSocket::bind("192.0.2.200:0").unwrap().send_to(b"?", "192.0.2.1:9").unwrap();
        });
        assert_eq!(listener.claim().await.unwrap().address, VIP.parse::<IpAddr>().unwrap());
    });
}
