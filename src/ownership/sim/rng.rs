//! A small reproducible generator of random numbers.

/// Splitmix, 64 bits (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub(in crate::ownership) struct Rng(pub(in crate::ownership) u64);

impl Rng {
    pub(in crate::ownership) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of `low..high`.
    pub(in crate::ownership) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.draw() % (high - low).max(1)
    }

    pub(in crate::ownership) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.draw() % u64::try_from(bound).unwrap()).unwrap()
    }

    /// True in `per_mille` of 1000 cases.
    pub(in crate::ownership) fn chance(&mut self, per_mille: u64) -> bool {
        self.draw() % 1000 < per_mille
    }
}
