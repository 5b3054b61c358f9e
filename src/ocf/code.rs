//! Exit codes of resource agents.

use std::process::ExitCode;

/// What an exit code says to Pacemaker (resource agent API 1.0, and `ocf-returncodes`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Done; for `monitor`: it runs here.
    Success = 0,
    /// It failed here and may be tried elsewhere.
    Generic = 1,
    /// There is no such action.
    Unimplemented = 3,
    /// The privileges do not suffice.
    Permission = 4,
    /// This node lacks something that it needs.
    Installed = 5,
    /// The parameters make no sense, on no node.
    Configured = 6,
    /// It does not run here.
    NotRunning = 7,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}
