//! A node's own address in the subnet of the data network, and what goes with it.

use super::{
    Node, Result,
    addresses::{DATA, in_subnet, of_node},
};

impl Node {
    /// Removes it from `eth1`.
    ///
    /// # Errors
    /// When it is not there.
    pub fn remove_base_address(&self) -> Result<()> {
        self.exec(&["ip", "address", "del", &self.base_address()?, "dev", "eth1"]).map(drop)
    }

    /// Puts it back, if it is not there.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn restore_base_address(&self) -> Result<()> {
        self.exec(&["ip", "address", "replace", &self.base_address()?, "dev", "eth1"]).map(drop)
    }

    /// Whether others of a subnet stay when the first one of it goes (`promote_secondaries`, 0 or 1).
    ///
    /// # Errors
    /// When the kernel has no such setting.
    pub fn promote_secondaries(&self, promote: &str) -> Result<()> {
        let set = |scope| {
            self.exec(&["sysctl", "-qw", &format!("net.ipv4.conf.{scope}.promote_secondaries={promote}")])
        };
        ["all", "eth1"].into_iter().try_for_each(|scope| set(scope).map(drop))
    }

    fn base_address(&self) -> Result<String> {
        Ok(in_subnet(DATA[0], of_node(self.index))?.to_string())
    }
}
