//! Which addresses nobody answers for, for how long, and what that comes from.

use std::collections::BTreeMap;

use super::world::{Happening, World};
use super::{Instant, MILLI, SECOND, wide_index};

/// How often it is looked. A shorter silence may be missed, but not that two answer: that is judged at every call.
const EVERY: u64 = 50 * MILLI;
/// A fault that is over is still what a silence comes from if it began no longer ago than this.
const MEMORY: u64 = 20 * SECOND;

/// What a silence comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    Created,
    PoweredOff,
    AgentKilled,
    AgentPaused,
    CutFromApi,
    CutFromPeers,
    WatchStalled,
    ApiAway,
    BadNetwork,
    HandedOver,
    Other,
}

impl Cause {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::PoweredOff => "node powered off",
            Self::AgentKilled => "agent killed",
            Self::AgentPaused => "agent paused",
            Self::CutFromApi => "node cut from the API",
            Self::CutFromPeers => "node cut from its peers",
            Self::WatchStalled => "watch stalled",
            Self::ApiAway => "API server away",
            Self::BadNetwork => "requests lost or slow",
            Self::HandedOver => "handed over",
            Self::Other => "other",
        }
    }
}

/// The silences that come from one cause.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Silences {
    pub(super) count: u64,
    pub(super) total: u64,
    pub(super) longest: u64,
}

#[derive(Clone, Copy, Debug)]
struct Vip {
    owner: Option<usize>,
    silent: Option<(Instant, Cause)>,
}

/// One entry for each `VirtualIP`.
#[derive(Clone, Debug, Default)]
pub(super) struct Census {
    vips: Vec<Vip>,
    blamed: BTreeMap<usize, (Instant, Cause)>,
    pub(super) silences: BTreeMap<Cause, Silences>,
}

impl Census {
    pub(super) fn new(vips: usize) -> Self {
        let vip = Vip { owner: None, silent: Some((0, Cause::Created)) };
        Self { vips: vec![vip; vips], ..Self::default() }
    }

    /// How many addresses nobody answers for.
    pub(super) fn silent(&self) -> usize {
        self.vips.iter().filter(|vip| vip.silent.is_some()).count()
    }

    /// Who answered for it last.
    pub(super) fn owner(&self, vip: usize) -> Option<usize> {
        self.vips[vip].owner
    }
}

impl World {
    /// Begins to look.
    pub(super) fn count(&mut self, vips: usize) {
        self.census = Some(Census::new(vips));
        self.after(EVERY, Happening::Census);
    }

    pub(super) fn blame(&mut self, node: usize, cause: Cause) {
        let now = self.now;
        if let Some(census) = &mut self.census {
            census.blamed.insert(node, (now, cause));
        }
    }

    pub(super) fn take_census(&mut self) {
        self.after(EVERY, Happening::Census);
        let Some(mut census) = self.census.take() else { return };
        let mut owners = vec![None; census.vips.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            if !node.kernel.open(node.clock(self.now)) {
                continue;
            }
            for vip in node.kernel.up.keys().filter_map(|address| wide_index(*address)) {
                if let Some(other) = owners[vip].replace(index) {
                    self.failure.get_or_insert(format!("two owners of vip{vip}: n{other} and n{index}"));
                }
            }
        }
        for (vip, owner) in census.vips.iter_mut().zip(owners) {
            match (owner, vip.silent) {
                (Some(_), Some((since, cause))) => {
                    let span = self.now - since;
                    let silences = census.silences.entry(cause).or_default();
                    silences.count += 1;
                    silences.total += span;
                    silences.longest = silences.longest.max(span);
                    vip.silent = None;
                }
                (None, None) => {
                    let cause = self.cause(vip.owner, &census.blamed);
                    vip.silent = Some((self.now, cause));
                }
                (Some(_), None) | (None, Some(_)) => {}
            }
            vip.owner = owner.or(vip.owner);
        }
        self.census = Some(census);
    }

    /// What the silence of an address that was last on this node comes from.
    fn cause(&self, owner: Option<usize>, blamed: &BTreeMap<usize, (Instant, Cause)>) -> Cause {
        let Some(owner) = owner else { return Cause::Created };
        let node = &self.nodes[owner];
        if node.off {
            return Cause::PoweredOff;
        }
        let Some(process) = &node.process else { return Cause::AgentKilled };
        if self.now < node.paused_until {
            return Cause::AgentPaused;
        }
        if process.leaving || self.plan.specs.standby.contains(&node.name) {
            return Cause::HandedOver;
        }
        if self.away() {
            return Cause::ApiAway;
        }
        if self.now < node.cut_until {
            return Cause::CutFromApi;
        }
        let recent = blamed.get(&owner).filter(|(at, _)| self.now - at < MEMORY);
        match recent {
            Some((_, cause)) => *cause,
            None if self.weather.bad() || self.currents.bad() => Cause::BadNetwork,
            None if self.now.saturating_sub(self.outage.until) < MEMORY => Cause::ApiAway,
            None => Cause::Other,
        }
    }
}
