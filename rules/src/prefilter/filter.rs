//! A set of numbers that may say "perhaps" too often and never says "no" to one that it holds, in
//! one load and without a branch.

use std::ops::RangeInclusive;

/// Bits for each number, at least: one number in so many is there by chance.
const BITS_PER_NUMBER: usize = 32;
/// Bounds of the size: small ones may as well be sparse, large ones have to stay in the cache.
const BITS: RangeInclusive<usize> = 1 << 14..=1 << 22;

/// One bit for a hash of each number.
#[derive(Debug)]
pub(super) struct Filter {
    bits: Box<[u64]>,
    shift: u32,
}

impl Filter {
    /// Of numbers that are mostly distinct.
    pub(super) fn of(numbers: impl ExactSizeIterator<Item = u64>) -> Self {
        let bits = (numbers.len() * BITS_PER_NUMBER)
            .next_power_of_two()
            .clamp(*BITS.start(), *BITS.end());
        let mut filter = Self {
            bits: vec![0; bits / 64].into_boxed_slice(),
            shift: u64::BITS - bits.trailing_zeros(),
        };
        for number in numbers {
            let bit = filter.bit(number);
            filter.bits[bit / 64] |= 1 << (bit % 64);
        }
        filter
    }

    #[inline]
    pub(super) fn may_hold(&self, number: u64) -> bool {
        let bit = self.bit(number);
        self.bits[bit / 64] >> (bit % 64) & 1 == 1
    }

    /// The upper bits of a product.
    #[inline]
    fn bit(&self, number: u64) -> usize {
        (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::Filter;

    #[test]
    fn what_it_holds_is_there_and_little_else() {
        for count in [0, 1, 1_000, 200_000] {
            let numbers = || (0..count).map(|number: u32| u64::from(number) * 7_919);
            let filter = Filter::of(numbers().collect::<Vec<_>>().into_iter());
            assert!(numbers().all(|number| filter.may_hold(number)));
            let others = (0..10_000)
                .filter(|other| filter.may_hold(other * 7_919 + 1))
                .count();
            assert!(others < 1_000, "{others} of 10000, with {count} numbers");
        }
    }
}
