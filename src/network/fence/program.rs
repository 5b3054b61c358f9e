//! The program and its maps: into the kernel, and kept there when this process ends.

use std::{
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
};

use aya::{
    Ebpf, EbpfLoader, Pod, include_bytes_aligned,
    maps::{HashMap, Map, MapData, MapError},
    programs::SchedClassifier,
};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use super::{deadline::Cell, error::FenceError, gates::Gates, sieve::Sieve};

/// Empty where no BPF compiler was found: see build.rs.
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/fence.bpf.o"));

/// Whether this binary was built where a BPF compiler was, and has the fence's program.
#[must_use]
pub const fn is_built() -> bool {
    !OBJECT.is_empty()
}

/// Maps are found again under these names: whoever changes what is in one gives it another name.
const MAPS: [&str; 6] = [GUARDED4, GUARDED6, SHUT, SIEVE, DEADLINES, INTERFACES];
pub(super) const GUARDED4: &str = "guarded4";
pub(super) const GUARDED6: &str = "guarded6";
pub(super) const SHUT: &str = "shut";
const SIEVE: &str = "sieve";
const DEADLINES: &str = "deadlines";
const INTERFACES: &str = "interfaces";

/// The way that packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Out,
    In,
}

impl Way {
    pub(super) const BOTH: [Self; 2] = [Self::Out, Self::In];

    /// The name of its program.
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Out => "vip_fence_out",
            Self::In => "vip_fence_in",
        }
    }
}

/// The loaded object.
#[derive(Debug)]
pub(super) struct Program {
    object: Ebpf,
    cell: Cell,
    gates: Gates,
    sieve: Sieve,
    pins: PathBuf,
    pinned: bool,
}

impl Program {
    /// Loads it, with the maps that a former life kept in `pins`, or new ones.
    pub(super) fn load(pins: &Path) -> Result<Self, FenceError> {
        if !is_built() {
            return Err(FenceError::NotBuilt);
        }
        let file_system = pins.parent().unwrap_or(pins);
        if !statfs(file_system).is_ok_and(|kind| kind.filesystem_type() == BPF_FS_MAGIC) {
            return Err(FenceError::NoFileSystem(file_system.to_owned()));
        }
        // All or none: half of them would be a former life that was killed while it tidied up.
        let pinned = MAPS.iter().all(|map| pins.join(map).exists());
        let mut loader = EbpfLoader::new();
        if pinned {
            for map in MAPS {
                loader.map_pin_path(map, pins.join(map));
            }
        }
        let mut object = loader.load(OBJECT).map_err(|source| FenceError::Load(Box::new(source)))?;
        for way in Way::BOTH {
            let taken = classifier(&mut object, way)?.load();
            taken.map_err(|source| FenceError::Program(Box::new(source)))?;
        }
        let mut take = |name| object.take_map(name).ok_or(FenceError::Missing(name));
        let cell = Cell::new(take(DEADLINES)?)?;
        let gates = Gates::new([take(GUARDED4)?, take(GUARDED6)?, take(SHUT)?])?;
        let sieve = Sieve::new(take(SIEVE)?, &gates.guarded()).map_err(failed(SIEVE))?;
        Ok(Self { object, cell, gates, sieve, pins: pins.to_owned(), pinned })
    }

    pub(super) fn classifier(&mut self, way: Way) -> Result<&mut SchedClassifier, FenceError> {
        classifier(&mut self.object, way)
    }

    pub(super) fn cell(&self) -> &Cell {
        &self.cell
    }

    pub(super) fn gates(&self) -> &Gates {
        &self.gates
    }

    /// Keeps the maps when this process ends.
    pub(super) fn pin(&mut self) -> Result<(), FenceError> {
        if self.pinned {
            return Ok(());
        }
        self.unpin()?;
        fs::create_dir(&self.pins).map_err(self.directory())?;
        self.cell.pin(&self.pins.join(DEADLINES))?;
        self.gates.pin(&self.pins)?;
        for name in [SIEVE, INTERFACES] {
            let path = self.pins.join(name);
            let map = if name == SIEVE { Some(self.sieve.map()) } else { self.object.map(name) };
            let map = map.ok_or(FenceError::Missing(name))?;
            map.pin(&path).map_err(|source| FenceError::Pin { path, source: Box::new(source) })?;
        }
        self.pinned = true;
        Ok(())
    }

    /// Lets the maps go with this process.
    pub(super) fn unpin(&mut self) -> Result<(), FenceError> {
        self.pinned = false;
        match fs::remove_dir_all(&self.pins) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.directory()(error)),
            _ => Ok(()),
        }
    }

    fn directory(&self) -> impl FnOnce(io::Error) -> FenceError + use<> {
        let path = self.pins.clone();
        |source| FenceError::Directory { path, source }
    }

    /// From now on this address is judged.
    pub(super) fn insert(&mut self, address: IpAddr) -> Result<(), FenceError> {
        if !self.gates.guards(address) {
            let refused = |source| FenceError::Guard { address, source: Box::new(source) };
            self.sieve.insert(address).map_err(refused)?;
        }
        self.gates.guard(address)
    }

    /// This address is nothing to us any more.
    pub(super) fn remove(&mut self, address: IpAddr) -> Result<(), FenceError> {
        if !self.gates.guards(address) {
            return Ok(());
        }
        let removed = self.gates.forget(address);
        removed.and_then(|()| self.sieve.remove(address)).map_err(failed("guarded addresses"))
    }

    /// The interfaces on which we stand, each with whether the qdisc there is ours.
    pub(super) fn interfaces(&mut self) -> Result<Vec<(u32, bool)>, FenceError> {
        let map: HashMap<_, u32, u32> = self.map(INTERFACES)?.try_into().map_err(failed(INTERFACES))?;
        let all: Result<Vec<_>, _> = map.iter().collect();
        Ok(all.map_err(failed(INTERFACES))?.into_iter().map(|(link, made)| (link, made == 1)).collect())
    }

    pub(super) fn note_interface(&mut self, link: u32, made: bool) -> Result<(), FenceError> {
        put(self.map(INTERFACES)?, link, made.into()).map_err(failed(INTERFACES))
    }

    pub(super) fn forget_interface(&mut self, link: u32) -> Result<(), FenceError> {
        take(self.map(INTERFACES)?, link).map_err(failed(INTERFACES))
    }

    fn map(&mut self, name: &'static str) -> Result<&mut Map, FenceError> {
        self.object.map_mut(name).ok_or(FenceError::Missing(name))
    }
}

fn classifier(object: &mut Ebpf, way: Way) -> Result<&mut SchedClassifier, FenceError> {
    let program = object.program_mut(way.program()).ok_or(FenceError::Missing(way.program()))?;
    program.try_into().map_err(|source| FenceError::Program(Box::new(source)))
}

pub(super) fn put<K: Pod>(map: &mut Map, key: K, value: u32) -> Result<(), MapError> {
    HashMap::<&mut MapData, K, u32>::try_from(map)?.insert(key, value, 0)
}

/// What is not there is as good as taken away.
pub(super) fn take<K: Pod>(map: &mut Map, key: K) -> Result<(), MapError> {
    match HashMap::<&mut MapData, K, u32>::try_from(map)?.remove(&key) {
        Err(MapError::KeyNotFound) => Ok(()),
        Err(MapError::SyscallError(error)) if error.io_error.kind() == io::ErrorKind::NotFound => Ok(()),
        taken => taken,
    }
}

pub(super) fn failed(what: &'static str) -> impl Fn(MapError) -> FenceError {
    move |source| FenceError::Map { what, source: Box::new(source) }
}
