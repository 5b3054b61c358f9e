//! Hearing that manifests changed (`inotify(7)`).
#![allow(unsafe_code)]

use std::{
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    sys::inotify::{AddWatchFlags, InitFlags, Inotify},
};
use tokio::io::{Interest, unix::AsyncFd};

use super::Error;

/// A watch on a folder, or on the folder of a file: editors replace files.
pub struct Watch {
    inotify: Inotify,
    readable: AsyncFd<OwnedFd>,
    folder: PathBuf,
}

impl Watch {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the kernel has no more watches to give, or the path is not there.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let folder = match path.parent() {
            Some(parent) if !path.is_dir() && parent.as_os_str().is_empty() => Path::new(".").to_owned(),
            Some(parent) if !path.is_dir() => parent.to_owned(),
            _ => path.to_owned(),
        };
        let failed = |source| Error::Watch { path: folder.clone(), source };
        let system = |source| Error::System { what: "wait for changes of files", source };
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).map_err(failed)?;
        let file = inotify.as_fd().try_clone_to_owned().map_err(system)?;
        // SAFETY: the AsyncFd owns the descriptor, which stays open from now until both are dropped together.
        let readable = unsafe { AsyncFd::register_with_interest(file, Interest::READABLE) }
            .map_err(|e| system(e.into()))?;
        let watch = Self { inotify, readable, folder: folder.clone() };
        watch.renew().map_err(failed)?;
        Ok(watch)
    }

    /// Watches the folder that has the name now: it may have been replaced.
    ///
    /// # Errors
    /// When it is not there.
    pub fn renew(&self) -> Result<(), Errno> {
        // A file counts once it is closed: what is half written is not read.
        let news = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_MOVED_TO;
        self.inotify.add_watch(&self.folder, news).map(drop)
    }

    /// Waits until something in the folder has changed.
    ///
    /// # Errors
    /// When the kernel does not say any more.
    pub async fn changed(&self) -> Result<(), Error> {
        loop {
            let ready = self.readable.readable().await;
            let mut ready =
                ready.map_err(|source| Error::System { what: "wait for changes of files", source })?;
            match self.inotify.read_events() {
                Ok(_) => return Ok(()),
                Err(Errno::EAGAIN) => ready.clear_ready(),
                Err(Errno::EINTR) => {}
                Err(source) => return Err(Error::Watch { path: self.folder.clone(), source }),
            }
        }
    }
}
