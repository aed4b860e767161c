//! The arithmetic of bounds. A bound of ℓ bits on a value x means |x| < 2^ℓ, strictly.
//!
//! Every function takes the limit that the result has to stay within (what its container holds)
//! and refuses with [`Error::Bound`], naming both numbers. `what` names the operation.

use crate::error::{Error, Result};

/// ⌈log2 n⌉; 0 for n ≤ 1.
pub fn ceil_log2(n: usize) -> u32 {
    n.checked_sub(1)
        .map_or(0, |last| usize::BITS - last.leading_zeros())
}

/// `needed`, if it does not exceed `limit`.
pub fn within(what: &'static str, needed: u32, limit: u32) -> Result<u32> {
    if needed <= limit {
        Ok(needed)
    } else {
        Err(Error::Bound {
            what,
            needed,
            limit,
        })
    }
}

/// The bound of a + b and of a − b: the larger one and a carry.
pub fn sum_of_two(what: &'static str, a: u32, b: u32, limit: u32) -> Result<u32> {
    within(what, a.max(b).saturating_add(1), limit)
}

/// The bound of a sum of `count` values: ⌈log2 count⌉ more bits.
pub fn sum_of_many(what: &'static str, bound: u32, count: usize, limit: u32) -> Result<u32> {
    within(what, bound.saturating_add(ceil_log2(count)), limit)
}

/// The bound of a · b: the sum of both.
pub fn product(what: &'static str, a: u32, b: u32, limit: u32) -> Result<u32> {
    within(what, a.saturating_add(b), limit)
}

/// The bound of Σ a_t · b_t over `count` terms.
pub fn inner_product(what: &'static str, a: u32, b: u32, count: usize, limit: u32) -> Result<u32> {
    sum_of_many(what, a.saturating_add(b), count, limit)
}

/// The bound of `(x + r_lo) // d`, r_lo < d: the bits of (2^ℓ − 1 + d − 1) // d, at least 1. For
/// d = 2^f that is ℓ − f + 1: rounding can carry up to the power of two itself.
///
/// `divisor` ≥ 1.
pub fn quotient(what: &'static str, bound: u32, divisor: u64, limit: u32) -> Result<u32> {
    let divisor = divisor.max(1);
    let needed = if bound <= 126 {
        let largest = ((1u128 << bound) - 1 + u128::from(divisor - 1)) / u128::from(divisor);
        128 - largest.leading_zeros()
    } else if divisor == 1 {
        bound
    } else {
        // Above 126 bits the same number in closed form: rounding reaches the next power of two
        // only if the divisor is one, because d < 2^64 leaves the quotient more bits than d has.
        let log = divisor.ilog2();
        bound - log + u32::from(divisor.is_power_of_two())
    };
    within(what, needed.max(1), limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_round_up() {
        for (n, expected) in [
            (0, 0),
            (1, 0),
            (2, 1),
            (3, 2),
            (4, 2),
            (5, 3),
            (1024, 10),
            (1025, 11),
        ] {
            assert_eq!(ceil_log2(n), expected, "{n}");
        }
    }

    #[test]
    fn limits_are_named() {
        assert_eq!(
            product("multiply", 70, 60, 126),
            Err(Error::Bound {
                what: "multiply",
                needed: 130,
                limit: 126
            })
        );
        assert_eq!(sum_of_two("add", 125, 3, 126), Ok(126));
        assert_eq!(sum_of_many("sum", 10, 1000, 126), Ok(20));
        assert_eq!(inner_product("matmul", 24, 24, 784, 126), Ok(58));
    }

    #[test]
    fn quotients_are_exact() {
        for bound in 1..12u32 {
            for divisor in 1..70u64 {
                let top = (1i128 << bound) - 1;
                let largest = [top, -top]
                    .iter()
                    .flat_map(|&x| {
                        [0, divisor - 1]
                            .map(|r| super::super::floor_divide(x, r, divisor).unsigned_abs())
                    })
                    .max()
                    .unwrap();
                let bits = (128 - largest.leading_zeros()).max(1);
                assert_eq!(
                    quotient("divide", bound, divisor, 126),
                    Ok(bits),
                    "{bound} {divisor}"
                );
            }
        }
        assert_eq!(quotient("divide", 48, 1 << 16, 126), Ok(33));
        assert_eq!(quotient("divide", 4, u64::MAX, 126), Ok(1));
    }

    #[test]
    fn the_closed_form_continues_the_exact_one() {
        for divisor in [1, 2, 3, 5, 1 << 16, (1 << 16) + 1, (1 << 40) - 1, 1 << 62] {
            let exact = quotient("divide", 126, divisor, 4000).unwrap();
            assert_eq!(
                quotient("divide", 127, divisor, 4000),
                Ok(exact + 1),
                "{divisor}"
            );
            assert_eq!(
                quotient("divide", 1126, divisor, 4000),
                Ok(exact + 1000),
                "{divisor}"
            );
        }
    }
}
