//! One agent per node: two processes of one node would undo every rule about who owns what.

use std::{
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
};

const NAME: &str = "virtualip-agent";

/// Held for the life of the agent, before it looks at the kernel or sends anything.
///
/// It is a name in the abstract socket namespace (`unix(7)`): one per network namespace, which is what an agent
/// owns; needs no writable file system; and the kernel frees it with the process, however that ends.
#[derive(Debug)]
#[must_use = "the lock is free again as soon as this is dropped"]
pub struct HostLock {
    _name: UnixDatagram,
}

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody has the name.
    #[error(
        "another agent runs in this network namespace: stop it first (`ss -xl src @{NAME}` shows whether one is there)"
    )]
    Held,
    /// The name could not be asked for.
    #[error("cannot bind the abstract socket @{NAME}")]
    Bind(#[source] io::Error),
}

impl HostLock {
    /// Takes the lock, or says who has it; never waits.
    ///
    /// # Errors
    /// [`LockError::Held`] while another process of this network namespace has it.
    pub fn take() -> Result<Self, LockError> {
        let name = SocketAddr::from_abstract_name(NAME).map_err(LockError::Bind)?;
        match UnixDatagram::bind_addr(&name) {
            Ok(name) => Ok(Self { _name: name }),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(LockError::Held),
            Err(error) => Err(LockError::Bind(error)),
        }
    }
}
