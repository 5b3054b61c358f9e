//! What the API server accepts and what it refuses, tried with kubectl: the manifests are data, in the files beside.
//!
//! Nothing here knows how kubectl is reached: give [`Kubectl`] a closure. Each function returns what was not as it should
//! be, in sentences; an empty list is success.

mod experience;
mod leases;
mod virtualips;

use std::io;

pub use experience::{experience, samples};
pub use leases::leases;
use serde_json::Value;
pub use virtualips::virtualips;

/// What kubectl said.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Whether it ended with 0.
    pub success: bool,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Reply {
    /// Both outputs, for messages.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// Runs kubectl as administrator (`system:masters`, who may impersonate) with these words and this standard input.
pub type Kubectl<'a> = &'a mut dyn FnMut(&[&str], Option<&str>) -> io::Result<Reply>;

/// The root of the project, where `manifests/` is.
const PROJECT: &str = env!("CARGO_MANIFEST_DIR");

/// Compares what was said with what should have been: a part of the refusal, or none for consent.
fn judge(what: &Value, says: &Value, reply: &Reply) -> Option<String> {
    let text = reply.text();
    let fits = match says.as_str() {
        None => reply.success,
        Some(says) => !reply.success && text.contains(says),
    };
    let expected = says.as_str().map_or("acceptance".to_owned(), |says| format!("a refusal with {says:?}"));
    (!fits).then(|| format!("{what}: expected {expected}, kubectl said: {}", text.trim()))
}

/// The cases of a file. A file that cannot be read is our own mistake.
fn parse(text: &str) -> io::Result<Value> {
    serde_yaml::from_str(text).map_err(io::Error::other)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Runs kubectl, which must succeed.
fn must(kubectl: Kubectl<'_>, words: &[&str], input: Option<&str>) -> io::Result<String> {
    let reply = kubectl(words, input)?;
    if reply.success {
        Ok(reply.stdout)
    } else {
        Err(io::Error::other(format!("kubectl {}: {}", words.join(" "), reply.text().trim())))
    }
}
