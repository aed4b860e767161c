//! What happens once a number rather than once a product: sums, the last subtraction of the modulus
//! in constant time, and the way from two digits to one number.

use super::*;

impl Cpu {
    /// `out ← low + a·n`, twice as long as n, without reduction. The sum fits.
    pub fn product(self, out: &mut [Vector], low: &[Vector], a: &[Vector], n: &Montgomery) {
        let h = n.limbs.len();
        assert!(h.is_multiple_of(TILE) && out.len() == 2 * h && [low.len(), a.len()] == [h; 2]);
        debug_assert!(normalised(low) && normalised(a));
        // SAFETY: `self` proves the features; the lengths are checked above.
        unsafe { product(out.as_mut_ptr(), low.as_ptr(), a.as_ptr(), n, h / TILE) }
    }

    /// `x ← x + y`. The sums fit.
    pub fn add(self, x: &mut [Vector], y: &[Vector]) {
        assert_eq!(x.len(), y.len());
        debug_assert!(normalised(x) && normalised(y));
        // SAFETY: `self` proves the features; both have the same number of limbs.
        unsafe { add(x.as_mut_ptr(), y.as_ptr(), x.len()) }
    }

    /// `x ← x + increment − (x + increment ≥ n ? n : 0)` in every lane; `increment` and the
    /// result, a bit a lane, tell who gets one more and who was reduced. Constant time.
    pub fn reduce_once(self, x: &mut [Vector], n: &Montgomery, increment: u8) -> u8 {
        assert_eq!(x.len(), n.limbs.len());
        debug_assert!(normalised(x));
        // SAFETY: `self` proves the features; both have the same number of limbs.
        unsafe { reduce_once(x.as_mut_ptr(), n.limbs.as_ptr(), x.len(), increment) }
    }
}

/// # Safety
/// The CPU has AVX-512 F and IFMA; low, a and n have TILE·blocks limbs, out twice as many; `out`
/// overlaps no operand.
#[target_feature(enable = "avx512f,avx512ifma")]
unsafe fn product(
    out: *mut Vector,
    low: *const Vector,
    a: *const Vector,
    n: &Montgomery,
    blocks: usize,
) {
    // SAFETY: all block indices are below `blocks`, those of `out` below 2·blocks.
    unsafe {
        let (mask, n) = (_mm512_set1_epi64(MASK), n.limbs.as_ptr());
        let mut sums = zeros!();
        for column in 0..2 * blocks {
            let from = (column + 1).saturating_sub(blocks);
            for i in from..blocks.min(column + 1) {
                tile!(sums, a.add(i * TILE), n.add((column - i) * TILE), broadcast);
            }
            if column < blocks {
                unroll!(I, {
                    let term = load!(low.add(column * TILE + I));
                    sums[I] = _mm512_add_epi64(sums[I], term);
                });
            }
            emit!(sums, out.add(column * TILE), mask);
            shift!(sums);
        }
    }
}

/// # Safety
/// The CPU has AVX-512 F; x and y have `limbs` limbs and do not overlap.
#[target_feature(enable = "avx512f")]
unsafe fn add(x: *mut Vector, y: *const Vector, limbs: usize) {
    // SAFETY: i is below `limbs`.
    unsafe {
        let mut carry = _mm512_setzero_si512();
        for i in 0..limbs {
            let sum = _mm512_add_epi64(load!(x.add(i)), load!(y.add(i)));
            let sum = _mm512_add_epi64(sum, carry);
            carry = _mm512_srli_epi64::<52>(sum);
            store!(x.add(i), _mm512_and_si512(sum, _mm512_set1_epi64(MASK)));
        }
    }
}

/// # Safety
/// The CPU has AVX-512 F; x and n have `limbs` limbs.
#[target_feature(enable = "avx512f")]
unsafe fn reduce_once(x: *mut Vector, n: *const u64, limbs: usize, increment: u8) -> u8 {
    // SAFETY: i is below `limbs`.
    unsafe {
        let mask = _mm512_set1_epi64(MASK);
        let mut carry = _mm512_maskz_set1_epi64(increment, 1);
        let mut borrow = _mm512_setzero_si512();
        for i in 0..limbs {
            let sum = _mm512_add_epi64(load!(x.add(i)), carry);
            carry = _mm512_srli_epi64::<52>(sum);
            let limb = _mm512_and_si512(sum, mask);
            store!(x.add(i), limb);
            let difference = _mm512_sub_epi64(limb, _mm512_add_epi64(broadcast!(n.add(i)), borrow));
            borrow = _mm512_srli_epi64::<63>(difference);
        }
        let reduced = _mm512_testn_epi64_mask(borrow, borrow);
        let mut borrow = _mm512_setzero_si512();
        for i in 0..limbs {
            let subtrahend = _mm512_maskz_set1_epi64(reduced, *n.add(i) as i64);
            let difference =
                _mm512_sub_epi64(load!(x.add(i)), _mm512_add_epi64(subtrahend, borrow));
            borrow = _mm512_srli_epi64::<63>(difference);
            store!(x.add(i), _mm512_and_si512(difference, mask));
        }
        reduced
    }
}
