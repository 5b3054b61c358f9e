//! Addresses come, stay and go as wanted, and nobody else's are touched.

use std::time::{Duration, Instant};

use futures::{StreamExt, future::join_all};
use ipnet::IpNet;
use rtnetlink::packet_route::RouteNetlinkMessage;

use crate::network::{
    Added, AddressError, Broadcast, Change, Kernel, Label, Monitor, Removed, Setup, Spot,
    request::bare,
    testing::{address_in_ip, cable, in_namespace, ip, sysctl},
};

async fn opened() -> (Kernel, u32) {
    cable("near", "near-x");
    let kernel = Kernel::open().unwrap();
    let near = kernel.links().await.unwrap().by_name("near").unwrap().index;
    (kernel, near)
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

#[test]
fn ipv4_is_a_labelled_host_address_with_a_lifetime() {
    in_namespace(async || {
        let (kernel, near) = opened().await;
        assert_eq!(kernel.add(near, net("192.0.2.5/32"), 60).await.unwrap(), Added::New);
        let seen = address_in_ip("near", "192.0.2.5/32").unwrap();
        assert_eq!(seen["scope"], "global");
        assert_eq!(seen["label"], "near:vip");
        assert!((58..=60).contains(&seen["valid_life_time"].as_u64().unwrap()), "{seen}");
        assert_eq!(ip("route show"), "");
    });
}

#[test]
fn ipv6_is_usable_at_once_and_never_a_source() {
    in_namespace(async || {
        let (kernel, near) = opened().await;
        ip("-6 addr add 2001:db8::1/64 dev near nodad");
        kernel.add(near, net("2001:db8::200/128"), 60).await.unwrap();
        let seen = address_in_ip("near", "2001:db8::200/128").unwrap();
        assert_eq!((&seen["nodad"], &seen["deprecated"]), (&true.into(), &true.into()), "{seen}");
        assert_eq!(seen["preferred_life_time"], 0);
        assert!(seen.get("tentative").is_none());
        assert!(!ip("-6 route show").contains("2001:db8::200"));
        let route = ip("-6 route get 2001:db8::9");
        assert!(route.contains("src 2001:db8::1 "), "{route}");
    });
}

#[test]
fn an_address_with_a_prefix_brings_its_route() {
    in_namespace(async || {
        let (kernel, near) = opened().await;
        kernel.add(near, net("192.0.2.5/24"), 60).await.unwrap();
        assert!(ip("route show").contains("192.0.2.0/24 dev near"));
        assert_eq!(address_in_ip("near", "192.0.2.5/24").unwrap()["broadcast"], "192.0.2.255");
    });
}

#[test]
fn a_permanent_address_is_configured_as_said() {
    in_namespace(async || {
        let (kernel, near) = opened().await;
        let setup = Setup {
            label: Label::Named("near:web".to_owned()),
            broadcast: Broadcast::Is("192.0.2.127".parse().unwrap()),
            prefix_route: false,
            ..Setup::permanent()
        };
        kernel.add_as(near, net("192.0.2.5/24"), &setup).await.unwrap();
        let seen = address_in_ip("near", "192.0.2.5/24").unwrap();
        assert_eq!((&seen["label"], &seen["broadcast"]), (&"near:web".into(), &"192.0.2.127".into()));
        assert_eq!(seen["valid_life_time"], u32::MAX);
        assert_eq!(ip("route show"), "");
        assert_eq!(kernel.marked().await.unwrap()[0].valid_for, None);

        let plain = Setup { label: Label::Plain, broadcast: Broadcast::Zeros, ..Setup::permanent() };
        kernel.add_as(near, net("192.0.2.6/24"), &plain).await.unwrap();
        let seen = address_in_ip("near", "192.0.2.6/24").unwrap();
        assert_eq!((&seen["label"], &seen["broadcast"]), (&"near".into(), &"192.0.2.0".into()));
    });
}

#[test]
fn what_pacemaker_has_is_foreign_to_an_agent_and_the_other_way_round() {
    in_namespace(async || {
        let (kernel, near) = opened().await;
        for (permanent, leased) in [("192.0.2.5/32", "192.0.2.6/32"), ("2001:db8::5/128", "2001:db8::6/128")]
            .map(|(a, b)| (net(a), net(b)))
        {
            kernel.add_as(near, permanent, &Setup::permanent()).await.unwrap();
            let refused = kernel.add(near, permanent, 60).await.unwrap_err();
            assert!(matches!(refused, AddressError::Foreign { .. }), "{refused}");
            let refused = kernel.renew(near, permanent, 60).await.unwrap_err();
            assert!(matches!(refused, AddressError::Foreign { .. }), "{refused}");
            kernel.add(near, leased, 60).await.unwrap();
            let refused = kernel.add_as(near, leased, &Setup::permanent()).await.unwrap_err();
            assert!(matches!(refused, AddressError::Foreign { .. }), "{refused}");
        }
        let lifetimes = kernel.marked().await.unwrap().into_iter().map(|there| there.valid_for.is_some());
        assert_eq!(lifetimes.filter(|ends| *ends).count(), 2, "nothing was changed");
    });
}

#[test]
fn a_permanent_ipv6_address_is_a_source_only_if_it_may() {
    in_namespace(async || {
        let (kernel, near) = opened().await;
        kernel.add_as(near, net("2001:db8::5/64"), &Setup::permanent()).await.unwrap();
        let may = Setup { preferred: None, ..Setup::permanent() };
        kernel.add_as(near, net("2001:db8::6/64"), &may).await.unwrap();
        let preferred =
            |address| address_in_ip("near", address).unwrap()["preferred_life_time"].as_u64().unwrap();
        assert_eq!(preferred("2001:db8::5/64"), 0);
        assert_eq!(preferred("2001:db8::6/64"), u64::from(u32::MAX));
    });
}

#[test]
fn a_loopback_address_stays_within_the_host() {
    in_namespace(async || {
        let kernel = Kernel::open().unwrap();
        let lo = kernel.links().await.unwrap().by_name("lo").unwrap().index;
        kernel.add_as(lo, net("127.0.0.3/8"), &Setup::permanent()).await.unwrap();
        assert_eq!(address_in_ip("lo", "127.0.0.3/8").unwrap()["scope"], "host");
        assert_eq!(kernel.remove(lo, net("127.0.0.3/8")).await.unwrap(), Removed::Now);
    });
}

#[test]
fn an_interface_is_set_up_and_down() {
    in_namespace(async || {
        let (kernel, near) = opened().await;
        kernel.bring_down(near).await.unwrap();
        assert!(!kernel.links().await.unwrap().by_name("near").unwrap().up);
        kernel.bring_up(near).await.unwrap();
        assert!(kernel.links().await.unwrap().by_name("near").unwrap().up);
        let refused = kernel.bring_up(9999).await.unwrap_err();
        assert_eq!(refused.to_string(), "cannot set the interface with index 9999 up");
    });
}

#[test]
fn the_mark_is_found_by_the_next_agent_and_nothing_else_is() {
    in_namespace(async || {
        let (kernel, near) = opened().await;
        ip("addr add 192.0.2.1/24 dev near label near:vip");
        kernel.add(near, net("192.0.2.5/32"), 60).await.unwrap();
        kernel.add(near, net("2001:db8::5/128"), 90).await.unwrap();
        drop(kernel);
        let mut marked = Kernel::open().unwrap().marked().await.unwrap();
        marked.sort_by_key(|marked| marked.address);
        let found: Vec<_> = marked.iter().map(|marked| (marked.link, marked.address)).collect();
        assert_eq!(found, [(near, net("192.0.2.5/32")), (near, net("2001:db8::5/128"))]);
        assert!(marked[0].valid_for.unwrap() <= Duration::from_mins(1));
        assert!(marked[1].valid_for.unwrap() > Duration::from_mins(1));
    });
}

#[test]
fn renewed_lives_longer_and_keeps_all_else() {
    in_namespace(async || {
        let (kernel, near) = opened().await;
        for address in ["192.0.2.5/32", "2001:db8::5/128"] {
            let without_times = || {
                let mut seen = address_in_ip("near", address).unwrap();
                let valid = seen["valid_life_time"].take().as_u64().unwrap();
                seen["preferred_life_time"].take();
                (valid, seen)
            };
            kernel.add(near, net(address), 20).await.unwrap();
            let (_, before) = without_times();
            kernel.renew(near, net(address), 60).await.unwrap();
            let (valid, after) = without_times();
            assert!(valid > 20);
            assert_eq!(before, after);
            // Adding what is ours already is the same.
            assert_eq!(kernel.add(near, net(address), 90).await.unwrap(), Added::Renewed);
            assert!(without_times().0 > 60);
        }
        assert_eq!(kernel.marked().await.unwrap().len(), 2);
    });
}

#[test]
fn what_has_gone_is_not_brought_back_by_a_renewal() {
    in_namespace(async || {
        let (kernel, near) = opened().await;
        for address in ["192.0.2.5/32", "2001:db8::5/128"] {
            kernel.add(near, net(address), 60).await.unwrap();
            ip(&format!("addr del {address} dev near"));
            assert!(matches!(kernel.renew(near, net(address), 60).await, Err(AddressError::Missing { .. })));
            assert!(address_in_ip("near", address).is_none());
        }
    });
}

#[test]
fn removed_is_gone_and_removed_again_is_no_error() {
    in_namespace(async || {
        let (kernel, near) = opened().await;
        for address in ["192.0.2.5/32", "192.0.2.6/24", "2001:db8::5/128"] {
            kernel.add(near, net(address), 60).await.unwrap();
            assert_eq!(kernel.remove(near, net(address)).await.unwrap(), Removed::Now);
            assert!(address_in_ip("near", address).is_none());
            assert_eq!(kernel.remove(near, net(address)).await.unwrap(), Removed::Before);
        }
        assert_eq!(kernel.remove(4711, net("192.0.2.5/32")).await.unwrap(), Removed::Before);
    });
}

#[test]
fn the_kernel_removes_what_is_not_renewed() {
    in_namespace(async || {
        let (kernel, near) = opened().await;
        let addresses = ["192.0.2.5/32", "2001:db8::5/128"].map(net);
        let mut changes = Monitor::open().unwrap();
        for address in addresses {
            kernel.add(near, address, 1).await.unwrap();
        }
        for _ in addresses {
            while !matches!(changes.next().await.unwrap(), Change::AddressGone { marked: true, .. }) {}
        }
        assert_eq!(kernel.marked().await.unwrap(), []);
        assert!(!ip("addr show dev near").contains("vip"));
    });
}

#[test]
fn the_address_of_somebody_else_is_never_touched() {
    in_namespace(async || {
        let (kernel, near) = opened().await;
        ip("addr add 192.0.2.5/24 dev near label near:vip");
        ip("-6 addr add 2001:db8::5/64 dev near nodad");
        ip("addr add 192.0.2.7/32 dev near valid_lft 100 preferred_lft 100");
        let before = ip("-j addr show dev near");
        let unchanged = ["192.0.2.5/24", "192.0.2.5/32", "2001:db8::5/64", "2001:db8::5/128", "192.0.2.7/32"];
        for address in unchanged.map(net) {
            let refused = kernel.add(near, address, 60).await.unwrap_err();
            assert!(matches!(refused, AddressError::Foreign { .. }), "add {address}: {refused}");
        }
        for address in ["192.0.2.5/24", "2001:db8::5/64", "192.0.2.7/32"].map(net) {
            let refused = kernel.renew(near, address, 60).await.unwrap_err();
            assert!(matches!(refused, AddressError::Foreign { .. }), "renew {address}: {refused}");
            let refused = kernel.remove(near, address).await.unwrap_err();
            assert!(matches!(refused, AddressError::Foreign { .. }), "remove {address}: {refused}");
        }
        let without_lifetimes = |text: &str| {
            text.split("life_time\":")
                .map(|s| s.trim_start_matches(char::is_numeric).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(without_lifetimes(&before), without_lifetimes(&ip("-j addr show dev near")));
        assert!(before.contains("4294967295"));
    });
}

#[test]
fn the_refusal_names_address_and_interface() {
    in_namespace(async || {
        let (kernel, near) = opened().await;
        cable("far", "far-x");
        ip("addr add 192.0.2.5/24 dev far");
        let refused = kernel.add(near, net("192.0.2.5/32"), 60).await.unwrap_err();
        assert!(
            refused.to_string().starts_with("192.0.2.5/24 is configured on interface far by somebody else")
        );
    });
}

#[test]
fn what_kube_proxy_binds_to_a_quiet_interface_is_no_obstacle() {
    in_namespace(async || {
        let (kernel, near) = opened().await;
        cable("quiet", "quiet-x");
        ip("link set quiet arp off");
        ip("addr add 192.0.2.5/32 dev quiet");
        ip("addr add 192.0.2.6/32 dev lo");
        for address in ["192.0.2.5/32", "192.0.2.6/32"] {
            assert_eq!(kernel.add(near, net(address), 60).await.unwrap(), Added::New);
        }
    });
}

#[test]
fn an_address_of_ours_that_an_administrator_took_over_is_his() {
    in_namespace(async || {
        let (kernel, near) = opened().await;
        kernel.add(near, net("192.0.2.5/32"), 60).await.unwrap();
        ip("addr replace 192.0.2.5/32 dev near");
        assert_eq!(kernel.marked().await.unwrap(), []);
        assert!(matches!(kernel.remove(near, net("192.0.2.5/32")).await, Err(AddressError::Foreign { .. })));
    });
}

#[test]
fn another_prefix_length_of_our_ipv6_address_takes_its_place() {
    in_namespace(async || {
        let (kernel, near) = opened().await;
        kernel.add(near, net("2001:db8::5/64"), 60).await.unwrap();
        assert_eq!(kernel.add(near, net("2001:db8::5/128"), 60).await.unwrap(), Added::New);
        let found: Vec<_> = kernel.marked().await.unwrap().iter().map(|marked| marked.address).collect();
        assert_eq!(found, [net("2001:db8::5/128")]);
    });
}

#[test]
fn without_an_interface_or_a_lifetime_nothing_is_added() {
    in_namespace(async || {
        let (kernel, near) = opened().await;
        for address in ["192.0.2.5/32", "2001:db8::5/128"].map(net) {
            assert!(matches!(kernel.add(4711, address, 60).await, Err(AddressError::NoLink { .. })));
            assert!(matches!(kernel.add(near, address, 0).await, Err(AddressError::Refused { .. })));
        }
        assert_eq!(kernel.marked().await.unwrap(), []);
    });
}

#[test]
fn where_ipv6_is_disabled_the_refusal_says_how_to_enable_it() {
    in_namespace(async || {
        let (kernel, near) = opened().await;
        sysctl("ipv6/conf/near/disable_ipv6", "1");
        let refused = kernel.add(near, net("2001:db8::5/128"), 60).await.unwrap_err();
        assert!(refused.to_string().contains("set net.ipv6.conf.near.disable_ipv6=0"), "{refused}");
    });
}

#[test]
fn many_may_ask_at_once_and_some_may_lose_patience() {
    in_namespace(async || {
        let (kernel, _) = opened().await;
        for number in 0..50 {
            ip(&format!("link add d{number} type bridge"));
        }
        for round in 0..20 {
            let asked = (0..10).map(|late| {
                let kernel = kernel.clone();
                tokio::spawn(async move {
                    // Each comes while the others are under way.
                    for _ in 0..late * round {
                        tokio::task::yield_now().await;
                    }
                    kernel.links().await.map(|links| links.iter().count())
                })
            });
            let asked: Vec<_> = asked.collect();
            let impatient = tokio::time::timeout(Duration::from_micros(50 * round), kernel.links()).await;
            drop(impatient);
            for links in join_all(asked).await {
                assert!(links.unwrap().unwrap() > 50);
            }
        }
    });
}

#[test]
fn of_many_changes_each_has_its_own_outcome() {
    in_namespace(async || {
        let (kernel, near) = opened().await;
        let spot = |n| Spot { link: near, net: net(&format!("10.0.0.{n}/32")), setup: Setup::permanent() };
        let all: Vec<_> = (1..=200).map(spot).collect();
        kernel.add_all(&all, 60).await.unwrap();
        let (gone, foreign) = ([1, 32, 33, 100, 200], [31, 64, 150]);
        for n in gone {
            ip(&format!("addr del 10.0.0.{n}/32 dev near"));
        }
        for n in foreign {
            ip(&format!("addr replace 10.0.0.{n}/32 dev near"));
        }
        let renewed = kernel.renew_all(&all, 90).await.unwrap();
        for (n, renewed) in (1..).zip(&renewed) {
            let as_expected = match renewed {
                Ok(()) => !gone.contains(&n) && !foreign.contains(&n),
                Err(AddressError::Missing { .. }) => gone.contains(&n),
                Err(AddressError::Foreign { .. }) => foreign.contains(&n),
                Err(_) => false,
            };
            assert!(as_expected, "{n}: {renewed:?}");
        }
        // What the kernel itself refuses, at the ends of what goes to it together too.
        let deletions = all.iter().map(|spot| RouteNetlinkMessage::DelAddress(bare(near, spot.net)));
        let outcomes = kernel.batch.change(deletions, 0).await.unwrap();
        let refused: Vec<_> = (1..).zip(&outcomes).filter(|(_, outcome)| outcome.is_err()).collect();
        assert_eq!(refused.iter().map(|(n, _)| *n).collect::<Vec<_>>(), gone);
        assert!(refused.iter().all(|(_, outcome)| {
            outcome.as_ref().unwrap_err().raw_os_error() == Some(nix::libc::EADDRNOTAVAIL)
        }));
        assert!(!ip("addr show dev near").contains("10.0.0."));
    });
}

#[test]
fn a_thousand_addresses_come_stay_and_go() {
    in_namespace(async || {
        let (kernel, near) = opened().await;
        let all: Vec<_> = (0..1000)
            .map(|n| Spot {
                link: near,
                net: net(&format!("10.0.{}.{}/32", n / 250, n % 250 + 1)),
                setup: Setup::permanent(),
            })
            .collect();
        let places: Vec<_> = all.iter().map(|spot: &Spot| (spot.link, spot.net)).collect();
        let timed = |what: &str, start: Instant| println!("1000 addresses {what} in {:?}", start.elapsed());
        let start = Instant::now();
        let added = kernel.add_all(&all, 60).await.unwrap();
        timed("added", start);
        assert!(added.into_iter().all(|added| added.unwrap() == Added::New));
        let start = Instant::now();
        let renewed = kernel.renew_all(&all, 90).await.unwrap();
        timed("renewed", start);
        assert!(renewed.into_iter().all(|renewed| renewed.is_ok()));
        assert_eq!(kernel.marked().await.unwrap().len(), 1000);
        let start = Instant::now();
        let removed = kernel.remove_all(&places).await.unwrap();
        timed("removed", start);
        assert!(removed.into_iter().all(|removed| removed.unwrap() == Removed::Now));
        assert!(!ip("addr show dev near").contains("vip"));
    });
}
