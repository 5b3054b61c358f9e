//! The custom resources: types, defaults, validation rules, condition and reason names.
//!
//! Nothing here knows of time or IO. The schemas in `crds/` are generated from these types.

pub mod address;
mod address_schema;
pub mod conditions;
pub mod crd;
pub mod names;
#[cfg(test)]
mod rules_test;
mod schema;
mod virtualip;
mod virtualipnode;

pub use address::{Address, AddressError};
pub use crd::{crds, crds_yaml};
pub use names::{LeaseName, VipKey};
pub use virtualip::{Placement, VirtualIP, VirtualIPSpec, VirtualIPStatus};
pub use virtualipnode::{NodeInterface, VirtualIPNode, VirtualIPNodeSpec, VirtualIPNodeStatus};

/// API group of the custom resources.
pub const GROUP: &str = "virtualip.dev";
/// API version of the custom resources.
pub const VERSION: &str = "v1alpha1";
