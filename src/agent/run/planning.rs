//! Plans, as the loop sees to them: when one is made, and what is done by it. A thread of its own makes them, and the machine is
//! told one after the other what they change: with a thousand objects each of that takes longer than a promise may wait, and
//! an owner that does not ask for promises, or does not answer as a witness, takes addresses off the wire that nothing is wrong
//! with.

use std::collections::btree_map;
use std::ops::Bound;
use std::sync::mpsc;
use std::time::Duration;
use std::{io, mem, thread, vec};

use tokio::time::Instant;

use super::Agent;
use crate::agent::deadline::now;
use crate::agent::hand::Order;
use crate::agent::input::{Input, Inputs};
use crate::agent::planner;
use crate::agent::report::Here;
use crate::agent::scene::{Planned, Prospect, Scene};
use crate::agent::target::Target;
use crate::api::VipKey;
use crate::ownership::Event;

/// Plans are made at most this often, unless a node came or went.
const PAUSE: Duration = Duration::from_millis(5);

/// What comes together with a change, as the word that an address is silent does with the change of its Lease, is heard before
/// plans are made anew.
const DELAY: Duration = Duration::from_millis(1);

/// And so many times as long as the last plan took there is none, on whatever thread: many objects on a slow machine leave
/// time for everything else.
const SHARE: u32 = 4;

/// So long a plan is followed before the loop looks for what else there is.
const SLICE: Duration = Duration::from_millis(1);

/// And so long what else there is comes first then: what a plan sets going is answered while it is followed, and a claim that
/// succeeded is an address that nobody answers for yet.
const OTHERS: Duration = Duration::from_millis(3);

/// Starts the thread that makes plans; it ends when nobody can ask it any more.
///
/// # Errors
/// When the system refuses a thread.
pub fn planning(inputs: Inputs) -> io::Result<mpsc::Sender<Scene>> {
    let (scenes, asked) = mpsc::channel::<Scene>();
    thread::Builder::new().name("plans".to_owned()).spawn(move || {
        for scene in asked {
            inputs.send(Input::Planned(scene.plan()));
        }
    })?;
    Ok(scenes)
}

/// What the loop knows of its plans.
pub(super) struct Plans {
    /// One is to be made then, whatever else there is to do.
    due: Option<Instant>,
    /// One is to be made then, or after the rest.
    soon: Option<Instant>,
    /// No plan before this, unless one is due.
    rest: Instant,
    stage: Stage,
    /// No more of the last one before this, unless there is nothing else to do.
    pause: Instant,
    /// It was made before the one that it followed was done with; it is not left like that itself.
    hurried: bool,
    /// The time that the last plan has taken.
    spent: Duration,
}

/// How far the last plan is.
enum Stage {
    /// It is followed, or there was none.
    Done,
    /// It is being made.
    Asked,
    /// The machine is being told.
    Told {
        /// That others may have what is not in the plan.
        gone: vec::IntoIter<Event>,
        /// What it has not heard of yet.
        plan: btree_map::IntoIter<VipKey, Planned>,
        /// Whether it is a plan for leaving.
        leaving: bool,
    },
    /// Whatever else follows from it is done, for one `VirtualIP` after the other.
    Tidied {
        /// The last of them.
        last: Option<VipKey>,
    },
}

impl Default for Plans {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            due: None,
            soon: None,
            rest: now,
            stage: Stage::Done,
            pause: now,
            hurried: false,
            spent: Duration::ZERO,
        }
    }
}

impl Plans {
    /// When a plan is to be made; none while one is. What is due does not wait for what else follows from the last one, which
    /// follows from the next one as well; but not twice, or it would never be done.
    pub(super) fn next(&self, overdue: Option<Instant>) -> Option<Instant> {
        match self.stage {
            Stage::Done => {
                let soon = self.soon.map(|soon| soon.max(self.rest));
                [self.due, soon, overdue].into_iter().flatten().min()
            }
            Stage::Tidied { .. } if !self.hurried => self.due,
            Stage::Asked | Stage::Told { .. } | Stage::Tidied { .. } => None,
        }
    }

    /// Whether more is to be done about the last one.
    pub(super) fn goes_on(&self) -> bool {
        matches!(self.stage, Stage::Told { .. } | Stage::Tidied { .. })
    }
}

