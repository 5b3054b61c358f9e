//! The one cell that says until when this node's addresses may answer.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aya::maps::{Array, Map};

use super::error::FenceError;

/// All addresses of a node share its right, so that one write moves the deadline of a thousand.
const SLOT: u32 = 0;

/// The deadline in the kernel. Clones are the same cell.
#[derive(Clone, Debug)]
pub struct Cell(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    map: Mutex<Map>,
    /// What it says; a write that changes nothing is saved.
    said: AtomicU64,
}

impl Cell {
    /// # Errors
    /// When the map is not what it should be.
    pub(super) fn new(mut map: Map) -> Result<Self, FenceError> {
        let said = view(&mut map)?.get(&SLOT, 0).map_err(failed)?;
        Ok(Self(Arc::new(Inner { map: Mutex::new(map), said: AtomicU64::new(said) })))
    }

    /// Lets the addresses answer until `until` after the boot (`CLOCK_BOOTTIME`), and not a nanosecond longer; zero: not
    /// at all. The kernel knows it when this returns, and a call that comes late does no harm: the deadline is absolute.
    ///
    /// # Errors
    /// None is known; the kernel may refuse.
    pub fn set(&self, until: Duration) -> Result<(), FenceError> {
        let nanos = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX);
        let mut map = self.0.map.lock().unwrap_or_else(PoisonError::into_inner);
        if self.0.said.load(Ordering::Relaxed) == nanos {
            return Ok(());
        }
        view(&mut map)?.set(SLOT, nanos, 0).map_err(failed)?;
        self.0.said.store(nanos, Ordering::Relaxed);
        Ok(())
    }

    /// Until when they may answer, as the kernel knows it.
    #[must_use]
    pub fn get(&self) -> Duration {
        Duration::from_nanos(self.0.said.load(Ordering::Relaxed))
    }

    pub(super) fn pin(&self, path: &Path) -> Result<(), FenceError> {
        let map = self.0.map.lock().unwrap_or_else(PoisonError::into_inner);
        map.pin(path).map_err(|source| FenceError::Pin { path: path.to_owned(), source: Box::new(source) })
    }
}

fn view(map: &mut Map) -> Result<Array<&mut aya::maps::MapData, u64>, FenceError> {
    Array::try_from(map).map_err(failed)
}

fn failed(source: aya::maps::MapError) -> FenceError {
    FenceError::Map { what: "deadlines", source: Box::new(source) }
}
