//! The tests, a file per subject. A test is a function with a sentence for a name.

mod admission;
mod faults;
mod uninstall;

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

/// Every test, in the order in which they run.
pub fn all() -> Vec<Case> {
    [admission::all(), faults::all(), uninstall::all()].concat()
}
