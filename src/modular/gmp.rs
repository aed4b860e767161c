//! The portable backend: GMP's `mpn` layer, one number at a time. It is the oracle that every
//! other backend must equal bit for bit.
//!
//! Numbers are in Montgomery form, reduced below the modulus. Only `mpn` functions whose time
//! depends on sizes alone are used.

use super::{Backend, Block, Modulus, Ring, integer_from_limbs, limbs_of};
use gmp_mpfr_sys::gmp;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use zeroize::Zeroizing;

/// The GMP backend.
#[derive(Debug, Clone, Copy)]
pub struct Gmp;

impl Backend for Gmp {
    fn name(&self) -> &'static str {
        "gmp"
    }

    fn ring(&self, modulus: Modulus) -> Arc<dyn Ring> {
        Arc::new(GmpRing::new(modulus))
    }
}

/// Numbers in Montgomery form, one after the other.
type Words = Zeroizing<Vec<u64>>;

struct GmpRing {
    modulus: Modulus,
    /// −modulus^−1 mod 2^64.
    negated_inverse: u64,
    /// R and R² mod modulus, R = 2^(64·width).
    one: Zeroizing<Vec<u64>>,
    r_squared: Zeroizing<Vec<u64>>,
    operations: AtomicU64,
}

/// Buffers of one batch operation.
struct Scratch {
    product: Zeroizing<Vec<u64>>,
    selected: Zeroizing<Vec<u64>>,
    internal: Zeroizing<Vec<u64>>,
}

impl GmpRing {
    fn new(modulus: Modulus) -> Self {
        let width = modulus.width();
        let m = integer_from_limbs(modulus.limbs());
        let r = rug::Integer::from(1) << (64 * width as u32);
        let r_squared = limbs_of(&(rug::Integer::from(r.square_ref()) % &m), width);
        let one = limbs_of(&(r % &m), width);
        // Newton's iteration doubles the correct low bits: 3, 6, ..., 96.
        let low = modulus.limbs()[0];
        let mut inverse = low;
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(2u64.wrapping_sub(low.wrapping_mul(inverse)));
        }
        Self {
            modulus,
            negated_inverse: inverse.wrapping_neg(),
            one,
            r_squared,
            operations: AtomicU64::new(0),
        }
    }

    fn width(&self) -> usize {
        self.modulus.width()
    }

    fn scratch(&self) -> Scratch {
        let n = self.width() as i64;
        // SAFETY: these functions only compute sizes.
        let itch =
            unsafe { gmp::mpn_sec_mul_itch(n as _, n as _).max(gmp::mpn_sec_sqr_itch(n as _)) };
        Scratch {
            product: Zeroizing::new(vec![0; 2 * self.width()]),
            selected: Zeroizing::new(vec![0; self.width()]),
            internal: Zeroizing::new(vec![0; itch as usize]),
        }
    }

    /// `x ← x · y / R mod m`.
    fn montgomery_multiply(&self, x: &mut [u64], y: &[u64], scratch: &mut Scratch) {
        let n = self.width();
        assert!(x.len() == n && y.len() == n);
        // SAFETY: operands have n limbs, the product has 2n, the scratch has the documented size.
        unsafe {
            gmp::mpn_sec_mul(
                scratch.product.as_mut_ptr(),
                x.as_ptr(),
                n as _,
                y.as_ptr(),
                n as _,
                scratch.internal.as_mut_ptr(),
            );
        }
        self.reduce(x, &mut scratch.product);
    }

    /// `x ← x² / R mod m`.
    fn montgomery_square(&self, x: &mut [u64], scratch: &mut Scratch) {
        let n = self.width();
        assert_eq!(x.len(), n);
        // SAFETY: as in montgomery_multiply.
        unsafe {
            gmp::mpn_sec_sqr(
                scratch.product.as_mut_ptr(),
                x.as_ptr(),
                n as _,
                scratch.internal.as_mut_ptr(),
            );
        }
        self.reduce(x, &mut scratch.product);
    }

    /// `out ← t / R mod m` (Montgomery 1985) for t below m·R; destroys t.
    fn reduce(&self, out: &mut [u64], t: &mut [u64]) {
        let n = self.width();
        assert!(out.len() == n && t.len() == 2 * n);
        let m = self.modulus.limbs().as_ptr();
        let (t, out) = (t.as_mut_ptr(), out.as_mut_ptr());
        // SAFETY: t has 2n limbs and i < n, so t+i .. t+i+n stays inside; m and out have n limbs.
        unsafe {
            for i in 0..n {
                // Limb i becomes zero; its place keeps the carry that belongs to limb i + n.
                let q = (*t.add(i)).wrapping_mul(self.negated_inverse);
                *t.add(i) = gmp::mpn_addmul_1(t.add(i), m, n as _, q);
            }
            let carry = gmp::mpn_add_n(out, t.add(n), t, n as _);
            // out + carry·R is below 2m: subtract m, add it back where that went below zero.
            let borrow = gmp::mpn_sub_n(out, out, m, n as _);
            gmp::mpn_cnd_add_n(borrow & !carry & 1, out, out, m, n as _);
        }
    }

    fn count(&self, operations: usize) {
        self.operations
            .fetch_add(operations as u64, Ordering::Relaxed);
    }
}

