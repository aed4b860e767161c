//! A flat matrix of little-endian 64-bit limbs: how plaintexts and exponents travel in bulk.

use std::fmt;
use zeroize::Zeroizing;

/// `rows` non-negative integers of `width` limbs each, in one allocation that is cleared on drop.
///
/// Plaintexts and exponents may be secret, so `Debug` shows the shape only.
#[derive(Clone, PartialEq, Eq)]
pub struct Limbs {
    words: Zeroizing<Vec<u64>>,
    width: usize,
}

impl Limbs {
    /// A matrix of zeros.
    pub fn zeros(rows: usize, width: usize) -> Self {
        assert!(width > 0, "limb matrices have at least one limb a row");
        Self {
            words: Zeroizing::new(vec![0; rows * width]),
            width,
        }
    }

    /// Takes `words`, whose length is a multiple of `width`.
    pub fn from_words(words: Vec<u64>, width: usize) -> Self {
        assert!(
            width > 0 && words.len().is_multiple_of(width),
            "ragged limb matrix"
        );
        Self {
            words: Zeroizing::new(words),
            width,
        }
    }

    /// Number of integers.
    pub fn rows(&self) -> usize {
        self.words.len() / self.width
    }

    /// Limbs an integer.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All limbs, row after row.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// One integer.
    pub fn row(&self, i: usize) -> &[u64] {
        &self.words[i * self.width..(i + 1) * self.width]
    }

    /// One integer, to be written.
    pub fn row_mut(&mut self, i: usize) -> &mut [u64] {
        &mut self.words[i * self.width..(i + 1) * self.width]
    }
}

impl fmt::Debug for Limbs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Limbs({} rows of {} limbs)", self.rows(), self.width)
    }
}

/// `count ≤ 64` bits of `limbs` from bit `offset` on; what lies beyond the end reads as zero.
#[inline]
pub fn bits_at(limbs: &[u64], offset: usize, count: usize) -> u64 {
    debug_assert!(count <= 64);
    let (limb, shift) = (offset / 64, offset % 64);
    let low = limbs.get(limb).copied().unwrap_or(0) >> shift;
    let high = match shift {
        0 => 0,
        _ => limbs.get(limb + 1).copied().unwrap_or(0) << (64 - shift),
    };
    let mask = if count == 64 {
        u64::MAX
    } else {
        (1 << count) - 1
    };
    (low | high) & mask
}

/// Copies `count` bits of `limbs` from bit `offset` on into `out`, clearing the rest of `out`.
pub fn copy_bits(out: &mut [u64], limbs: &[u64], offset: usize, count: usize) {
    for (i, word) in out.iter_mut().enumerate() {
        let left = count.saturating_sub(64 * i).min(64);
        *word = if left == 0 {
            0
        } else {
            bits_at(limbs, offset + 64 * i, left)
        };
    }
}

/// Adds `value · 2^offset` into `acc`. What would fall off the end must be zero.
pub fn add_shifted(acc: &mut [u64], value: &[u64], offset: usize) {
    let (limb, shift) = (offset / 64, offset % 64);
    let mut carry = 0u64;
    let mut low_part = 0u64;
    for (i, out) in acc.iter_mut().skip(limb).enumerate() {
        let v = value.get(i).copied().unwrap_or(0);
        let shifted = if shift == 0 {
            v
        } else {
            (v << shift) | low_part
        };
        low_part = if shift == 0 { 0 } else { v >> (64 - shift) };
        let sum = u128::from(*out) + u128::from(shifted) + u128::from(carry);
        *out = sum as u64;
        carry = (sum >> 64) as u64;
    }
    debug_assert_eq!(
        (carry, low_part),
        (0, 0),
        "add_shifted ran off its accumulator"
    );
}

/// `acc -= value`; both of one length. Returns the borrow (0 or 1). Constant time.
pub fn subtract(acc: &mut [u64], value: &[u64]) -> u64 {
    debug_assert_eq!(acc.len(), value.len());
    let mut borrow = 0u64;
    for (a, &v) in acc.iter_mut().zip(value) {
        let difference = u128::from(*a)
            .wrapping_sub(u128::from(v))
            .wrapping_sub(u128::from(borrow));
        *a = difference as u64;
        borrow = (difference >> 64) as u64 & 1;
    }
    borrow
}

/// `acc += value` where `mask` is all ones, nothing where it is zero. Returns the carry. Constant time.
pub fn add_masked(acc: &mut [u64], value: &[u64], mask: u64) -> u64 {
    let mut carry = 0u64;
    for (a, &v) in acc.iter_mut().zip(value) {
        let sum = u128::from(*a) + u128::from(v & mask) + u128::from(carry);
        *a = sum as u64;
        carry = (sum >> 64) as u64;
    }
    carry
}

/// Whether `a < b`, in constant time; both of one length.
pub fn less_than(a: &[u64], b: &[u64]) -> bool {
    let mut borrow = 0u64;
    for (&x, &y) in a.iter().zip(b) {
        let difference = u128::from(x)
            .wrapping_sub(u128::from(y))
            .wrapping_sub(u128::from(borrow));
        borrow = (difference >> 64) as u64 & 1;
    }
    borrow == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_read_and_written_across_limbs() {
        let mut acc = [0u64; 4];
        let value = [0xdead_beef_0123_4567, 0x1f];
        add_shifted(&mut acc, &value, 61);
        let mut back = [0u64; 2];
        copy_bits(&mut back, &acc, 61, 70);
        assert_eq!(back, value);
        assert_eq!(bits_at(&acc, 300, 64), 0);
        assert_eq!(bits_at(&value, 60, 8), 0xfd);
    }

    #[test]
    fn subtraction_borrows_and_masked_addition_undoes_it() {
        let (mut a, b) = ([1u64, 0, 5], [2u64, 0, 6]);
        let borrow = subtract(&mut a, &b);
        assert_eq!(borrow, 1);
        assert_eq!(add_masked(&mut a, &b, 0), 0);
        assert_eq!(add_masked(&mut a, &b, u64::MAX), 1);
        assert_eq!(a, [1, 0, 5]);
        assert!(less_than(&a, &b) && !less_than(&b, &a) && !less_than(&a, &a));
    }
}
