//! The exact fence of a node, as others than the agent see it.

use super::{
    error::{Error, Result},
    node::Node,
};
use aya::maps::{Array, Map, MapData, MapError};

impl Node {
    /// Everything that a fence could leave behind, as `tc` and `ls` say.
    ///
    /// # Errors
    /// When the node is off.
    pub fn fence_traces(&self) -> Result<String> {
        let pins = self.exec(&["ls", "/sys/fs/bpf"])?;
        let place = self.exec(&["tc", "qdisc", "show", "dev", "eth1"])?;
        let filters = |way| self.exec(&["tc", "filter", "show", "dev", "eth1", way]);
        Ok(format!("{pins}{place}{}{}", filters("egress")?, filters("ingress")?))
    }

    /// The program stands on both ways of `eth1`, once each, and its maps are kept.
    ///
    /// # Errors
    /// When that is not so; says what is there.
    pub fn check_fenced(&self) -> Result<()> {
        let traces = self.fence_traces()?;
        // Without CAP_PERFMON the filters have no names.
        if traces.contains("virtualip\n") && traces.matches("handle 0x7669").count() == 2 {
            return Ok(());
        }
        Err(Error::other(format!("{} is not fenced: {traces}", self.name())))
    }

    /// Until when the kernel lets the node's addresses answer, in microseconds of `CLOCK_BOOTTIME`, which all nodes share.
    ///
    /// # Errors
    /// When the node has no fence.
    pub fn deadline_us(&self) -> Result<u64> {
        let pin = format!("/proc/{}/root/sys/fs/bpf/virtualip/deadlines", self.host.pid()?);
        let read = || -> std::result::Result<u64, MapError> {
            let cells = Array::<_, u64>::try_from(Map::from_map_data(MapData::from_pin(pin)?)?)?;
            Ok(cells.get(&0, 0)? / 1_000)
        };
        read().map_err(|error| Error::other(format!("{} has no deadline: {error}", self.name())))
    }
}
