//! Why addresses cannot be kept up at all.

use std::{io, path::PathBuf};

use nix::errno::Errno;

use crate::{
    manifests::SourceError,
    network::{KernelError, LockError, WireError},
};

/// Why the process ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else keeps addresses here.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The manifests are not there.
    #[error(transparent)]
    Read(#[from] SourceError),
    /// Changes of the manifests cannot be heard.
    #[error("cannot watch {path}")]
    Watch {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: Errno,
    },
    /// Signals cannot be caught, or an event queue is missing.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel cannot be asked.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// Nothing can be announced.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The kernel's changes cannot be heard any more.
    #[error("the kernel closed the connection on which it tells what changes")]
    Deaf,
    /// Standard output is closed.
    #[error("cannot print the status")]
    Print(#[source] io::Error),
}
