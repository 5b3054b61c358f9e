//! How rarely the kernel is told that addresses live on, where their lifetime only tidies up.

use std::time::Duration;

/// The kernel goes through all addresses of a family for each IPv6 one that is renewed: what a renewal of all costs grows
/// with the square of their number, a third of a second of one core for a thousand. With a time that grows likewise it stays
/// about a thousandth of a core; of a few it is so anyway.
const SQUARED: usize = 2_500;

/// The longest time: a machine that answers no more is looked at by a person within it.
const LONGEST: usize = 300;

/// About so many are renewed together: each look at what the kernel has costs something, too, but nothing may wait for long.
const PORTION: usize = 50;

/// The whole seconds that the kernel may keep each of so many addresses for longer than a few of them.
#[must_use]
pub fn leisure(addresses: usize) -> u32 {
    let seconds = (addresses.saturating_mul(addresses) / SQUARED).min(LONGEST);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// So much before the others the address with this number is renewed, so that not all are at once.
#[must_use]
pub fn turn(number: usize, leisure: u32) -> Duration {
    let turn = u32::try_from(number % 1_000).unwrap_or_default();
    Duration::from_secs(leisure.into()) / 2 * turn / 1_000
}

/// Who is renewed takes those along whose turn comes so soon after, where there are so many addresses.
#[must_use]
pub fn together(addresses: usize) -> Duration {
    let portions = u32::try_from(addresses / PORTION).unwrap_or(u32::MAX).max(1);
    Duration::from_secs(leisure(addresses).into()) / 2 / portions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_with_the_square_and_ends() {
        assert_eq!([0, 1, 100, 500, 1_000, 2_000, 8_000].map(leisure), [0, 0, 4, 100, 300, 300, 300]);
    }

    #[test]
    fn a_few_are_renewed_together_and_a_thousand_one_after_the_other() {
        assert_eq!((turn(7, leisure(40)), together(40)), (Duration::ZERO, Duration::ZERO));
        assert_eq!(turn(0, 100), Duration::ZERO);
        assert_eq!(turn(1_500, 100), Duration::from_secs(25));
        assert_eq!(together(200), Duration::from_secs(2), "four portions");
        assert_eq!(together(1_000), Duration::from_millis(7_500), "twenty");
    }
}