impl Agent {
    /// Has a plan made when everything else has had its time.
    pub(super) fn plan_soon(&mut self) {
        self.plans.soon.get_or_insert_with(|| Instant::now() + DELAY);
    }

    /// Has a plan made as soon as none is under way: a node came or went.
    pub(super) fn plan_now(&mut self) {
        self.plans.due = Some(Instant::now());
    }

    /// Has a plan made if it is time.
    pub(super) fn plan_if_due(&mut self) {
        let due = self.plans.next(self.overdue()).is_some_and(|due| due <= Instant::now());
        if !self.listed || !due {
            return;
        }
        let Ok(now) = now() else { return };
        (self.plans.due, self.plans.soon) = (None, None);
        let leaving = self.leaving.is_some();
        let scene = self.planner.scene(&self.machine, now, &self.interfaces, leaving);
        // The thread has ended only if the process is about to.
        if self.outside.scenes.send(scene).is_ok() {
            self.plans.hurried = matches!(self.plans.stage, Stage::Tidied { .. });
            self.plans.stage = Stage::Asked;
        }
    }

    /// The plan is made.
    pub(super) fn planned(&mut self, prospect: Prospect) {
        let Prospect { planned, leaving, took } = prospect;
        let gone = self.planner.begin(&planned).into_iter();
        self.plans.spent = took;
        self.plans.stage = Stage::Told { gone, plan: planned.into_iter(), leaving };
    }

    /// Goes on with the plan for a while; `busy`: there may be something else to do.
    pub(super) fn follow_plan(&mut self, busy: bool) {
        let began = Instant::now();
        if !self.plans.goes_on() || (busy && began < self.plans.pause) {
            return;
        }
        while self.plans.goes_on() && began.elapsed() < SLICE {
            self.plans.stage = match mem::replace(&mut self.plans.stage, Stage::Done) {
                Stage::Told { gone, plan, leaving } => self.tell(gone, plan, leaving),
                Stage::Tidied { last } => self.tidy(last.as_ref()),
                other => other,
            };
        }
        self.plans.spent += began.elapsed();
        self.plans.pause = Instant::now() + OTHERS;
        if matches!(self.plans.stage, Stage::Done) {
            self.plans.rest = Instant::now() + PAUSE.max(self.plans.spent * SHARE);
        }
    }

    /// Tells the machine the next thing that the plan changes.
    fn tell(
        &mut self,
        mut gone: vec::IntoIter<Event>,
        mut plan: btree_map::IntoIter<VipKey, Planned>,
        leaving: bool,
    ) -> Stage {
        if let Some(event) = gone.next() {
            self.step(event);
        } else if let Some((key, planned)) = plan.next() {
            if let Some(event) = self.planner.follow(key, planned, &self.machine, self.uninstalling) {
                self.step(event);
            }
        } else {
            if leaving {
                // Not before: now it is known who comes next.
                self.step(Event::Leave);
            }
            self.planner.settle(&self.machine);
            return Stage::Tidied { last: None };
        }
        Stage::Told { gone, plan, leaving }
    }

    /// Does what else follows for the `VirtualIP` after `last`.
    fn tidy(&mut self, last: Option<&VipKey>) -> Stage {
        let after = last.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.planner.planned.range::<VipKey, _>((after, Bound::Unbounded)).next();
        let Some((key, planned)) = next.map(|(key, planned)| (key.clone(), planned.clone())) else {
            self.attend();
            self.outside.report.keep_planned(&self.planner);
            let here = Here { interfaces: &self.interfaces, links: &self.links, peers: &self.outside.peers };
            self.outside.report.node(&self.machine, &here);
            return Stage::Done;
        };
        self.guard(&key, &planned);
        self.probe(&key, &planned);
        self.handle(&key, &planned);
        self.outside.report.virtual_ip(&key, &planned, &self.machine, &self.planner, &self.links);
        Stage::Tidied { last: Some(key) }
    }

    /// What is up follows a spec, or labels of this node, that have changed.
    fn handle(&mut self, key: &VipKey, planned: &Planned) {
        let (Some(before), Some(object)) = (self.handled.get_mut(key), &planned.object) else { return };
        let addresses = before.iter().map(Target::ip).collect();
        let targets = Target::these(&object.spec, &self.planner.labels(), &addresses);
        if *before != targets {
            before.clone_from(&targets);
            self.order(Order::Handle { key: key.clone(), targets });
        }
    }

