//! Which keys count at a moment, and when the Secret has to be written. Pure.

use std::time::{Duration, Instant};

use super::slots::Slots;
use crate::mesh::{Key, KeyRing};

/// How long a key must be known before this agent signs with it while it has another: the others hear of it meanwhile.
const SETTLE: Duration = Duration::from_secs(10);

/// For how long a key is accepted after it has left the Secret.
const GRACE: Duration = Duration::from_mins(1);

/// How long an agent that has never seen a key waits before it makes the Secret: others may know keys that should go on.
const PATIENCE: Duration = Duration::from_secs(1);

/// Wait after a write, whatever became of it: the watch says what is there now.
const PAUSE: Duration = Duration::from_secs(2);

/// How often keys are changed.
#[derive(Clone, Copy, Debug)]
pub struct Spans {
    /// An agent that has known the keys unchanged for so long changes them.
    pub period: Duration,
    /// Added to it, different for each agent, so that not all of them try at once.
    pub jitter: Duration,
}

/// What the API server said of the Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It has these keys, at this resourceVersion.
    Keys(String, Slots),
    /// It makes no sense, at this resourceVersion.
    Broken(String),
    /// It does not exist.
    Absent,
}

/// A write by compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The resourceVersion that must be there; none: nothing must be there.
    pub expect: Option<String>,
    /// What shall be there.
    pub slots: Slots,
}

#[derive(Debug)]
struct Learned {
    key: Key,
    at: Instant,
    /// When it left the Secret.
    gone: Option<Instant>,
}

/// The keys of this agent.
#[derive(Debug)]
pub struct Store {
    spans: Spans,
    /// None: the API server has not said anything yet.
    seen: Option<Seen>,
    /// Since when.
    since: Instant,
    /// The last keys that the Secret had.
    slots: Option<Slots>,
    signing: Option<Key>,
    learned: Vec<Learned>,
    /// No write before this.
    rest: Option<Instant>,
}

impl Store {
    /// A store without keys.
    #[must_use]
    pub fn new(spans: Spans, now: Instant) -> Self {
        let learned = Vec::new();
        Self { spans, seen: None, since: now, slots: None, signing: None, learned, rest: None }
    }

    /// The API server said this of the Secret.
    pub fn observe(&mut self, seen: Seen, now: Instant) {
        if self.seen.as_ref() == Some(&seen) {
            return;
        }
        if let Seen::Keys(_, slots) = &seen {
            for learned in &mut self.learned {
                let stays = slots.keys().any(|key| *key == learned.key);
                learned.gone = if stays { None } else { learned.gone.or(Some(now)) };
            }
            for key in slots.keys() {
                if !self.learned.iter().any(|learned| learned.key == *key) {
                    self.learned.push(Learned { key: key.clone(), at: now, gone: None });
                }
            }
            self.slots = Some(slots.clone());
        }
        self.seen = Some(seen);
        self.since = now;
    }

    /// The keys that count now.
    pub fn ring(&mut self, now: Instant) -> KeyRing {
        if self.signing.is_none() || self.settles().is_some_and(|at| at <= now) {
            self.signing = self.slots.as_ref().map(|slots| slots.current.clone());
        }
        let signing = self.signing.as_ref();
        self.learned.retain(|learned| {
            signing == Some(&learned.key) || learned.gone.is_none_or(|gone| now < gone + GRACE)
        });
        let accepted = self.learned.iter().map(|learned| learned.key.clone());
        signing.map_or_else(KeyRing::default, |signing| KeyRing::new(signing.clone(), accepted))
    }

    /// The write that is due, with keys from `draw`; none of them, no write.
    pub fn due(&mut self, now: Instant, mut draw: impl FnMut() -> Option<Key>) -> Option<Write> {
        if self.writes().is_none_or(|at| now < at) {
            return None;
        }
        let expect = match self.seen.as_ref()? {
            Seen::Keys(version, slots) => {
                let write = Write { expect: Some(version.clone()), slots: slots.changed(draw()?) };
                self.rest = Some(now + PAUSE);
                return Some(write);
            }
            Seen::Broken(version) => Some(version.clone()),
            Seen::Absent => None,
        };
        self.rest = Some(now + PAUSE);
        // What was deleted may be known to somebody who should not: nothing but the key in use goes on, for one period.
        Some(Write {
            expect,
            slots: Slots { previous: self.signing.clone(), current: draw()?, next: draw()? },
        })
    }

    /// When [`Store::ring`] or [`Store::due`] may say something new without another word of the API server.
    #[must_use]
    pub fn wakes(&self) -> Option<Instant> {
        let gone = self.learned.iter().filter_map(|learned| Some(learned.gone? + GRACE));
        gone.chain(self.settles()).chain(self.writes()).min()
    }

    /// When the key of the Secret is signed with, if it is not yet.
    fn settles(&self) -> Option<Instant> {
        let current = &self.slots.as_ref()?.current;
        if self.signing.as_ref() == Some(current) {
            return None;
        }
        self.learned.iter().find(|learned| learned.key == *current).map(|learned| learned.at + SETTLE)
    }

