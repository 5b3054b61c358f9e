//! Tells whether two states of the world are the same for everything that can still happen.
//!
//! Times count from now, versions and nonces by their order. The machine's types keep their derived `Hash`: the
//! three kinds of number are told apart by the ranges that the model draws them from.

use std::hash::Hasher;

/// Clocks start here, in nanoseconds.
pub(super) const TIME: u64 = 1 << 60;
/// Incarnations start here.
pub(super) const INCARNATION: u64 = 1 << 56;
/// Versions start here.
pub(super) const VERSION: u64 = 1 << 52;

/// What happened longer ago than this, in nanoseconds, might as well have happened never.
const FORGOTTEN: u64 = 8_000_000_000;

enum Renamed {
    Version(u64),
    Nonce(u64, u64),
}

/// Collects what a state consists of, then says its fingerprint.
#[derive(Default)]
pub(super) struct Fingerprint {
    /// The clock whose times come next.
    pub(super) clock: u64,
    words: Vec<u64>,
    renamed: Vec<(usize, Renamed)>,
    incarnation: Option<u64>,
}

impl Fingerprint {
    /// The fingerprint of everything hashed since the last one.
    pub(super) fn take(&mut self) -> u64 {
        let mut versions = Vec::new();
        let mut nonces = Vec::new();
        for (_, renamed) in &self.renamed {
            match renamed {
                Renamed::Version(version) => versions.push(*version),
                Renamed::Nonce(incarnation, sequence) => nonces.push((*incarnation, *sequence)),
            }
        }
        versions.sort_unstable();
        versions.dedup();
        nonces.sort_unstable();
        nonces.dedup();
        for (place, renamed) in self.renamed.drain(..) {
            self.words[place] = match renamed {
                Renamed::Version(version) => rank(&versions, &version),
                Renamed::Nonce(incarnation, sequence) => rank(&nonces, &(incarnation, sequence)),
            };
        }
        let print = self.words.iter().fold(0x9e37_79b9_7f4a_7c15, |print, word| mix(print ^ word));
        self.words.clear();
        mix(print)
    }
}

fn rank<T: Ord>(sorted: &[T], value: &T) -> u64 {
    sorted.binary_search(value).map_or(u64::MAX, |place| place as u64 + 1)
}

/// One round of multiplying and folding.
fn mix(word: u64) -> u64 {
    let wide = u128::from(word ^ 0xe703_7ed1_a0b4_28db) * 0xa076_1d64_78bd_642f;
    #[allow(clippy::cast_possible_truncation)] // both halves are wanted
    let folded = (wide as u64) ^ ((wide >> 64) as u64);
    folded ^ word.rotate_left(23)
}

impl Hasher for Fingerprint {
    fn finish(&self) -> u64 {
        unreachable!("a fingerprint is taken")
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.words.push(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, word: u8) {
        self.words.push(word.into());
    }

    fn write_isize(&mut self, word: isize) {
        self.words.push(word.cast_unsigned() as u64);
    }

    fn write_usize(&mut self, word: usize) {
        self.words.push(word as u64);
    }

    fn write_u64(&mut self, word: u64) {
        if let Some(incarnation) = self.incarnation.take() {
            // The mark of a question is the moment at which it was asked.
            let sequence = if word >= TIME { 0 } else { word };
            self.renamed.push((self.words.len(), Renamed::Nonce(incarnation, sequence)));
            self.words.push(0);
            if word >= TIME {
                self.write_u64(word);
            }
        } else if word >= TIME {
            self.words.push(if word > self.clock {
                (1 << 40) + (word - self.clock)
            } else {
                let ago = self.clock - word;
                if ago > FORGOTTEN { 0 } else { 1 + ago }
            });
        } else if word >= INCARNATION {
            self.incarnation = Some(word);
        } else {
            if word >= VERSION {
                self.renamed.push((self.words.len(), Renamed::Version(word)));
            }
            self.words.push(word);
        }
    }
}
