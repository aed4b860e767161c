//! Safe wrappers of the `mpn` functions that the backend is made of. Their time depends on sizes
//! alone.

use gmp_mpfr_sys::gmp;

/// Limbs of scratch that products, squares and divisions of numbers of `n` limbs want.
pub fn scratch(n: usize) -> usize {
    let n = n as i64;
    // SAFETY: these functions only compute sizes.
    let limbs = unsafe {
        gmp::mpn_sec_mul_itch(n as _, n as _)
            .max(gmp::mpn_sec_sqr_itch(n as _))
            .max(gmp::mpn_sec_div_qr_itch((2 * n) as _, n as _))
    };
    limbs as usize
}

/// `out ← a·b`, twice as long as both.
pub fn multiply(out: &mut [u64], a: &[u64], b: &[u64], scratch: &mut [u64]) {
    let n = a.len();
    assert!(n > 0 && b.len() == n && out.len() == 2 * n);
    // SAFETY: the lengths are as GMP wants them, the scratch has at least `scratch(n)` limbs
    // (the backend makes all its scratch by it), and Rust's borrows keep the buffers apart.
    unsafe {
        gmp::mpn_sec_mul(
            out.as_mut_ptr(),
            a.as_ptr(),
            n as _,
            b.as_ptr(),
            n as _,
            scratch.as_mut_ptr(),
        );
    }
}

/// `out ← a²`, twice as long.
pub fn square(out: &mut [u64], a: &[u64], scratch: &mut [u64]) {
    let n = a.len();
    assert!(n > 0 && out.len() == 2 * n);
    // SAFETY: as in `multiply`.
    unsafe { gmp::mpn_sec_sqr(out.as_mut_ptr(), a.as_ptr(), n as _, scratch.as_mut_ptr()) }
}

/// `a ← a + b`; the carry comes back.
pub fn add(a: &mut [u64], b: &[u64]) -> u64 {
    assert_eq!(a.len(), b.len());
    // SAFETY: equal lengths; GMP allows the result to be an operand.
    unsafe { gmp::mpn_add_n(a.as_mut_ptr(), a.as_ptr(), b.as_ptr(), a.len() as _) }
}

/// `a ← 2a`; the carry comes back.
pub fn double(a: &mut [u64]) -> u64 {
    // SAFETY: GMP allows the result to be both operands.
    unsafe { gmp::mpn_add_n(a.as_mut_ptr(), a.as_ptr(), a.as_ptr(), a.len() as _) }
}

/// `a ← a − b`; the borrow comes back.
pub fn subtract(a: &mut [u64], b: &[u64]) -> u64 {
    assert_eq!(a.len(), b.len());
    // SAFETY: as in `add`.
    unsafe { gmp::mpn_sub_n(a.as_mut_ptr(), a.as_ptr(), b.as_ptr(), a.len() as _) }
}

/// `a ← a + b` where `condition` is 1, nothing where it is 0.
pub fn add_if(condition: u64, a: &mut [u64], b: &[u64]) {
    assert_eq!(a.len(), b.len());
    // SAFETY: as in `add`.
    unsafe {
        gmp::mpn_cnd_add_n(
            condition,
            a.as_mut_ptr(),
            a.as_ptr(),
            b.as_ptr(),
            a.len() as _,
        );
    }
}

/// `a ← a + b·factor`; the carry comes back.
pub fn add_multiple(a: &mut [u64], b: &[u64], factor: u64) -> u64 {
    assert_eq!(a.len(), b.len());
    // SAFETY: equal lengths, separate buffers.
    unsafe { gmp::mpn_addmul_1(a.as_mut_ptr(), b.as_ptr(), b.len() as _, factor) }
}

/// Quotient and remainder: `numerator` (2n limbs) becomes the remainder (n limbs, then zeros), the
/// quotient has n limbs. The last limb of `divisor` is not zero, and the quotient fits.
pub fn divide(quotient: &mut [u64], numerator: &mut [u64], divisor: &[u64], scratch: &mut [u64]) {
    let n = divisor.len();
    assert!(quotient.len() == n && numerator.len() == 2 * n && divisor[n - 1] != 0);
    // SAFETY: lengths and scratch are as GMP documents them.
    let top = unsafe {
        gmp::mpn_sec_div_qr(
            quotient.as_mut_ptr(),
            numerator.as_mut_ptr(),
            (2 * n) as _,
            divisor.as_ptr(),
            n as _,
            scratch.as_mut_ptr(),
        )
    };
    debug_assert_eq!(top, 0, "the quotient does not fit");
}

/// `out ← rows[index]`, reading every row.
pub fn select(out: &mut [u64], rows: &[u64], index: u64) {
    let n = out.len();
    assert!(n > 0 && rows.len().is_multiple_of(n));
    let entries = rows.len() / n;
    debug_assert!((index as usize) < entries);
    // SAFETY: `rows` holds that many rows of n limbs; an index out of range would select nothing,
    // not read outside.
    unsafe {
        gmp::mpn_sec_tabselect(
            out.as_mut_ptr(),
            rows.as_ptr(),
            n as _,
            entries as _,
            index as _,
        );
    }
}
