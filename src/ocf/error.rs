//! Why an action failed, and which exit code says so.

use std::{error::Error, io, net::IpAddr};

use nix::errno::Errno;

use super::{Code, Invalid};
use crate::network::{AddressError, KernelError, Mac, Unfit, WireError};
use crate::observe::with_causes;

/// Why an action failed.
#[derive(Debug, thiserror::Error)]
pub enum OcfError {
    /// A parameter cannot be read.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The interface that the parameters name is not there.
    #[error("parameter nic: there is no interface named {name}")]
    NoNic {
        /// The name.
        name: String,
    },
    /// No interface, or not the one that was named, can carry the address.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The interface is there, but not in a subnet of the address.
    #[error("interface {nic} has no subnet that contains {address}: set cidr_netmask")]
    NoPrefix {
        /// The interface.
        nic: String,
        /// The address.
        address: IpAddr,
    },
    /// A label must leave room for the interface's name.
    #[error("the label {label} is longer than the 15 characters that the kernel takes: shorten iflabel")]
    Label {
        /// Interface, colon and label.
        label: String,
    },
    /// The address would not be known again when it is to be stopped.
    #[error("Linux before 5.18 can mark only IPv4 addresses without a label as ours: update the kernel")]
    Unmarkable,
    /// Another host answers for the address.
    #[error(
        "{address} is in use: the host with the hardware address {mac} answers for it on interface {nic}"
    )]
    Claimed {
        /// The address.
        address: IpAddr,
        /// The other host's.
        mac: Mac,
        /// Where it was asked.
        nic: String,
    },
    /// The kernel could not be asked.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The address was not added or removed.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Nothing could be sent, or heard.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The rest of the announcements could not be left to another process.
    #[error("cannot start the process that announces")]
    Announcer(#[source] io::Error),
}

impl OcfError {
    /// What Pacemaker is told.
    #[must_use]
    pub fn code(&self) -> Code {
        if forbidden(self) {
            return Code::Permission;
        }
        match self {
            Self::Invalid(_)
            | Self::NoNic { .. }
            | Self::Label { .. }
            | Self::Unfit(Unfit::Ambiguous { .. }) => Code::Configured,
            Self::Unmarkable => Code::Installed,
            _ => Code::Generic,
        }
    }

    /// The message with its causes, in one line: Pacemaker shows one.
    #[must_use]
    pub fn reason(&self) -> String {
        with_causes(self)
    }
}

fn forbidden(error: &(dyn Error + 'static)) -> bool {
    let denied = |error: &io::Error| error.raw_os_error() == Some(Errno::EPERM as i32);
    error.downcast_ref::<io::Error>().is_some_and(denied) || error.source().is_some_and(forbidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_privilege_has_a_code_of_its_own_however_deep_it_is() {
        let source = io::Error::from_raw_os_error(Errno::EPERM as i32);
        let error = OcfError::Wire(WireError::Open(source));
        assert_eq!(error.code(), Code::Permission);
        assert!(error.reason().contains("CAP_NET_RAW is needed"), "{}", error.reason());
        assert_eq!(OcfError::Unfit(Unfit::Down { name: "eth0".to_owned() }).code(), Code::Generic);
    }
}
