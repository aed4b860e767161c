//! Rounding keys, the source of the r_lo of stochastic rounding, and the division that uses it.
//!
//! Whoever knows r_lo and sees a masked value learns x mod d, and who sees two different values under
//! one r_lo learns their difference mod d. So r_lo is a mask like every other: each call (a training
//! step that is attempted, a prediction, a division) draws a fresh key from the operating system,
//! and uses it once. Keys are kept only where a record of the calls is asked for ([`crate::record`]).

use std::fmt;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use zeroize::{Zeroize, Zeroizing};

use crate::error::Result;
use crate::random::Random;

/// Bytes of a rounding key.
pub const ROUNDING_KEY_BYTES: usize = 32;

/// The source of the r_lo in `(x + r_lo) // d` of one call: a ChaCha20 key, whose nonce is the place of
/// a division in the call. Draws do not depend on the order in which divisions run.
#[derive(Clone, PartialEq, Eq)]
pub struct RoundingKey(Zeroizing<[u8; ROUNDING_KEY_BYTES]>);

impl RoundingKey {
    /// A fresh key from the operating system: what every call takes.
    ///
    /// # Errors
    /// [`Error::Backend`](crate::Error::Backend) when the operating system has no randomness to give.
    pub fn fresh() -> Result<Self> {
        let mut key = Zeroizing::new([0; ROUNDING_KEY_BYTES]);
        Random::os().fill(&mut *key)?;
        Ok(Self(key))
    }

    /// A known key: that of a recorded call, to compute the same integers in the clear.
    pub fn from_bytes(key: [u8; ROUNDING_KEY_BYTES]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// The secret bytes. Keep them from P2: with them, masked values reveal their residues.
    pub fn as_bytes(&self) -> &[u8; ROUNDING_KEY_BYTES] {
        &self.0
    }

    /// `count` draws, uniform in `[0, divisor)`, for the division at that place of the call; element i of
    /// the result belongs to element i (row-major) of the division's output.
    ///
    /// Each draw takes 128 bits (little-endian) of the keystream and starts again with the next
    /// 128 when they fall into the incomplete last interval, which keeps the result exactly
    /// uniform. A divisor of 1 (or 0, which no caller lets through) gives zeros.
    pub fn draw(&self, place: u64, divisor: u64, count: usize) -> Zeroizing<Vec<u64>> {
        let mut values = Zeroizing::new(vec![0u64; count]);
        if divisor <= 1 {
            return values;
        }
        let mut generator = ChaCha20Rng::from_seed(*self.0);
        generator.set_stream(place);
        let mut block = Zeroizing::new([0u8; 16]);
        for value in values.iter_mut() {
            *value = loop {
                generator.fill_bytes(block.as_mut_slice());
                if let Some(draw) = reduce(u128::from_le_bytes(*block), divisor) {
                    break draw;
                }
            };
        }
        block.zeroize();
        values
    }
}

impl fmt::Debug for RoundingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoundingKey(secret)")
    }
}

/// `bits mod divisor` if `bits` is below the largest multiple of `divisor` up to 2^128.
fn reduce(bits: u128, divisor: u64) -> Option<u64> {
    let divisor = u128::from(divisor);
    let excess = (u128::MAX % divisor + 1) % divisor; // 2^128 mod divisor
    (bits <= u128::MAX - excess).then_some((bits % divisor) as u64)
}

/// `(x + r_lo) // d`, rounded towards minus infinity, for `d` ≥ 1 and `r_lo` < `d`. The sum is
/// never formed, so no x overflows.
pub fn floor_divide(x: i128, r_lo: u64, d: u64) -> i128 {
    let d = i128::from(d.max(1));
    let carry = (x.rem_euclid(d) + i128::from(r_lo)) / d;
    x.div_euclid(d) + carry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_reproducible_and_separated_by_place() {
        let key = RoundingKey::from_bytes([7; 32]);
        let first = key.draw(1, 1 << 20, 50);
        assert_eq!(*first, *key.clone().draw(1, 1 << 20, 50));
        assert_eq!(first[..20], key.draw(1, 1 << 20, 20)[..]);
        assert_ne!(*first, *key.draw(2, 1 << 20, 50));
        assert_ne!(
            *first,
            *RoundingKey::from_bytes([8; 32]).draw(1, 1 << 20, 50)
        );
        assert_eq!(*key.draw(1, 1, 3), vec![0, 0, 0]);
    }

    #[test]
    fn draws_are_the_keystream_of_the_rfc() {
        // Key and nonce zero: the ChaCha20 keystream begins 76b8e0ada0f13d90405d6ae55386bd28.
        let block = u128::from_le_bytes([
            0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86,
            0xbd, 0x28,
        ]);
        let key = RoundingKey::from_bytes([0; 32]);
        for divisor in [3, 1000, 1 << 16, u64::MAX] {
            assert_eq!(
                u128::from(key.draw(0, divisor, 1)[0]),
                block % u128::from(divisor)
            );
        }
    }

    #[test]
    fn draws_are_uniform() {
        let key = RoundingKey::from_bytes([1; 32]);
        let mut counts = [0u32; 7];
        for value in key.draw(9, 7, 70_000).iter() {
            counts[*value as usize] += 1;
        }
        // Standard deviation 93; six of them.
        assert!(
            counts.iter().all(|&c| (9_440..10_560).contains(&c)),
            "{counts:?}"
        );
    }

    #[test]
    fn the_incomplete_interval_is_rejected() {
        assert_eq!(reduce(u128::MAX, 1 << 16), Some(u16::MAX.into()));
        // 2^128 mod 3 = 1: only the topmost value is in excess.
        assert_eq!(reduce(u128::MAX, 3), None);
        assert_eq!(reduce(u128::MAX - 1, 3), Some(2));
        // 2^128 mod 7 = 4.
        assert_eq!(reduce(u128::MAX - 3, 7), None);
        assert_eq!(reduce(u128::MAX - 4, 7), Some(6));
    }

    #[test]
    fn division_is_floor_and_never_overflows() {
        for x in -40i128..40 {
            for d in 1u64..9 {
                for r in 0..d {
                    let expected = (x as f64 + r as f64) / d as f64;
                    assert_eq!(
                        floor_divide(x, r, d),
                        expected.floor() as i128,
                        "{x} {r} {d}"
                    );
                }
            }
        }
        assert_eq!(
            floor_divide(i128::MAX, u64::MAX - 1, u64::MAX),
            i128::MAX / i128::from(u64::MAX) + 1
        );
        assert_eq!(floor_divide(i128::MIN, 0, 1), i128::MIN);
        assert_eq!(floor_divide(i128::MIN, 0, 2), i128::MIN / 2);
    }

    #[test]
    fn debug_does_not_reveal_the_key() {
        assert_eq!(
            format!("{:?}", RoundingKey::from_bytes([65; 32])),
            "RoundingKey(secret)"
        );
    }
}