impl Ring for GmpRing {
    fn modulus(&self) -> &Modulus {
        &self.modulus
    }

    fn grain(&self) -> usize {
        // Enough for a window of a comb to be read from memory once for several numbers.
        8
    }

    fn enter(&self, canonical: &[u64]) -> Block {
        let mut words = Words::new(canonical.to_vec());
        let mut scratch = self.scratch();
        for x in words.chunks_exact_mut(self.width()) {
            self.montgomery_multiply(x, &self.r_squared, &mut scratch);
        }
        Block::new(words)
    }

    fn leave(&self, block: &Block) -> Vec<u64> {
        let n = self.width();
        let mut words = block.get::<Words>().to_vec();
        let mut t = Zeroizing::new(vec![0; 2 * n]);
        for x in words.chunks_exact_mut(n) {
            t[..n].copy_from_slice(x);
            t[n..].fill(0);
            self.reduce(x, &mut t);
        }
        words
    }

    fn ones(&self, count: usize) -> Block {
        Block::new(Words::new(self.one.repeat(count)))
    }

    fn gather(&self, source: &Block, indices: &[usize]) -> Block {
        let (n, source) = (self.width(), source.get::<Words>());
        let mut out = Words::new(Vec::with_capacity(n * indices.len()));
        for &i in indices {
            out.extend_from_slice(&source[n * i..n * (i + 1)]);
        }
        Block::new(out)
    }

    fn join(&self, parts: &[&Block]) -> Block {
        let total = parts.iter().map(|p| p.get::<Words>().len()).sum();
        let mut out = Words::new(Vec::with_capacity(total));
        for part in parts {
            out.extend_from_slice(part.get::<Words>());
        }
        Block::new(out)
    }

    fn multiply(&self, x: &mut Block, y: &Block) {
        let (n, mut scratch) = (self.width(), self.scratch());
        let (x, y) = (x.get_mut::<Words>(), y.get::<Words>());
        assert_eq!(x.len(), y.len());
        for (x, y) in x.chunks_exact_mut(n).zip(y.chunks_exact(n)) {
            self.montgomery_multiply(x, y, &mut scratch);
        }
        self.count(x.len() / n);
    }

    fn square(&self, x: &mut Block, times: usize) {
        let (n, mut scratch) = (self.width(), self.scratch());
        let x = x.get_mut::<Words>();
        for x in x.chunks_exact_mut(n) {
            for _ in 0..times {
                self.montgomery_square(x, &mut scratch);
            }
        }
        self.count(x.len() / n * times);
    }

    fn multiply_selected(
        &self,
        x: &mut Block,
        table: &Block,
        first: &[usize],
        digits: &[u64],
        entries: usize,
        _ahead: Range<usize>,
    ) {
        let (n, mut scratch) = (self.width(), self.scratch());
        let (x, table) = (x.get_mut::<Words>(), table.get::<Words>());
        assert!(x.len() == n * first.len() && first.len() == digits.len());
        let mut selected = std::mem::take(&mut scratch.selected);
        for ((x, &first), &digit) in x.chunks_exact_mut(n).zip(first).zip(digits) {
            let rows = &table[n * first..n * (first + entries)];
            debug_assert!((digit as usize) < entries);
            // SAFETY: `rows` holds `entries` rows of n limbs, `selected` has n limbs; a digit out
            // of range would select nothing, not read outside.
            unsafe {
                gmp::mpn_sec_tabselect(
                    selected.as_mut_ptr(),
                    rows.as_ptr(),
                    n as _,
                    entries as _,
                    digit as _,
                );
            }
            self.montgomery_multiply(x, &selected, &mut scratch);
        }
        self.count(first.len());
    }

    fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for GmpRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GmpRing({} bits)", self.modulus.bits())
    }
}