    /// What this node does for `VirtualIP`s that it does not, or not yet, hold.
    pub(super) fn attend(&mut self) {
        let leaving = self.leaving.is_some() || self.uninstalling;
        let mut attended = self.planner.attend(&self.machine, &self.links, leaving);
        if self.uninstalling {
            attended.fence.clear();
        }
        if self.attended.as_ref() != Some(&attended) {
            self.order(Order::Loopback(attended.loopback.clone()));
            self.order(Order::Prepare(attended.prepare.clone()));
            self.order(Order::Fence(attended.fence.clone()));
            self.attended = Some(attended);
        }
    }

    /// Puts the finalizer on where this node is the first to assign, and takes it off where nobody holds any more.
    fn guard(&self, key: &VipKey, planned: &Planned) {
        let Some(object) = &planned.object else { return };
        let deleting = object.metadata.deletion_timestamp.is_some() || self.uninstalling;
        if deleting {
            if planned.steward && self.machine.title(key).is_none() {
                self.outside.guards.set(object, false);
            }
        } else if self.leaving.is_none() && planner::best(planned, &self.me) {
            self.outside.guards.set(object, true);
        }
    }

    /// Looks for foreign hosts before a first assignment.
    fn probe(&mut self, key: &VipKey, planned: &Planned) {
        let (Some(object), None) = (&planned.object, self.machine.title(key)) else { return };
        let Some(rank) = planned.plan.rank(&self.me.0) else { return };
        let probed = self.planner.probes.clear(key) || !planner::wants_probe(object);
        let fresh = object.metadata.deletion_timestamp.is_none() && !probed;
        // Where another object has the address, one of our own nodes would answer.
        let entitled = &planned.entitlement.addresses;
        if !fresh || entitled.is_empty() || !self.planner.probes.begin(key, rank) {
            return;
        }
        let targets = Target::these(&object.spec, &self.planner.labels(), entitled);
        let found = |target: &Target| Some((target.link(&self.links).ok()?.clone(), target.ip()));
        let places = targets.iter().filter_map(found).collect();
        self.planner.probes.start(&self.outside.aside, key.clone(), places, self.outside.inputs.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::planner::Planner;
    use crate::agent::watches::Objects;
    use crate::ownership::{Machine, NodeName, Time, Timing};

    fn machine() -> Machine {
        let timing = Timing::new(Duration::from_secs(3), Duration::from_secs(1)).unwrap();
        Machine::new(NodeName("n1".into()), timing, 1)
    }

    #[test]
    fn what_comes_soon_waits_for_the_rest_and_what_is_due_for_nothing_but_the_last_plan() {
        let now = Instant::now();
        let rest = now + Duration::from_secs(1);
        let calm = Plans { rest, ..Plans::default() };
        assert_eq!(calm.next(None), None);
        assert_eq!(calm.next(Some(now)), Some(now), "it was put off until then");
        let soon = Plans { soon: Some(now), rest, ..Plans::default() };
        assert_eq!(soon.next(None), Some(rest));
        let due = Plans { due: Some(now), ..soon };
        assert_eq!(due.next(None), Some(now));
        let tidied = Plans { stage: Stage::Tidied { last: None }, ..due };
        assert_eq!(tidied.next(None), Some(now), "it does not wait for the rest after the last plan");
        let hurried = Plans { hurried: true, ..tidied };
        assert_eq!(hurried.next(Some(now)), None, "but once only");
        let asked = Plans { stage: Stage::Asked, ..hurried };
        assert_eq!(asked.next(Some(now)), None);
    }

    #[test]
    fn a_plan_is_made_elsewhere_and_comes_in_by_the_door_of_the_loop() {
        let (inputs, mut door) = Inputs::new();
        let scenes = planning(inputs).unwrap();
        let scene =
            Planner::new("n1".into(), Objects::nothing()).scene(&machine(), Time::default(), &[], false);
        scenes.send(scene).unwrap();
        let Some(Input::Planned(prospect)) = door.blocking_recv() else { panic!() };
        assert!(prospect.planned.is_empty());
        drop(scenes);
        assert!(door.blocking_recv().is_none(), "the thread ends with the loop");
    }
}
