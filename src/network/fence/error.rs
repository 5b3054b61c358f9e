//! Why there is no exact fence, or why it does not do what it was told.

use std::{io, net::IpAddr, path::PathBuf};

use aya::{
    EbpfError,
    maps::MapError,
    pin::PinError,
    programs::{ProgramError, tc::TcError},
};

use super::super::KernelError;

/// What does not go. What the libraries say is kept as the source.
#[derive(Debug, thiserror::Error)]
pub enum FenceError {
    /// The program was built where no BPF compiler was.
    #[error(
        "this binary was built without the fence: install clang and libbpf-dev, or what your system calls them, and build again"
    )]
    NotBuilt,
    /// Nothing can be kept beyond the life of this process.
    #[error(
        "{} is no BPF file system: mount one there (`mount -t bpf bpf {}`), and give the pod that path of the host",
        .0.display(), .0.display()
    )]
    NoFileSystem(PathBuf),
    /// The kernel is too old, or does not let us.
    #[error("the kernel does not take the fence: it needs CAP_BPF and CAP_NET_ADMIN, and Linux 5.8 or later")]
    Load(#[source] Box<EbpfError>),
    /// As [`FenceError::Load`], for the programs.
    #[error(
        "the kernel does not take the fence's program: it needs CAP_BPF and CAP_NET_ADMIN, and Linux 5.8 or later"
    )]
    Program(#[source] Box<ProgramError>),
    /// A map or program that the object does not have: built from another source.
    #[error("the fence has no {0}: this binary was not built from one source")]
    Missing(&'static str),
    /// A map cannot be read or written.
    #[error("cannot use the fence's map of {what}")]
    Map {
        /// Which one.
        what: &'static str,
        /// What went wrong.
        #[source]
        source: Box<MapError>,
    },
    /// Too many addresses.
    #[error("cannot guard {address}")]
    Guard {
        /// The address.
        address: IpAddr,
        /// What went wrong.
        #[source]
        source: Box<MapError>,
    },
    /// The maps cannot be kept beyond the life of this process, or not be taken away.
    #[error("cannot keep the fence's maps in {}", .path.display())]
    Pin {
        /// Where.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: Box<PinError>,
    },
    /// The directory of the maps cannot be made or removed.
    #[error("cannot use the directory {}", .path.display())]
    Directory {
        /// Which one.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// No such interface.
    #[error("there is no interface with index {0}")]
    NoLink(u32),
    /// The place for filters cannot be made.
    #[error("cannot add a clsact qdisc to {link}")]
    Qdisc {
        /// The interface.
        link: String,
        /// What went wrong.
        #[source]
        source: Box<TcError>,
    },
    /// The program cannot be put there, or taken away.
    #[error("cannot {what} {link}")]
    Filter {
        /// What was tried.
        what: &'static str,
        /// The interface.
        link: String,
        /// What went wrong.
        #[source]
        source: Box<ProgramError>,
    },
    /// The place for filters cannot be looked at or removed.
    #[error("cannot look after the clsact qdisc of the interface with index {link}")]
    Tidy {
        /// The interface.
        link: u32,
        /// What went wrong.
        #[source]
        source: Box<KernelError>,
    },
}
