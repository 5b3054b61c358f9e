//! Manifests in files: read, and held to the rules of the custom resource definitions without a cluster.
//!
//! The rules are the ones in the schema that is installed, CEL included, so that the two cannot disagree.

mod check;
mod locate;
mod path;
mod source;
mod structure;

pub use check::{Checked, Object, Problem, check};
pub use path::Path;
pub use source::{Source, SourceError, read};
