//! The exact fence: a BPF program that lets nothing out for an address past its node's deadline.
//!
//! Kernel lifetimes count whole seconds from a system call, end late, and a process that slept before the call gives
//! more than it had. Here the deadline is absolute, in nanoseconds of `CLOCK_BOOTTIME`, and looked at for each packet by
//! the kernel itself, whatever has become of the process that set it. See fence.bpf.c for what is stopped.
//!
//! What is in the kernel outlives the process, and the next one finds it: the filters by their handle, the maps by
//! their names in a BPF file system.

mod attach;
mod deadline;
mod error;
mod gates;
mod place;
mod program;
mod sieve;

use std::{
    collections::BTreeSet,
    net::IpAddr,
    path::{Path, PathBuf},
};

use nix::net::if_::if_indextoname;

use super::Kernel;
pub use deadline::Cell;
pub use error::FenceError;
pub use gates::{Doubt, Gates};
pub use program::is_built;
use program::{Program, Way};

/// Where the maps are kept.
pub const PINS: &str = "/sys/fs/bpf/virtualip";

/// The fence of this node. One at a time: see [`super::HostLock`].
#[derive(Debug)]
pub struct Fence {
    program: Program,
    kernel: Kernel,
    /// What was asked for in this life.
    guarded: BTreeSet<(u32, IpAddr)>,
    /// Interfaces without such an address on which the program stands, too, for as long as anything is guarded.
    beside: BTreeSet<u32>,
    /// Interfaces on which it stands whether or not anything is guarded: see [`Fence::stand_on`].
    awaiting: BTreeSet<u32>,
}

impl Fence {
    /// Loads the fence. What a former life left goes on under its deadline, judged by this program from now on: see
    /// [`Fence::keep`] and [`Fence::stand_on`].
    ///
    /// # Errors
    /// [`FenceError`] says why this node cannot have one.
    pub fn open(kernel: Kernel, pins: &Path) -> Result<Self, FenceError> {
        let mut program = Program::load(pins)?;
        for (link, made) in program.interfaces()? {
            // An interface that is gone took everything along.
            let Some(name) = name(link) else {
                program.forget_interface(link)?;
                continue;
            };
            stand(&mut program, link, &name, made)?;
            for way in Way::BOTH {
                attach::replace(program.classifier(way)?, &name, way)?;
            }
        }
        Ok(Self {
            program,
            kernel,
            guarded: BTreeSet::new(),
            beside: BTreeSet::new(),
            awaiting: BTreeSet::new(),
        })
    }

    /// The usual place, [`PINS`].
    #[must_use]
    pub fn pins() -> PathBuf {
        PINS.into()
    }

    /// The deadline of all addresses. Set it before the first is guarded: at first it gives no right.
    #[must_use]
    pub fn deadline(&self) -> Cell {
        self.program.cell().clone()
    }

    /// The gates of the addresses.
    #[must_use]
    pub fn gates(&self) -> Gates {
        self.program.gates().clone()
    }

    /// From now on `address` answers on the interface with index `link` only before the deadline. Guard it before it is
    /// added; to guard it twice does no harm.
    ///
    /// # Errors
    /// Then nothing is promised.
    pub fn guard(&mut self, link: u32, address: IpAddr) -> Result<(), FenceError> {
        self.program.pin()?;
        // Also of one that is guarded: its gate may not be as was decided, if that went wrong.
        self.program.insert(address)?;
        if self.guarded.contains(&(link, address)) {
            return Ok(());
        }
        if !self.is_needed(link) {
            let name = name(link).ok_or(FenceError::NoLink(link))?;
            stand(&mut self.program, link, &name, false)?;
        }
        self.guarded.insert((link, address));
        Ok(())
    }

    /// From now on no guarded address answers on the interface with index `link` past the deadline either, where the kernel
    /// might answer for addresses of other interfaces. One that is gone answers nothing.
    ///
    /// # Errors
    /// Then nothing is promised there.
    pub fn guard_beside(&mut self, link: u32) -> Result<(), FenceError> {
        self.reach(link)?;
        self.beside.insert(link);
        Ok(())
    }

    /// The program stands on the interface, if there is one.
    fn reach(&mut self, link: u32) -> Result<(), FenceError> {
        if !self.is_needed(link)
            && let Some(name) = name(link)
        {
            stand(&mut self.program, link, &name, false)?;
        }
        Ok(())
    }

    fn is_needed(&self, link: u32) -> bool {
        self.beside.contains(&link)
            || self.awaiting.contains(&link)
            || self.guarded.iter().any(|(there, _)| *there == link)
    }

    /// Stands on exactly these interfaces, and wherever something is guarded; takes away what a former life left elsewhere.
    ///
    /// The kernel lets an interface send nothing while it makes or removes the place for filters (`qdisc_graft`), some
    /// milliseconds, and frames are lost meanwhile. So it is done once, long before an address comes, and not when one goes.
    ///
    /// # Errors
    /// The first of what does not go.
    pub async fn stand_on(&mut self, links: &BTreeSet<u32>) -> Result<(), FenceError> {
        let mut result = Ok(());
        self.awaiting.retain(|link| links.contains(link));
        if !links.is_empty() {
            self.program.pin()?;
        }
        for link in links {
            match self.reach(*link) {
                Ok(()) => drop(self.awaiting.insert(*link)),
                Err(error) => result = result.and(Err(error)),
            }
        }
        result.and(self.sweep().await)
    }

