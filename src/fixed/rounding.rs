//! The rounding stream, source of the r_lo of stochastic rounding, and the division that uses it.
//!
//! A stream is a ChaCha20 key; an operation number selects the nonce, so that draws do not depend
//! on the order in which operations run. Whoever knows r_lo and sees a masked value learns x mod d:
//! the seed is a secret of P1, and a number must never serve two different values.

use std::fmt;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, Result};

/// The source of r_lo in `(x + r_lo) // d`. A 32-byte secret seed; no position, no state.
#[derive(Clone)]
pub struct RoundingStream {
    seed: Zeroizing<[u8; 32]>,
}

impl RoundingStream {
    /// A stream with a fresh seed from the operating system.
    ///
    /// # Errors
    /// [`Error::Io`] when the operating system has no randomness to give.
    pub fn new_from_os() -> Result<Self> {
        let mut seed = Zeroizing::new([0u8; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(|error| Error::Io {
            path: "operating system random generator".into(),
            message: error.to_string(),
        })?;
        Ok(Self { seed })
    }

    /// The stream of a known seed: to go on from a checkpoint, or to compare with the clear twin.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self {
            seed: Zeroizing::new(seed),
        }
    }

    /// The secret seed. Keep it from P2: with it, masked values reveal their residues.
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// `count` draws, uniform in `[0, divisor)`, for the operation of that number; element i of
    /// the result belongs to element i (row-major) of the operation's output.
    ///
    /// Each draw takes 128 bits (little-endian) of the keystream and starts again with the next
    /// 128 when they fall into the incomplete last interval, which keeps the result exactly
    /// uniform. A divisor of 1 (or 0, which no caller lets through) gives zeros.
    pub fn draw(&self, operation: u64, divisor: u64, count: usize) -> Zeroizing<Vec<u64>> {
        let mut values = Zeroizing::new(vec![0u64; count]);
        if divisor <= 1 {
            return values;
        }
        let mut generator = ChaCha20Rng::from_seed(*self.seed);
        generator.set_stream(operation);
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

impl fmt::Debug for RoundingStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoundingStream(secret)")
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
    fn draws_are_reproducible_and_separated_by_operation() {
        let stream = RoundingStream::from_seed([7; 32]);
        let first = stream.draw(1, 1 << 20, 50);
        assert_eq!(*first, *stream.clone().draw(1, 1 << 20, 50));
        assert_eq!(first[..20], stream.draw(1, 1 << 20, 20)[..]);
        assert_ne!(*first, *stream.draw(2, 1 << 20, 50));
        assert_ne!(
            *first,
            *RoundingStream::from_seed([8; 32]).draw(1, 1 << 20, 50)
        );
        assert_eq!(*stream.draw(1, 1, 3), vec![0, 0, 0]);
    }

    #[test]
    fn draws_are_the_keystream_of_the_rfc() {
        // Key and nonce zero: the ChaCha20 keystream begins 76b8e0ada0f13d90405d6ae55386bd28.
        let block = u128::from_le_bytes([
            0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86,
            0xbd, 0x28,
        ]);
        let stream = RoundingStream::from_seed([0; 32]);
        for divisor in [3, 1000, 1 << 16, u64::MAX] {
            assert_eq!(
                u128::from(stream.draw(0, divisor, 1)[0]),
                block % u128::from(divisor)
            );
        }
    }

    #[test]
    fn draws_are_uniform() {
        let stream = RoundingStream::from_seed([1; 32]);
        let mut counts = [0u32; 7];
        for value in stream.draw(9, 7, 70_000).iter() {
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
    fn debug_does_not_reveal_the_seed() {
        assert_eq!(
            format!("{:?}", RoundingStream::from_seed([65; 32])),
            "RoundingStream(secret)"
        );
    }
}
