//! The tests, a file per subject. A test is a function with a sentence for a name.

mod acceptance;
mod admission;
mod agents;
mod changes;
mod chaos;
mod conflicts;
mod faults;
mod fence;
mod foreign;
mod leftovers;
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
            vec![$(crate::runner::Case { kind: "", name: stringify!($name), test: $name }),*]
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
        on_the_wire(lifecycle::all()),
        on_the_wire(conflicts::all()),
        on_the_wire(placement::all()),
        options::all(),
        faults::all(),
        leftovers::all(),
        on_the_wire(agents::all()),
        fence::all(),
        realtime::all(),
        on_the_wire(nodes::all()),
        on_the_wire(links::all()),
        on_the_wire(changes::all()),
        on_the_wire(foreign::all()),
        on_the_wire(outages::all()),
        peers::all(),
        chaos::all(),
        acceptance::all(),
        on_the_wire(many::all()),
        on_the_wire(uninstall::all()),
        rights::all(),
    ]
    .concat()
}

/// Those in which addresses come, move and go, and the client judges: they are repeated by `make repeat`.
fn on_the_wire(cases: Vec<Case>) -> Vec<Case> {
    cases.into_iter().map(|case| Case { kind: "wire", ..case }).collect()
}