    /// How many addresses are guarded, one on two interfaces counted twice.
    #[must_use]
    pub fn count(&self) -> usize {
        self.guarded.len()
    }

    /// Puts the program there again where somebody took it away, other programs' cleaning for instance.
    ///
    /// # Errors
    /// The first of what does not go: nothing is promised for the addresses of that interface.
    pub fn repair(&mut self) -> Result<(), FenceError> {
        let links: BTreeSet<u32> = self.guarded.iter().map(|(link, _)| *link).collect();
        for link in &(&links | &self.beside) | &self.awaiting {
            // One that is gone took its addresses along; whoever guards them will hear of it.
            if let Some(name) = name(link) {
                stand(&mut self.program, link, &name, false)?;
            }
        }
        Ok(())
    }

    /// Goes on guarding what a former life guarded; says whether it did.
    ///
    /// # Errors
    /// When the maps cannot be read.
    pub fn keep(&mut self, link: u32, address: IpAddr) -> Result<bool, FenceError> {
        let known = self.program.gates().guards(address)
            && self.program.interfaces()?.iter().any(|(there, _)| *there == link);
        if known {
            self.guarded.insert((link, address));
        }
        Ok(known)
    }

    /// The address is silent here: it is somebody else's now. With the last one of an interface the program goes, and with
    /// the last of all everything.
    ///
    /// # Errors
    /// When something is left behind; [`Fence::stand_on`] tries again.
    pub async fn release(&mut self, link: u32, address: IpAddr) -> Result<(), FenceError> {
        self.guarded.remove(&(link, address));
        if !self.guarded.iter().any(|(_, other)| *other == address) {
            self.program.remove(address)?;
        }
        let mut unneeded = BTreeSet::from([link]);
        if self.guarded.is_empty() {
            unneeded.append(&mut self.beside);
        }
        let mut result = Ok(());
        for link in unneeded.into_iter().filter(|link| !self.is_needed(*link)).collect::<Vec<_>>() {
            result = result.and(self.clear(link).await);
        }
        result
    }

    /// Releases everything that is not `wanted`.
    ///
    /// # Errors
    /// The first of what is left behind.
    pub async fn retain(&mut self, wanted: impl Fn(u32, IpAddr) -> bool) -> Result<(), FenceError> {
        let unwanted: Vec<_> =
            self.guarded.iter().filter(|(link, address)| !wanted(*link, *address)).copied().collect();
        let mut result = Ok(());
        for (link, address) in unwanted {
            result = result.and(self.release(link, address).await);
        }
        result
    }

    /// Takes away what a former life left and nobody guards in this one.
    async fn sweep(&mut self) -> Result<(), FenceError> {
        for address in self.program.gates().guarded() {
            if !self.guarded.iter().any(|(_, guarded)| *guarded == address) {
                self.program.remove(address)?;
            }
        }
        for (link, _) in self.program.interfaces()? {
            if !self.is_needed(link) {
                self.clear(link).await?;
            }
        }
        if self.program.interfaces()?.is_empty() { self.program.unpin() } else { Ok(()) }
    }

    /// Leaves an interface as it was found.
    async fn clear(&mut self, link: u32) -> Result<(), FenceError> {
        let interfaces = self.program.interfaces()?;
        if let (Some((_, made)), Some(name)) =
            (interfaces.iter().find(|(there, _)| *there == link), name(link))
        {
            for way in Way::BOTH {
                attach::go(&name, way)?;
            }
            let failed = |source| FenceError::Tidy { link, source: Box::new(source) };
            if *made && !place::in_use(&self.kernel, link).await.map_err(failed)? {
                place::remove(&self.kernel, link).await.map_err(failed)?;
            }
        }
        self.program.forget_interface(link)?;
        if interfaces.iter().all(|(there, _)| *there == link) { self.program.unpin() } else { Ok(()) }
    }
}

/// The program stands on the interface when this returns. `made`: whether the place for filters is known to be ours.
fn stand(program: &mut Program, link: u32, name: &str, made: bool) -> Result<(), FenceError> {
    let known = program.interfaces()?.iter().any(|(there, _)| *there == link);
    if attach::make_place(name)? {
        program.note_interface(link, true)?;
    } else if !known {
        program.note_interface(link, made)?;
    }
    for way in Way::BOTH {
        attach::stand(program.classifier(way)?, name, way)?;
        if !known {
            // One that was there may be another version's, which looks into maps that nobody writes any more.
            attach::replace(program.classifier(way)?, name, way)?;
        }
    }
    Ok(())
}

/// The interface's name of now; none when it is gone.
fn name(link: u32) -> Option<String> {
    let name = if_indextoname(link).ok()?.into_string().ok()?;
    (!name.is_empty()).then_some(name)
}
