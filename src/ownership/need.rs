//! What the seats need of the rest of the machine: counted, since most events touch one of thousands.

use super::memo::Memo;

/// What one seat needs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Need {
    /// Something is up, or under way in the kernel.
    pub(super) speaking: bool,
    /// The Lease names this node in its present epoch.
    pub(super) held: bool,
    /// It is a reason to renew briskly.
    pub(super) brisk: bool,
}

/// How many need what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needy {
    pub(super) speaking: usize,
    pub(super) held: usize,
    pub(super) brisk: usize,
}

impl Needy {
    /// What was counted for a seat is replaced by what it needs now.
    pub(super) fn count(&mut self, counted: &mut Memo<Need>, need: Need) {
        self.forget(counted);
        self.speaking += usize::from(need.speaking);
        self.held += usize::from(need.held);
        self.brisk += usize::from(need.brisk);
        counted.0 = need;
    }

    /// A seat is not counted any more.
    pub(super) fn forget(&mut self, counted: &mut Memo<Need>) {
        let need = std::mem::take(&mut counted.0);
        self.speaking -= usize::from(need.speaking);
        self.held -= usize::from(need.held);
        self.brisk -= usize::from(need.brisk);
    }
}
