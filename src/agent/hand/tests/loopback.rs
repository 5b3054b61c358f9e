//! Addresses of other nodes on the loopback interface.

use super::{Order, Rig};
use crate::network::probe;
use crate::network::testing::{address_in_ip, in_namespace, ip, neighbour, sysctl};

const VIP: &str = "192.0.2.9";

#[test]
fn an_address_is_there_only_while_nobody_is_answered_for_it() {
    in_namespace(async || {
        let host = neighbour("near", "far");
        ip("addr add 192.0.2.1/24 dev near");
        let mut rig = Rig::new().await;
        let wanted = Order::Loopback([VIP.parse().unwrap(), "2001:db8::9".parse().unwrap()].into());
        rig.order(wanted);
        rig.until(|| address_in_ip("lo", "2001:db8::9/128").is_some()).await;
        assert!(address_in_ip("lo", "192.0.2.9/32").is_none(), "the kernel would answer for it");
        sysctl("ipv4/conf/all/arp_ignore", "1");
        sysctl("ipv4/conf/all/arp_announce", "2");
        // Settings are looked at again and again.
        rig.until(|| address_in_ip("lo", "192.0.2.9/32").is_some()).await;
        let seen = address_in_ip("lo", "192.0.2.9/32").unwrap();
        assert!(seen["valid_life_time"].as_u64().unwrap() <= 30, "{seen}");
        let asked = host.run(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let links = crate::network::Kernel::open().unwrap().links().await.unwrap();
                let far = links.by_name("far").unwrap();
                let within = std::time::Duration::from_millis(300);
                let v4 = probe(far, VIP.parse().unwrap(), within).await.unwrap();
                (v4, probe(far, "2001:db8::9".parse().unwrap(), within).await.unwrap())
            })
        });
        assert_eq!(asked, (None, None), "nobody is answered");
        rig.order(Order::Loopback([].into()));
        rig.until(|| address_in_ip("lo", "192.0.2.9/32").is_none()).await;
        rig.until(|| address_in_ip("lo", "2001:db8::9/128").is_none()).await;
    });
}

#[test]
fn they_go_when_the_hand_ends() {
    in_namespace(async || {
        sysctl("ipv4/conf/all/arp_ignore", "1");
        sysctl("ipv4/conf/all/arp_announce", "2");
        let mut rig = Rig::new().await;
        rig.order(Order::Loopback([VIP.parse().unwrap()].into()));
        rig.until(|| address_in_ip("lo", "192.0.2.9/32").is_some()).await;
        let (nobody, _) = tokio::sync::mpsc::unbounded_channel();
        rig.orders = nobody;
        while address_in_ip("lo", "192.0.2.9/32").is_some() {
            tokio::task::yield_now().await;
        }
    });
}
