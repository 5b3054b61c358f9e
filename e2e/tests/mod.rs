//! The tests, a file per subject. A test is a function with a sentence for a name.

mod acceptance;
mod admission;
mod agents;
mod chaos;
mod conflicts;
mod faults;
mod fence;
mod foreign;
mod lifecycle;
mod links;
mod many;
mod monitor;
mod nodes;
mod options;
mod outages;
mod peers;
mod placement;
mod realtime;
mod rights;
mod shipping;
mod tokens;
mod uninstall;
mod vip;

use crate::runner::Case;

/// Names the tests of a file: `tests![one, another]`.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        /// The tests of this file.
        pub fn all() -> Vec<crate::runner::Case> {
            vec![$((stringify!($name), $name as fn(&crate::lab::Cluster) -> crate::runner::Outcome)),*]
        }
    };
}
pub(crate) use tests;

/// Every test, in the order in which they run: the quick ones first, and last what ends the agents.
pub fn all() -> Vec<Case> {
    [
        shipping::all(),
        admission::all(),
        tokens::all(),
        lifecycle::all(),
        conflicts::all(),
        placement::all(),
        options::all(),
        faults::all(),
        agents::all(),
        fence::all(),
        realtime::all(),
        nodes::all(),
        links::all(),
        foreign::all(),
        outages::all(),
        peers::all(),
        chaos::all(),
        acceptance::all(),
        many::all(),
        uninstall::all(),
        rights::all(),
    ]
    .concat()
}
