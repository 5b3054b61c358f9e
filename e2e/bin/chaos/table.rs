//! What many runs of a cell showed, as a line of the table and as an object.

use super::{
    lab::{
        Result,
        error::{Doing, Error},
        image::target,
        stage::millis,
    },
    run::Seen,
};
use nix::fcntl::{Flock, FlockArg};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::IsTerminal,
    path::PathBuf,
    time::Duration,
};

/// A cell that is done.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub cell: String,
    /// What kept the addresses up: ours by where the nodes' right comes from, as the agents' flag spells it.
    pub source: String,
    /// Which seed the random ones had.
    pub seed: u64,
    /// One element per run.
    pub seen: Vec<Seen>,
    /// Runs that the lab could not carry out, or that never came to rest before.
    pub broken: usize,
}

impl Row {
    /// Whether it shows what must never be.
    pub fn is_bad(&self) -> bool {
        self.broken > 0 || self.seen.iter().any(|seen| seen.ever_two || seen.ownerless)
    }

    /// The line in the table.
    pub fn line(&self) -> String {
        let (two, silence, stable) =
            (self.two(), self.sorted(|seen| seen.silence), self.sorted(|seen| seen.stable));
        let line = format!(
            "{:<26} {:<10} {:>4} {:>10.1} {:>10.1} {:>10.1} {:>10.1} {:>10.1}  {}",
            self.cell,
            self.source,
            self.seen.len(),
            millis(two),
            median(&silence),
            most(&silence),
            median(&stable),
            most(&stable),
            if self.is_bad() { "BAD" } else { "ok" },
        );
        match (std::io::stdout().is_terminal(), self.is_bad()) {
            (false, _) => line,
            (true, true) => format!("\x1b[31m{line}\x1b[0m"),
            (true, false) => format!("\x1b[32m{line}\x1b[0m"),
        }
    }

    /// The heading over all lines.
    pub fn heading() -> String {
        format!(
            "{:<26} {:<10} {:>4} {:>10} {:>10} {:>10} {:>10} {:>10}",
            "cell (times in ms)",
            "right of",
            "runs",
            "two owners",
            "silent p50",
            "silent max",
            "stable p50",
            "stable max"
        )
    }

    /// Replaces this cell's object in the file, which programs that run other cells meanwhile write as well.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self) -> Result<()> {
        let folder = File::open(target()).doing(|| format!("open {}", target().display()))?;
        let _others_wait = Flock::lock(folder, FlockArg::LockExclusive)
            .map_err(|(_, errno)| errno)
            .doing(|| format!("lock {}", target().display()))?;
        let mut all = saved()?;
        all.retain(|other| other["cell"] != self.cell.as_str() || other["source"] != self.source.as_str());
        all.push(self.object());
        let path = file();
        let text = format!("{:#}\n", Value::Array(all));
        fs::write(&path, text).doing(|| format!("write {}", path.display()))
    }

    fn object(&self) -> Value {
        let (silence, stable) = (self.sorted(|seen| seen.silence), self.sorted(|seen| seen.stable));
        json!({
            "cell": self.cell,
            "source": self.source,
            "seed": self.seed,
            "runs": self.seen.len(),
            "two_owner_ms": millis(self.two()),
            "longest_silence_p50_ms": median(&silence),
            "longest_silence_max_ms": most(&silence),
            "stable_after_p50_ms": median(&stable),
            "stable_after_max_ms": most(&stable),
            "ended_without_owner": self.seen.iter().filter(|seen| seen.ownerless).count(),
            "without_result": self.broken,
            "ever_two_owners": self.seen.iter().filter(|seen| seen.ever_two).count(),
        })
    }

    fn two(&self) -> Duration {
        self.seen.iter().map(|seen| seen.two).sum()
    }

    fn sorted(&self, which: impl Fn(&Seen) -> Duration) -> Vec<f64> {
        let mut all: Vec<_> = self.seen.iter().map(|seen| millis(which(seen))).collect();
        all.sort_by(f64::total_cmp);
        all
    }
}

/// Whether a cell is in the file with at least so many runs.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn is_done(cell: &str, source: &str, runs: usize) -> Result<bool> {
    let enough =
        |object: &Value| object["runs"].as_u64().and_then(|runs| usize::try_from(runs).ok()) >= Some(runs);
    Ok(saved()?.iter().any(|object| object["cell"] == cell && object["source"] == source && enough(object)))
}

fn saved() -> Result<Vec<Value>> {
    let path = file();
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(&path).doing(|| format!("read {}", path.display()))?;
    serde_json::from_str(&text).map_err(|source| Error::Json { what: path.display().to_string(), source })
}

/// Where the objects are.
pub fn file() -> PathBuf {
    target().join("chaos.json")
}

fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn most(sorted: &[f64]) -> f64 {
    sorted.last().copied().unwrap_or_default()
}
