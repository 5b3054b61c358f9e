//! Which numbers of a session were seen.

/// How far behind the highest number a datagram may come.
const REACH: u64 = 64;

/// The numbers seen so far: the highest, and the [`REACH`] up to it one by one, as RFC 4303, section 3.4.3 does it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    highest: u64,
    /// Bit `n`: `highest - n` was seen.
    seen: u64,
}

impl Window {
    /// Whether `number` is new; it is not new a second time. Numbers begin with one.
    pub fn take(&mut self, number: u64) -> bool {
        if number == 0 {
            return false;
        }
        if number > self.highest {
            let ahead = number - self.highest;
            self.seen = if ahead < REACH { self.seen << ahead } else { 0 } | 1;
            self.highest = number;
            return true;
        }
        let behind = self.highest - number;
        if behind >= REACH || self.seen & (1 << behind) != 0 {
            return false;
        }
        self.seen |= 1 << behind;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_number_once_in_any_order_as_far_as_is_remembered() {
        let mut window = Window::default();
        let taken = [1, 3, 2, 3, 100, 37, 36, 0, 100, u64::MAX].map(|number| window.take(number));
        assert_eq!(taken, [true, true, true, false, true, true, false, false, false, true]);
    }

    proptest! {
        #[test]
        fn no_number_is_taken_twice(numbers in prop::collection::vec(0_u64..200, 0..400)) {
            let (mut window, mut seen) = (Window::default(), BTreeSet::new());
            for number in numbers {
                let highest = seen.last().copied().unwrap_or(0);
                let fresh = number > 0 && !seen.contains(&number) && number + REACH > highest;
                prop_assert_eq!(window.take(number), fresh);
                if fresh {
                    seen.insert(number);
                }
            }
        }
    }
}
