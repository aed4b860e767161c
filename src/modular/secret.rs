//! Constant-time arithmetic on single secret numbers, and GMP memory that leaves nothing behind.

use super::Limbs;
use gmp_mpfr_sys::gmp;
use libc::{c_void, size_t};
use rug::{Integer, integer::Order};
use std::sync::OnceLock;
use zeroize::{Zeroize, Zeroizing};

/// Little-endian limbs of a non-negative integer, padded to `width`.
pub fn limbs_of(value: &Integer, width: usize) -> Zeroizing<Vec<u64>> {
    let mut limbs = Zeroizing::new(vec![0; width]);
    value.write_digits(&mut limbs, Order::Lsf);
    limbs
}

/// The integer with these little-endian limbs.
pub fn integer_from_limbs(limbs: &[u64]) -> Integer {
    Integer::from_digits(limbs, Order::Lsf)
}

/// `value mod modulus` for every row, in constant time. The last limb of `modulus` is not zero and
/// rows are at least as wide as it.
pub fn secret_remainder(values: &Limbs, modulus: &[u64]) -> Limbs {
    let (wide, narrow) = (values.width(), modulus.len());
    assert!(wide >= narrow && modulus[narrow - 1] != 0);
    let mut out = Limbs::zeros(values.rows(), narrow);
    let mut numerator = Zeroizing::new(vec![0u64; wide]);
    // SAFETY: the itch function only computes a size; the call below gets buffers of the sizes
    // that GMP documents (np of nn limbs, dp of dn ≤ nn limbs with a non-zero top, tp of itch).
    let itch = unsafe { gmp::mpn_sec_div_r_itch(wide as _, narrow as _) } as usize;
    let mut scratch = Zeroizing::new(vec![0u64; itch]);
    for i in 0..values.rows() {
        numerator.copy_from_slice(values.row(i));
        // SAFETY: as above; the three buffers are distinct.
        unsafe {
            gmp::mpn_sec_div_r(
                numerator.as_mut_ptr(),
                wide as _,
                modulus.as_ptr(),
                narrow as _,
                scratch.as_mut_ptr(),
            );
        }
        out.row_mut(i).copy_from_slice(&numerator[..narrow]);
    }
    out
}

/// The full product of two numbers, in constant time.
pub fn secret_product(a: &[u64], b: &[u64]) -> Zeroizing<Vec<u64>> {
    let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    let mut out = Zeroizing::new(vec![0u64; long.len() + short.len()]);
    // SAFETY: both operands have at least one limb (all callers pass moduli or residues), the
    // longer comes first, the result has the sum of both lengths, the scratch has itch limbs.
    unsafe {
        let itch = gmp::mpn_sec_mul_itch(long.len() as _, short.len() as _) as usize;
        let mut scratch = Zeroizing::new(vec![0u64; itch]);
        gmp::mpn_sec_mul(
            out.as_mut_ptr(),
            long.as_ptr(),
            long.len() as _,
            short.as_ptr(),
            short.len() as _,
            scratch.as_mut_ptr(),
        );
    }
    out
}

type Alloc = extern "C" fn(size_t) -> *mut c_void;
type Realloc = unsafe extern "C" fn(*mut c_void, size_t, size_t) -> *mut c_void;
type Free = unsafe extern "C" fn(*mut c_void, size_t);

/// The allocator that GMP had before ours was put around it.
static WRAPPED: OnceLock<(Alloc, Free)> = OnceLock::new();

/// Makes GMP clear every block that it gives back, once for the process.
///
/// Key generation works with `rug::Integer`s, whose temporaries would otherwise stay readable in
/// freed memory. The allocator that was installed before stays in use underneath, so blocks that
/// already live are freed by the one that made them.
pub fn clear_freed_integers() {
    WRAPPED.get_or_init(|| {
        let (mut alloc, mut realloc, mut free) = (None::<Alloc>, None::<Realloc>, None::<Free>);
        // SAFETY: the out-pointers are valid; GMP fills all three. The functions set are sound
        // replacements: same allocator underneath, sizes as GMP passes them.
        unsafe {
            gmp::get_memory_functions(&mut alloc, &mut realloc, &mut free);
            let wrapped = (
                alloc.expect("GMP has an allocator"),
                free.expect("GMP has a deallocator"),
            );
            gmp::set_memory_functions(alloc, Some(realloc_cleared), Some(free_cleared));
            wrapped
        }
    });
}

/// # Safety
/// GMP calls this with a block of its own and that block's size.
unsafe extern "C" fn free_cleared(block: *mut c_void, size: size_t) {
    // SAFETY: GMP passes the block's true size; `free` made no other assumption before us.
    unsafe {
        std::slice::from_raw_parts_mut(block.cast::<u8>(), size).zeroize();
        (WRAPPED.wait().1)(block, size);
    }
}

/// # Safety
/// GMP calls this with a block of its own, its size, and a new size above zero.
unsafe extern "C" fn realloc_cleared(block: *mut c_void, old: size_t, new: size_t) -> *mut c_void {
    // SAFETY: both blocks hold at least min(old, new) bytes and do not overlap.
    unsafe {
        let moved = (WRAPPED.wait().0)(new);
        std::ptr::copy_nonoverlapping(block.cast::<u8>(), moved.cast::<u8>(), old.min(new));
        free_cleared(block, old);
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remainder_and_product_agree_with_rug() {
        clear_freed_integers();
        let a = Integer::from(Integer::u_pow_u(7, 400));
        let b = Integer::from(Integer::u_pow_u(3, 150)) | 1u32;
        let (wide, narrow) = (a.significant_digits::<u64>(), b.significant_digits::<u64>());
        let rows = Limbs::from_words(limbs_of(&a, wide).to_vec(), wide);
        let r = secret_remainder(&rows, &limbs_of(&b, narrow));
        assert_eq!(integer_from_limbs(r.row(0)), Integer::from(&a % &b));
        let p = secret_product(&limbs_of(&b, narrow), &limbs_of(&a, wide));
        assert_eq!(integer_from_limbs(&p), Integer::from(&a * &b));
    }

    #[test]
    fn integers_still_grow_and_shrink_under_the_clearing_allocator() {
        clear_freed_integers();
        let mut x = Integer::from(3);
        for _ in 0..12 {
            x.square_mut();
        }
        assert_eq!(x, Integer::from(Integer::u_pow_u(3, 4096)));
        x >>= 6000;
        x.shrink_to_fit();
        assert_eq!(
            x.significant_bits(),
            Integer::from(Integer::u_pow_u(3, 4096)).significant_bits() - 6000
        );
    }
}
