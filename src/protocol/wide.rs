//! Masks and masked values: integers of up to 512 bits with a sign, and their residues modulo N.
//!
//! Everything here takes the same time whatever the values are.

use crate::modular::{Limbs, less_than, secret_remainder, subtract};
use crypto_bigint::{Limb, NonZero, U512};
use zeroize::Zeroizing;

/// A signed integer in two's complement. Operations wrap; callers keep values below 2^510.
pub type Wide = U512;

/// Limbs of a [`Wide`].
pub const LIMBS: usize = Wide::LIMBS;

/// From a row of at most eight limbs.
pub fn from_row(row: &[u64]) -> Wide {
    let mut words = [0; LIMBS];
    words[..row.len()].copy_from_slice(row);
    Wide::from_words(words)
}

/// From every row of at most eight limbs.
pub fn from_rows(rows: &Limbs) -> Zeroizing<Vec<Wide>> {
    Zeroizing::new((0..rows.rows()).map(|i| from_row(rows.row(i))).collect())
}

/// From a signed number.
pub fn from_i128(x: i128) -> Wide {
    let mut words = [(x >> 127) as u64; LIMBS];
    words[0] = x as u64;
    words[1] = (x >> 64) as u64;
    Wide::from_words(words)
}

/// 2^bits.
pub fn power_of_two(bits: u32) -> Wide {
    Wide::ONE.shl_vartime(bits)
}

/// Whether the sign bit is set.
pub fn is_negative(x: &Wide) -> bool {
    x.as_words()[LIMBS - 1] >> 63 == 1
}

/// `−x` where `negate`, else `x`.
pub fn negate_if(x: &Wide, negate: bool) -> Wide {
    let mask = u64::from(negate).wrapping_neg();
    let mut words = *x.as_words();
    for w in &mut words {
        *w ^= mask;
    }
    Wide::from_words(words).wrapping_add(&Wide::from_u64(u64::from(negate)))
}

/// `x // d` towards minus infinity, for d ≥ 1.
pub fn floor_divide(x: &Wide, d: u64) -> Wide {
    let d = NonZero::new(Limb(d)).expect("divisors are at least 1");
    // floor(x/d) = −ceil(|x|/d) below zero, ceil(a/d) = (a + d − 1) // d.
    let negative = is_negative(x);
    let padding = u64::from(negative).wrapping_neg() & (d.as_ref().0 - 1);
    let magnitude = negate_if(x, negative).wrapping_add(&Wide::from_u64(padding));
    negate_if(&magnitude.div_rem_limb(d).0, negative)
}

/// Residues modulo n of signed integers, in rows of n's width.
pub fn residues<'a>(values: impl ExactSizeIterator<Item = &'a Wide>, n: &[u64]) -> Limbs {
    let width = n.len().max(LIMBS);
    let mut magnitudes = Limbs::zeros(values.len(), width);
    let mut signs = Zeroizing::new(Vec::with_capacity(values.len()));
    for (i, x) in values.enumerate() {
        let negative = is_negative(x);
        signs.push(negative);
        magnitudes.row_mut(i)[..LIMBS].copy_from_slice(negate_if(x, negative).as_words());
    }
    // Only moduli of test size can be below a wide integer.
    let mut out = match n.len() > LIMBS {
        true => magnitudes,
        false => secret_remainder(&magnitudes, n),
    };
    let zero = vec![0; n.len()];
    let mut negated = Zeroizing::new(vec![0; n.len()]);
    for (i, &negative) in signs.iter().enumerate() {
        let row = out.row_mut(i);
        // n − x, which for x = 0 would be n itself: not a residue.
        negated.copy_from_slice(n);
        subtract(&mut negated, row);
        let nonzero = less_than(&zero, row);
        let mask = u64::from(negative & nonzero).wrapping_neg();
        for (x, y) in row.iter_mut().zip(negated.iter()) {
            *x = (y & mask) | (*x & !mask);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(x: i64) -> Wide {
        negate_if(&Wide::from_u64(x.unsigned_abs()), x < 0)
    }

    #[test]
    fn division_floors_like_python() {
        for x in -40..40i64 {
            for d in 1..9 {
                assert_eq!(floor_divide(&wide(x), d), wide(x.div_euclid(d as i64)));
            }
        }
    }

    #[test]
    fn residues_are_least_and_not_negative() {
        for n in [vec![15u64], vec![1, 1], {
            let mut n = vec![0; 9];
            (n[0], n[8]) = (1, 1);
            n
        }] {
            let modulus = crate::modular::integer_from_limbs(&n);
            let values: Vec<Wide> = [-31, -15, -1, 0, 1, 14, 15, 16].map(wide).to_vec();
            let rows = residues(values.iter(), &n);
            for (i, x) in [-31, -15, -1, 0, 1, 14, 15, 16].into_iter().enumerate() {
                let got = crate::modular::integer_from_limbs(rows.row(i));
                let (_, want) = rug::Integer::from(x).div_rem_euc(modulus.clone());
                assert_eq!(got, want);
            }
        }
    }
}
