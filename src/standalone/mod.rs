//! One host without a cluster: `VirtualIP`s from files, kept up as long as the process lives.
//!
//! Nobody elects here: whoever starts it on two hosts with the same files makes two owners (of which the second is
//! refused while the first answers). Addresses carry a lifetime, so that they vanish also when the process is killed.

mod ears;
mod error;
mod files;
mod host;
mod rows;
mod run;
mod wanted;
mod watch;

pub use error::Error;
pub use rows::{Printer, Row, Style};
pub use run::run;
