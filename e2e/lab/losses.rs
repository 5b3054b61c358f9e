//! Frames that get lost on a switch, all of them, in one direction only, or of one kind only: nobody at either end is told.

use super::{error::Result, node::Node, switch::Switch};

/// The messages of agents to each other, in nft's words.
pub const MESSAGES: &str = "udp dport 7473";

/// Which frames of a cable are lost, as seen by the host at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Those that it sends.
    Sent,
    /// Those that it would receive.
    Received,
}

impl Way {
    /// The hook on the switch's side of the cable: what the host sends comes in there.
    fn hook(self) -> &'static str {
        match self {
            Self::Sent => "ingress",
            Self::Received => "egress",
        }
    }
}

impl Switch {
    /// Loses every frame of a port: the host at the other end keeps its carrier. Taking the port out of the bridge would not do: where the
    /// bridge has the port's hardware address, what the host sends to the bridge's own addresses would still arrive, and only the
    /// answers be lost.
    ///
    /// # Errors
    /// When there is no such port.
    pub fn cut(&self, port: &str) -> Result<()> {
        self.drop_frames(&table("cut", port), port, &[Way::Sent, Way::Received], "")
    }

    /// Undoes [`Switch::cut`].
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn heal(&self, port: &str) -> Result<()> {
        self.forget(&[table("cut", port)])
    }

    /// Loses the frames of a port that go one way and match `only`, in nft's words; all of them where that is empty.
    ///
    /// # Errors
    /// When there is no such port.
    pub fn lose(&self, port: &str, way: Way, only: &str) -> Result<()> {
        self.drop_frames(&table("lose", port), port, &[way], only)
    }

    /// Undoes every [`Switch::lose`] of a port.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn lose_nothing(&self, port: &str) -> Result<()> {
        self.forget(&[table("lose", port)])
    }

    /// Undoes [`Switch::cut`] and every [`Switch::lose`] of a port, which need not be there any more.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn lose_nothing_at_all(&self, port: &str) -> Result<()> {
        self.forget(&[table("cut", port), table("lose", port)])
    }

    fn drop_frames(&self, table: &str, port: &str, ways: &[Way], only: &str) -> Result<()> {
        let chain = |hook: &str| {
            format!("chain {hook} {{ type filter hook {hook} device \"{port}\" priority 0; {only} drop; }}; ")
        };
        let chains: String = ways.iter().map(|way| chain(way.hook())).collect();
        self.nft(&format!("table netdev {table} {{ {chains}}}"))
    }

    fn forget(&self, tables: &[String]) -> Result<()> {
        // Made first: what is not there cannot be deleted.
        let rules =
            tables.iter().map(|table| format!("add table netdev {table}; delete table netdev {table}; "));
        self.nft(&rules.collect::<String>())
    }

    fn nft(&self, rules: &str) -> Result<()> {
        self.host.run(&["nft", rules]).map(drop)
    }
}

impl Node {
    /// Loses every message between this agent and the others; the API server stays reachable.
    ///
    /// # Errors
    /// When the node is off.
    pub fn cut_peers(&self) -> Result<()> {
        self.cut_messages(MESSAGES)
    }

    /// Loses every frame of a kind, in nft's words, on all networks.
    ///
    /// # Errors
    /// When the node is off.
    pub fn cut_messages(&self, only: &str) -> Result<()> {
        [Way::Sent, Way::Received].into_iter().try_for_each(|way| self.lose_those(way, only))
    }

    /// Loses every frame that goes one way, on all networks; no carrier is lost.
    ///
    /// # Errors
    /// When the node is off.
    pub fn lose(&self, way: Way) -> Result<()> {
        self.lose_those(way, "")
    }

    fn lose_those(&self, way: Way, only: &str) -> Result<()> {
        self.management_switch().lose(&self.management().port, way, only)?;
        self.ports().iter().try_for_each(|port| self.wire().lose(port, way, only))
    }

    /// Loses so many of a hundred frames that the node sends on the network between the nodes, whichever these are.
    ///
    /// # Errors
    /// When the node is off.
    pub fn lose_some(&self, percent: u32) -> Result<()> {
        let some = format!("numgen random mod 100 < {percent}");
        self.management_switch().lose(&self.management().port, Way::Sent, &some)
    }

    /// Undoes [`Node::cut_peers`], [`Node::cut_messages`], [`Node::lose`] and [`Node::lose_some`].
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn lose_nothing(&self) -> Result<()> {
        self.management_switch().lose_nothing(&self.management().port)?;
        self.ports().iter().try_for_each(|port| self.wire().lose_nothing(port))
    }
}

/// nft takes no dot in a name.
fn table(what: &str, port: &str) -> String {
    format!("{what}_{}", port.replace('.', "_"))
}
