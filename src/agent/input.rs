//! What wakes the agent's loop.

use std::net::IpAddr;

use ipnet::IpNet;
use tokio::sync::mpsc;

use super::scene::Prospect;
use crate::api::VipKey;
use crate::mesh::KeyRing;
use crate::network::{Links, Mac};
use crate::ownership::{Event, NodeName};

/// Something that the loop must look at.
#[derive(Debug)]
pub enum Input {
    /// For the ownership machine.
    Own(Event),
    /// What is known of the Lease of this node may be wrong.
    Reread(NodeName),
    /// Everything is being uninstalled.
    Uninstall,
    /// A `VirtualIP`, a `VirtualIPNode` or a Node changed.
    Objects,
    /// All those objects were listed once.
    Listed,
    /// A plan was made.
    Planned(Prospect),
    /// The interfaces of this node.
    Links(Links),
    /// The kernel lost an address that carried our mark.
    Gone {
        /// Index of the interface.
        link: u32,
        /// The address.
        address: IpNet,
    },
    /// The kernel answers for an address about which it asked first.
    Usable {
        /// Index of the interface.
        link: u32,
        /// The address.
        address: IpNet,
    },
    /// A filter of packets was taken from an interface: it may have been the fence.
    FilterGone,
    /// Addresses may have gone unheard.
    Compare,
    /// Why the kernel did not take what it was asked to take; none when it did.
    Trouble {
        /// For which `VirtualIP`.
        key: VipKey,
        /// In words.
        reason: Option<String>,
    },
    /// An RFC 5227 probe before a first assignment has ended.
    Probed {
        /// For which `VirtualIP`.
        key: VipKey,
        /// The host that has the address, if one answered.
        foreign: Option<(IpAddr, Mac)>,
    },
    /// Another host claimed an address; perhaps one that this node answers for.
    Claimed {
        /// The address.
        address: IpAddr,
        /// Whose claim.
        mac: Mac,
    },
    /// From now on these keys count for datagrams between agents.
    Keys(KeyRing),
    /// The agent shall leave (SIGTERM).
    Terminate,
}

/// The loop's door. Nothing waits there: what is sent after the loop ended is dropped.
#[derive(Clone, Debug)]
pub struct Inputs(mpsc::UnboundedSender<Input>);

impl Inputs {
    /// A door and the loop's side of it.
    #[must_use]
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Input>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Sends an input.
    pub fn send(&self, input: Input) {
        // The loop has ended: so does everything else.
        let _ = self.0.send(input);
    }

    /// Sends an event for the ownership machine.
    pub fn own(&self, event: Event) {
        self.send(Input::Own(event));
    }
}
