//! A thousand addresses on one node.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Instant;

use super::{Order, Rig, spec};
use crate::agent::input::Input;
use crate::agent::target::Target;
use crate::api::VipKey;
use crate::network::testing::{Ear, cable, in_namespace, ip};
use crate::ownership::Event;

#[test]
fn a_thousand_virtual_ips_come_are_all_announced_and_go() {
    in_namespace(async || {
        cable("near", "near-x");
        ip("addr add 10.0.255.254/16 dev near");
        let mut ear = Ear::on("near-x").await;
        let mut rig = Rig::new().await;
        let address = |n: usize| format!("10.0.{}.{}", n / 250, n % 250 + 1);
        let all: BTreeSet<IpAddr> = (0..1000).map(|n| address(n).parse().unwrap()).collect();
        let set = |rig: &Rig, present: bool| {
            for n in 0..1000 {
                let targets = if present { Target::all(&spec(&[&address(n)]), &[].into()) } else { vec![] };
                rig.order(Order::Set { key: VipKey::new("shop", format!("web-{n}")), targets, told: false });
            }
        };
        let start = Instant::now();
        set(&rig, true);
        let heard = tokio::spawn(async move {
            let mut missing = all;
            while !missing.is_empty() {
                missing.remove(&ear.claim().await.address);
            }
        });
        answers(&mut rig, 1000).await;
        println!("1000 VirtualIPs up after {:?}", start.elapsed());
        heard.await.unwrap();
        println!("1000 addresses announced after {:?}", start.elapsed());
        assert_eq!(rig.kernel.marked().await.unwrap().len(), 1000);
        let start = Instant::now();
        set(&rig, false);
        answers(&mut rig, 1000).await;
        println!("1000 VirtualIPs gone after {:?}", start.elapsed());
        assert_eq!(rig.kernel.marked().await.unwrap(), []);
    });
}

async fn answers(rig: &mut Rig, mut count: usize) {
    while count > 0 {
        if let Input::Own(Event::Kernel { .. }) = rig.next().await {
            count -= 1;
        }
    }
}
