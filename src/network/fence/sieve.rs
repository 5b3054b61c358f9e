//! Which last digits guarded addresses have: most packets are for none of them, and the program knows it by one bit.

use std::net::IpAddr;

use aya::maps::{Array, Map, MapData, MapError};

/// As in the program.
const WORDS: usize = 128;
const WORD_BITS: usize = 64;
const BITS: usize = WORDS * WORD_BITS;

/// The bits, and how many addresses share each.
#[derive(Debug)]
pub(super) struct Sieve {
    map: Map,
    words: [u64; WORDS],
    counts: Vec<u32>,
}

impl Sieve {
    /// One for the addresses that are guarded already, whatever a former life wrote there.
    pub(super) fn new(map: Map, guarded: &[IpAddr]) -> Result<Self, MapError> {
        let mut sieve = Self { map, words: [0; WORDS], counts: vec![0; BITS] };
        for address in guarded {
            sieve.change(*address, |count| count + 1);
        }
        sieve.write()?;
        Ok(sieve)
    }

    /// Before the address is guarded: a packet without its bit is none of our business.
    pub(super) fn insert(&mut self, address: IpAddr) -> Result<(), MapError> {
        self.change(address, |count| count + 1);
        self.write()
    }

    /// When the address is not guarded any more.
    pub(super) fn remove(&mut self, address: IpAddr) -> Result<(), MapError> {
        self.change(address, |count| count.saturating_sub(1));
        self.write()
    }

    pub(super) fn map(&self) -> &Map {
        &self.map
    }

    fn change(&mut self, address: IpAddr, change: impl FnOnce(u32) -> u32) {
        let bit = bit(address);
        self.counts[bit] = change(self.counts[bit]);
        let mask = 1 << (bit % WORD_BITS);
        let word = &mut self.words[bit / WORD_BITS];
        *word = if self.counts[bit] > 0 { *word | mask } else { *word & !mask };
    }

    /// All of it: a program that reads meanwhile sees of each word what was or what is, which differ in one bit.
    fn write(&mut self) -> Result<(), MapError> {
        Array::<&mut MapData, [u64; WORDS]>::try_from(&mut self.map)?.set(0, self.words, 0)
    }
}

fn bit(address: IpAddr) -> usize {
    let last_digits = match address {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(v6) => {
            let [.., a, b, c, d] = v6.octets();
            [a, b, c, d]
        }
    };
    usize::try_from(u32::from_be_bytes(last_digits)).unwrap_or_default() % BITS
}
