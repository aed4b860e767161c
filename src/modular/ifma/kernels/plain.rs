//! Montgomery products and squares modulo any odd number (see `super::super::plain`).

use super::*;

impl Cpu {
    /// `out ← a·b/R mod M` for a·b below R·M, R = 2^(52·limbs): below 2M.
    pub fn multiply(self, out: &mut [Vector], a: &[Vector], b: &[Vector], m: &Montgomery) {
        let k = m.limbs.len();
        assert!(k.is_multiple_of(TILE) && [out.len(), a.len(), b.len()] == [k; 3]);
        debug_assert!(normalised(a) && normalised(b));
        // SAFETY: `self` proves the features; all four operands have k limbs, a multiple of TILE;
        // `out` is borrowed mutably, so it is distinct from the operands.
        unsafe { multiply(out.as_mut_ptr(), a.as_ptr(), b.as_ptr(), m, k / TILE) }
        debug_assert!(normalised(out));
    }

    /// `out ← a²/R mod M`, as [`Cpu::multiply`]. Meanwhile `scan` goes on.
    pub fn square(self, out: &mut [Vector], a: &[Vector], m: &Montgomery, scan: &mut Scan<'_>) {
        let k = m.limbs.len();
        assert!(k.is_multiple_of(TILE) && [out.len(), a.len()] == [k; 2]);
        debug_assert!(normalised(a));
        // SAFETY: as in multiply.
        unsafe { square(out.as_mut_ptr(), a.as_ptr(), m, k / TILE, scan) }
        debug_assert!(normalised(out));
    }
}

/// # Safety
/// The CPU has AVX-512 F and IFMA; out, a, b and the modulus have TILE·blocks limbs; `out` overlaps
/// no operand.
#[target_feature(enable = "avx512f,avx512ifma")]
unsafe fn multiply(
    out: *mut Vector,
    a: *const Vector,
    b: *const Vector,
    m: &Montgomery,
    blocks: usize,
) {
    // SAFETY: all block indices are below `blocks`.
    unsafe {
        reduce_columns!(
            out,
            out,
            m,
            blocks,
            {},
            |sums, column, low, high| {
                for i in low..high {
                    tile!(sums, a.add(i * TILE), b.add((column - i) * TILE), load);
                }
            },
            {}
        );
    }
}

/// # Safety
/// As [`multiply`].
#[target_feature(enable = "avx512f,avx512ifma")]
unsafe fn square(
    out: *mut Vector,
    a: *const Vector,
    m: &Montgomery,
    blocks: usize,
    scan: &mut Scan<'_>,
) {
    // SAFETY: all block indices are below `blocks`.
    unsafe {
        reduce_columns!(
            out,
            out,
            m,
            blocks,
            { scan_some!(scan) },
            |sums, column, low, _high| { square_column!(sums, a, column, low) },
            {}
        );
    }
}
