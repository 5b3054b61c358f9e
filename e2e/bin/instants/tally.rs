//! What all instants together showed, kept in a file so that they may be taken in several goes.

use super::{
    lab::{Error, Result, error::Doing, image::target, judge::Verdict, stage::Vip},
    once::{Fate, Instant},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, path::PathBuf};

/// An answer may take so long from the node to the client, in microseconds.
const WAY_US: i64 = 300;

/// One instant and what the client saw.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Seen {
    /// Where the node's right came from.
    source: String,
    owner: String,
    fate: Fate,
    /// From the last answer to the deadline, for each address; below zero if it came later.
    before_us: Vec<i64>,
}

/// All of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    seen: Vec<Seen>,
    two_owner_us: u64,
}

impl Tally {
    /// What an earlier run saved; nothing if there was none.
    ///
    /// # Errors
    /// When the file is not one of ours.
    pub fn load() -> Result<Self> {
        let file = file();
        let Ok(text) = fs::read_to_string(&file) else { return Ok(Self::default()) };
        serde_json::from_str::<Value>(&text)
            .and_then(|saved| serde_json::from_value(saved["instants"].clone()))
            .map_err(|source| Error::Json { what: file.display().to_string(), source })
    }

    /// Saves it, with its summary first.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self) -> Result<()> {
        let file = file();
        let text = format!("{:#}\n", json!({"summary": self.summary(), "instants": self}));
        fs::write(&file, text).doing(|| format!("write {}", file.display()))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.seen.len()
    }

    /// Adds those that one observer saw, in their order.
    ///
    /// # Errors
    /// When it saw other owners.
    pub fn add(&mut self, vip: &Vip, verdict: &Verdict, instants: &[Instant]) -> Result<()> {
        let mut seen: Vec<_> = instants
            .iter()
            .map(|instant| Seen {
                source: instant.source.clone(),
                owner: instant.owner.clone(),
                fate: instant.fate,
                before_us: Vec::new(),
            })
            .collect();
        for address in vip.addresses.iter().map(ToString::to_string) {
            let names = verdict.owners(&address)?;
            let expected = instants.iter().map(|instant| &instant.owner);
            if names.len() != instants.len() + 1 || !names.iter().zip(expected).all(|(a, b)| a == b) {
                return Err(Error::other(format!("{address} was on {names:?} after {instants:?}")));
            }
            for ((owner, instant), seen) in verdict.of(&address)?.owners.iter().zip(instants).zip(&mut seen) {
                let last_us = verdict.report.start_boottime_us + owner.last_us;
                seen.before_us.push(instant.deadline_us.cast_signed() - last_us.cast_signed());
            }
        }
        for seen in &seen {
            eprintln!(
                "    {:?} on {}: last answers {:?} us before the deadline",
                seen.fate, seen.owner, seen.before_us
            );
        }
        self.two_owner_us += u64::try_from(verdict.two_owner_time().as_micros()).unwrap_or(u64::MAX);
        self.seen.extend(seen);
        Ok(())
    }

    /// Whether no answer came after its deadline, and never from two.
    pub fn is_good(&self) -> bool {
        self.two_owner_us == 0 && self.late() == 0
    }

    /// What people want to know.
    pub fn summary(&self) -> Value {
        let of = |fate: Fate| self.seen.iter().filter(|seen| seen.fate == fate).count();
        let sources: BTreeSet<_> = self.seen.iter().map(|seen| &seen.source).collect();
        let mut before: Vec<_> = self.spare().collect();
        before.sort_unstable();
        json!({
            "instants": self.count(),
            "right_from": sources,
            "stopped": of(Fate::Stopped),
            "killed": of(Fate::Killed),
            "answered_after_the_deadline": self.late(),
            "last_answer_before_the_deadline_min_us": before.first(),
            "last_answer_before_the_deadline_p50_us": before.get(before.len() / 2),
            "two_owner_ms": self.two_owner_us / 1_000,
        })
    }

    fn late(&self) -> usize {
        self.spare().filter(|before| *before <= -WAY_US).count()
    }

    fn spare(&self) -> impl Iterator<Item = i64> {
        self.seen.iter().flat_map(|seen| seen.before_us.iter().copied())
    }
}

fn file() -> PathBuf {
    target().join("instants.json")
}
