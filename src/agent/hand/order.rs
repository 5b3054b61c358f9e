//! What the hand is told to do.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::agent::target::Target;
use crate::api::VipKey;
use crate::network::{Links, Spot};

/// What the hand shall do.
#[derive(Debug)]
pub enum Order {
    /// Bring the addresses of `key` to exactly these.
    Set {
        /// For which `VirtualIP`.
        key: VipKey,
        /// The addresses.
        targets: Vec<Target>,
        /// The loop knows already that all others are silent, behind their gates: only what goes wrong is said.
        told: bool,
    },
    /// These may come in a moment: make ready what takes time.
    Expect {
        /// The addresses.
        targets: Vec<Target>,
        /// They come as soon as their owner is silent: have them there already, if their gates are shut.
        soon: bool,
    },
    /// Those of these that are up are to be handled so from now on.
    Handle {
        /// For which `VirtualIP`.
        key: VipKey,
        /// How.
        targets: Vec<Target>,
    },
    /// Extend the lifetimes of everything that is up.
    Extend,
    /// This was left up by a former life.
    Adopt {
        /// For which `VirtualIP`.
        key: VipKey,
        /// Where.
        spot: Spot,
    },
    /// All that a former life left up was said.
    Adopted,
    /// The interfaces changed.
    Links(Links),
    /// The kernel lost an address.
    Gone {
        /// Index of the interface.
        link: u32,
        /// The address.
        net: IpNet,
    },
    /// The kernel answers for an address about which it asked first.
    Usable {
        /// Index of the interface.
        link: u32,
        /// The address.
        net: IpNet,
    },
    /// Look whether the fence is where it was put.
    Review,
    /// Look whether everything that should be up is: addresses may have gone unheard.
    Compare,
    /// Announce this at once: another host claimed it.
    Defend {
        /// For which `VirtualIP`.
        key: VipKey,
        /// The address.
        address: IpAddr,
    },
    /// Have exactly these on the loopback interface, for nobody to ask about.
    Loopback(BTreeSet<IpAddr>),
    /// Exactly these interfaces, by index, are to be set up although they have no address yet.
    Prepare(BTreeSet<u32>),
    /// Exactly these interfaces, by index, may get an address: the fence stands there.
    Fence(BTreeSet<u32>),
}