    fn writes(&self) -> Option<Instant> {
        let due = match self.seen.as_ref()? {
            Seen::Keys(..) => self.since + self.spans.period + self.spans.jitter,
            Seen::Broken(_) | Seen::Absent if self.signing.is_some() => self.since,
            Seen::Broken(_) | Seen::Absent => self.since + PATIENCE,
        };
        Some(self.rest.map_or(due, |rest| due.max(rest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_hours(24);

    fn key(byte: u8) -> Key {
        Key::new(&[byte; 32]).unwrap()
    }

    /// The Secret and some agents.
    struct Cluster {
        now: Instant,
        secret: Seen,
        version: u32,
        drawn: u8,
        agents: Vec<Store>,
    }

    impl Cluster {
        fn new(agents: usize) -> Self {
            let now = Instant::now();
            let agents = (0..agents).map(|_| Self::agent(now)).collect();
            Self { now, secret: Seen::Absent, version: 0, drawn: 0, agents }
        }

        fn agent(now: Instant) -> Store {
            Store::new(Spans { period: PERIOD, jitter: Duration::ZERO }, now)
        }

        /// Everybody hears of the Secret, and one after the other does what is due; the first write wins.
        fn turn(&mut self) {
            for index in 0..self.agents.len() {
                self.agents[index].observe(self.secret.clone(), self.now);
                let drawn = &mut self.drawn;
                let draw = || {
                    *drawn += 1;
                    Some(key(*drawn))
                };
                let Some(write) = self.agents[index].due(self.now, draw) else { continue };
                let at = match &self.secret {
                    Seen::Keys(version, _) | Seen::Broken(version) => Some(version.clone()),
                    Seen::Absent => None,
                };
                if write.expect == at {
                    self.version += 1;
                    self.secret = Seen::Keys(self.version.to_string(), write.slots);
                }
            }
            self.agree();
        }

        /// Whatever one signs the others accept, unless they have no key at all yet.
        fn agree(&mut self) {
            let now = self.now;
            let rings = self.agents.iter_mut().map(|agent| agent.ring(now));
            let rings: Vec<KeyRing> = rings.filter(|ring| ring.signing().is_some()).collect();
            for signing in rings.iter().filter_map(KeyRing::signing) {
                assert!(rings.iter().all(|ring| ring.accepted().contains(signing)), "{rings:?}");
            }
        }

        fn pass(&mut self, span: Duration) {
            let end = self.now + span;
            while self.now < end {
                self.now += (span / 50).min(Duration::from_secs(1)).max(span / 500);
                self.turn();
            }
        }

        fn signing(&mut self, agent: usize) -> Option<Key> {
            let now = self.now;
            self.agents[agent].ring(now).signing().cloned()
        }
    }

    #[test]
    fn the_first_secret_is_made_once_and_used_at_once() {
        let mut cluster = Cluster::new(3);
        cluster.pass(Duration::from_secs(3));
        assert_eq!(cluster.version, 1);
        let signing = cluster.signing(0);
        assert!(signing.is_some() && (1..3).all(|agent| cluster.signing(agent) == signing));
    }

    #[test]
    fn keys_change_once_in_a_period_and_all_agree_at_every_moment() {
        let mut cluster = Cluster::new(3);
        for day in 0..4 {
            cluster.pass(PERIOD + Duration::from_mins(30));
            assert_eq!(cluster.version, day + 2);
        }
    }

    #[test]
    fn an_agent_that_hears_nothing_for_a_whole_period_is_still_understood() {
        let mut cluster = Cluster::new(2);
        cluster.pass(Duration::from_mins(1));
        // It goes on with what it knows, and nobody tells it.
        let mut deaf = cluster.agents.pop().unwrap();
        cluster.pass(PERIOD + Duration::from_hours(1));
        assert_eq!(cluster.version, 2);
        let (now, theirs) = (cluster.now, cluster.signing(0).unwrap());
        let ring = deaf.ring(now);
        assert!(ring.accepted().contains(&theirs));
        let signing = ring.signing().unwrap().clone();
        assert!(cluster.agents[0].ring(now).accepted().contains(&signing));
    }

    #[test]
    fn a_deleted_secret_comes_back_and_nobody_is_cut_off() {
        for newcomer in [false, true] {
            let mut cluster = Cluster::new(3);
            cluster.pass(Duration::from_mins(1));
            let old = cluster.signing(0).unwrap();
            cluster.secret = Seen::Absent;
            if newcomer {
                cluster.agents.insert(0, Cluster::agent(cluster.now));
            }
            cluster.pass(Duration::from_secs(5));
            assert_eq!(cluster.signing(1), Some(old.clone()), "others may not have heard of the new one");
            cluster.pass(Duration::from_secs(20));
            assert_ne!(cluster.signing(1), Some(old));
            assert_eq!(cluster.version, 2);
        }
    }

    #[test]
    fn what_a_person_writes_into_the_secret_is_used_if_it_makes_sense_and_else_written_anew() {
        let mut cluster = Cluster::new(3);
        cluster.pass(Duration::from_mins(1));
        let slots = Slots { previous: None, current: key(200), next: key(201) };
        cluster.secret = Seen::Keys("patched".into(), slots);
        cluster.pass(Duration::from_mins(2));
        assert_eq!(cluster.signing(2), Some(key(200)));
        cluster.secret = Seen::Broken("broken".into());
        cluster.pass(Duration::from_mins(2));
        assert!(matches!(cluster.secret, Seen::Keys(..)));
    }
}
