//! The custom resources: types, defaults, validation rules, condition and reason names.
//!
//! Nothing here knows of time or IO. The schemas in `crds/` are generated from these types.

pub mod address;
mod address_options;
mod address_schema;
mod announcement;
mod behaviour;
pub mod conditions;
pub mod crd;
pub mod names;
mod options_schema;
#[cfg(test)]
mod rules_test;
mod schema;
mod virtualip;
mod virtualipnode;

pub use address::{Address, AddressError};
pub use address_options::{AddressOptions, PrefixPolicy, SourceAddress};
pub use announcement::{Announcement, ArpForm};
pub use behaviour::{ConflictDetection, InterfaceChoice, OnRelease, WhenNotOwner};
pub use crd::{crds, crds_yaml};
pub use names::{LeaseName, VipKey};
pub use virtualip::{Placement, VirtualIP, VirtualIPSpec, VirtualIPStatus};
pub use virtualipnode::{
    FenceKind, NodeFence, NodeInterface, NodeRight, RightSource, VirtualIPNode, VirtualIPNodeSpec,
    VirtualIPNodeStatus,
};

/// API group of the custom resources.
pub const GROUP: &str = "virtualip.dev";
/// API version of the custom resources.
pub const VERSION: &str = "v1alpha1";
