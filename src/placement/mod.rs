//! Who should own each VirtualIP: pure functions over what the cluster says.
