//! The hand against a real kernel: each test in a network namespace of its own, with `ip` as the witness.

mod adopted;
mod ahead;
mod fenced;
mod links;
mod loopback;
mod many;
mod options;
mod prepare;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::{Hand, Order};
use crate::agent::deadline::{Deadline, now};
use crate::agent::fencing::Fencing;
use crate::agent::input::{Input, Inputs};
use crate::agent::senses;
use crate::agent::target::Target;
use crate::api::{VipKey, VirtualIPSpec};
use crate::network::testing::cable;
use crate::network::{Announcer, Kernel, Link, Monitor};
use crate::observe::metrics;
use crate::ownership::Event;

/// Long enough for a busy machine; nobody waits for it where all is well.
const PATIENCE: Duration = Duration::from_secs(20);

/// A hand that may act for a minute, and what feeds it with the kernel's changes; the test is the loop around it.
struct Rig {
    kernel: Kernel,
    deadline: Deadline,
    orders: mpsc::UnboundedSender<Order>,
    inputs: mpsc::UnboundedReceiver<Input>,
    key: VipKey,
}

impl Rig {
    async fn new() -> Self {
        let rig = Self::behind(Fencing::none()).await;
        rig.right_for(Duration::from_mins(1));
        rig
    }

    /// A hand behind a fence, that has no right yet.
    async fn behind(fencing: Fencing) -> Self {
        let (monitor, kernel) = (Monitor::open().unwrap(), Kernel::open().unwrap());
        let links = kernel.links().await.unwrap();
        let (door, inputs) = Inputs::new();
        let deadline = Deadline::behind(fencing.deadline());
        let (orders, todo) = mpsc::unbounded_channel();
        let (answering, claimable) = watch::channel(BTreeSet::new());
        let hand = Hand::new(
            (kernel.clone(), fencing),
            Announcer::open().unwrap(),
            deadline.clone(),
            door.clone(),
            metrics::registry().0,
            links,
            answering,
        );
        tokio::spawn(hand.run(todo));
        tokio::spawn(senses::follow_kernel(monitor, kernel.clone(), door, claimable));
        Self { kernel, deadline, orders, inputs, key: VipKey::new("shop", "web") }
    }

    /// From now on it may act for so long.
    fn right_for(&self, rest: Duration) {
        self.deadline.set(Some(now().unwrap() + rest));
    }

    fn order(&self, order: Order) {
        self.orders.send(order).unwrap();
    }

    /// What the hand, or the kernel through the senses, says next; the kernel's changes go on to the hand, as the loop
    /// would have it.
    async fn next(&mut self) -> Input {
        let input = timeout(PATIENCE, self.inputs.recv()).await.expect("something is said in time").unwrap();
        self.pass_on(&input);
        input
    }

    fn pass_on(&self, input: &Input) {
        match input {
            Input::Links(links) => self.order(Order::Links(links.clone())),
            Input::Gone { link, address } => self.order(Order::Gone { link: *link, net: *address }),
            Input::Usable { link, address } => self.order(Order::Usable { link: *link, net: *address }),
            Input::FilterGone => self.order(Order::Review),
            _ => {}
        }
    }

    /// Sets all addresses of a spec, and says which are up then, and what the trouble is.
    async fn set(&mut self, spec: &VirtualIPSpec) -> (BTreeSet<IpAddr>, Option<String>) {
        let targets = Target::all(spec, &[].into());
        self.order(Order::Set { key: self.key.clone(), targets, told: false });
        let mut trouble = None;
        loop {
            match self.next().await {
                Input::Trouble { reason, .. } => trouble = reason,
                Input::Own(Event::Kernel { up, .. }) => return (up, trouble),
                _ => {}
            }
        }
    }

    async fn release(&mut self) {
        let (up, _) = self.set(&VirtualIPSpec::default()).await;
        assert_eq!(up, [].into());
    }

    /// Handles what is up as this spec says.
    fn handle(&self, spec: &VirtualIPSpec) {
        self.order(Order::Handle { key: self.key.clone(), targets: Target::all(spec, &[].into()) });
    }

    /// Passes on what the kernel says until something is as it should be.
    async fn until(&mut self, mut done: impl FnMut() -> bool) {
        let end = tokio::time::Instant::now() + PATIENCE;
        while !done() {
            assert!(tokio::time::Instant::now() < end, "it is not so in time");
            // Not all that is waited for is told.
            if let Ok(Some(input)) = timeout(Duration::from_millis(5), self.inputs.recv()).await {
                self.pass_on(&input);
            }
        }
    }

    /// The interface that has an address of ours.
    async fn link_with(&self, address: &str) -> Link {
        let address: IpAddr = address.parse().unwrap();
        let marked = self.kernel.marked().await.unwrap();
        let index = marked.iter().find(|there| there.address.addr() == address).unwrap().link;
        self.kernel.links().await.unwrap().by_index(index).unwrap().clone()
    }

    /// Tells the hand how the interfaces are now.
    async fn kernel_settles(&self) {
        self.order(Order::Links(self.kernel.links().await.unwrap()));
    }

    async fn link(&self, name: &str) -> Link {
        self.kernel.links().await.unwrap().by_name(name).unwrap().clone()
    }
}

fn spec(addresses: &[&str]) -> VirtualIPSpec {
    VirtualIPSpec { addresses: addresses.iter().map(|&a| a.to_owned()).collect(), ..VirtualIPSpec::default() }
}

fn on(interface: &str, addresses: &[&str]) -> VirtualIPSpec {
    VirtualIPSpec { interface: Some(interface.to_owned()), ..spec(addresses) }
}

/// An interface with a subnet.
fn wired(name: &str, subnet: &str) {
    cable(name, &format!("{name}-x"));
    crate::network::testing::ip(&format!("addr add {subnet} dev {name}"));
}
