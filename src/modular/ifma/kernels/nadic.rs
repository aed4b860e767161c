//! Products and squares modulo N², two digits a number (see `super::super::nadic`), of halves of
//! digits (see `karatsuba`).

use super::karatsuba::fold;
use super::*;

/// Vectors of scratch a limb of N that the products want: quotients, the middle column sums, the
/// sums of the halves of four digits.
pub const NADIC_SCRATCH: usize = 4;

impl Cpu {
    /// The N-adic product modulo N²: operands are two digits of as many limbs as N each, `scratch`
    /// has [`NADIC_SCRATCH`] times as many. Meanwhile `ahead` is brought into the second cache.
    pub fn multiply_nadic(
        self,
        out: &mut [Vector],
        a: &[Vector],
        b: &[Vector],
        n: &Square,
        scratch: &mut [Vector],
        ahead: &[Vector],
    ) {
        let h = n.root.limbs.len();
        assert!(h.is_multiple_of(2 * TILE) && [out.len(), a.len(), b.len()] == [2 * h; 3]);
        assert!(n.offset.len() == h && scratch.len() >= NADIC_SCRATCH * h);
        debug_assert!(normalised(a) && normalised(b));
        let (to, scratch) = (out.as_mut_ptr(), scratch.as_mut_ptr());
        // SAFETY: `self` proves the features; out, a and b have 2h limbs, n and its offset h, an
        // even multiple of TILE; mutable borrows are distinct from each other and the operands.
        unsafe { multiply(to, a.as_ptr(), b.as_ptr(), n, scratch, h / TILE / 2, ahead) }
        debug_assert!(normalised(out));
    }

    /// The N-adic square, as [`Cpu::multiply_nadic`]. Meanwhile `scan` goes on.
    pub fn square_nadic(
        self,
        out: &mut [Vector],
        a: &[Vector],
        n: &Square,
        scratch: &mut [Vector],
        scan: &mut Scan<'_>,
    ) {
        let h = n.root.limbs.len();
        assert!(h.is_multiple_of(2 * TILE) && [out.len(), a.len()] == [2 * h; 2]);
        assert!(n.offset.len() == h && scratch.len() >= NADIC_SCRATCH * h);
        debug_assert!(normalised(a));
        let (to, scratch) = (out.as_mut_ptr(), scratch.as_mut_ptr());
        // SAFETY: as in multiply_nadic.
        unsafe { square(to, a.as_ptr(), n, scratch, h / TILE / 2, scan) }
        debug_assert!(normalised(out));
    }
}

/// # Safety
/// The CPU has AVX-512 F and IFMA; out, a and b have 4·TILE·half limbs, the root and the offset
/// half as many, scratch [`NADIC_SCRATCH`] times as many as the root; what is written overlaps
/// nothing else.
#[target_feature(enable = "avx512f,avx512ifma")]
unsafe fn multiply(
    out: *mut Vector,
    a: *const Vector,
    b: *const Vector,
    n: &Square,
    scratch: *mut Vector,
    half: usize,
    ahead: &[Vector],
) {
    // SAFETY: all block indices are below 2·half; upper halves lie TILE·half further on, second
    // digits twice as far.
    unsafe {
        let (up, digit) = (TILE * half, 2 * TILE * half);
        let (quotients, middle, sums) = (scratch, scratch.add(digit), scratch.add(2 * digit));
        // Spread over both digits, so that the cache always has room for one more request.
        let mut ahead = ahead.chunks(ahead.len().div_ceil(8 * half).max(1));
        let (a1, b1) = (a.add(digit), b.add(digit));
        let [ka, ka1, kb, kb1] = fold(sums, [a, a1, b, b1], up);
        let [fa, fa1, fb, fb1] = [0, 1, 2, 3].map(|j| sums.add(j * up).cast_const());
        karatsuba_digit!(
            out, quotients, n.root, half, middle, once,
            |sums, column|
            upper { product_column!(sums, column, half, (a.add(up), b.add(up))) }
            sums { product_column!(sums, column, half, (fa, fb)) }
            extra_bits [(ka, fb), (kb, fa)]
            both _mm512_maskz_set1_epi64(ka & kb, 1),
            lower { product_column!(sums, column, half, (a, b)) }
            each { fetch!(ahead) }
            extra |_all| {}
        );
        // A block of the first quotients is read before one of the second takes its place.
        karatsuba_digit!(
            out.add(digit), quotients, n.root, half, middle, once,
            |sums, column|
            upper {
                product_column!(sums, column, half, (a.add(up), b1.add(up)), (a1.add(up), b.add(up)))
            }
            sums { product_column!(sums, column, half, (fa, fb1), (fa1, fb)) }
            extra_bits [(ka, fb1), (kb1, fa), (ka1, fb), (kb, fa1)]
            both _mm512_add_epi64(
                _mm512_maskz_set1_epi64(ka & kb1, 1),
                _mm512_maskz_set1_epi64(ka1 & kb, 1),
            ),
            lower { product_column!(sums, column, half, (a, b1), (a1, b)) }
            each { fetch!(ahead) }
            extra |all| {
                let at = column * TILE;
                add_negated!(all, quotients.add(at), n.offset.as_ptr().add(at));
            }
        );
    }
}

/// # Safety
/// As [`multiply`].
#[target_feature(enable = "avx512f,avx512ifma")]
unsafe fn square(
    out: *mut Vector,
    a: *const Vector,
    n: &Square,
    scratch: *mut Vector,
    half: usize,
    scan: &mut Scan<'_>,
) {
    // SAFETY: as in multiply.
    unsafe {
        let (up, digit) = (TILE * half, 2 * TILE * half);
        let (quotients, middle, sums) = (scratch, scratch.add(digit), scratch.add(2 * digit));
        let a1 = a.add(digit);
        let [ka, ka1] = fold(sums, [a, a1], up);
        let [fa, fa1] = [0, 1].map(|j| sums.add(j * up).cast_const());
        karatsuba_digit!(
            out, quotients, n.root, half, middle, once,
            |sums, column|
            upper { half_square_column!(sums, column, half, a.add(up)) }
            sums { half_square_column!(sums, column, half, fa) }
            extra_bits [(ka, fa), (ka, fa)]
            both _mm512_maskz_set1_epi64(ka, 1),
            lower { half_square_column!(sums, column, half, a) }
            each { scan_some!(scan) }
            extra |_all| {}
        );
        karatsuba_digit!(
            out.add(digit), quotients, n.root, half, middle, twice,
            |sums, column|
            upper { product_column!(sums, column, half, (a.add(up), a1.add(up))) }
            sums { product_column!(sums, column, half, (fa, fa1)) }
            extra_bits [(ka, fa1), (ka1, fa)]
            both _mm512_maskz_set1_epi64(ka & ka1, 2),
            lower { product_column!(sums, column, half, (a, a1)) }
            each { scan_some!(scan) }
            extra |all| {
                let at = column * TILE;
                add_negated!(all, quotients.add(at), n.offset.as_ptr().add(at));
            }
        );
    }
}
