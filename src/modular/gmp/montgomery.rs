//! Montgomery form (Montgomery 1985) for any odd modulus m: x·R mod m, R = 2^(64·width).

use super::{Form, Scratch, mpn};
use crate::modular::{integer_from_limbs, limbs_of};
use zeroize::Zeroizing;

/// Division by R modulo m, the step that all forms share.
pub struct Reduction {
    modulus: Zeroizing<Vec<u64>>,
    /// −m^−1 mod 2^64.
    negated_inverse: u64,
}

impl Reduction {
    pub fn new(modulus: &[u64]) -> Self {
        // Newton's iteration doubles the correct low bits: 3, 6, ..., 96.
        let low = modulus[0];
        let mut inverse = low;
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(2u64.wrapping_sub(low.wrapping_mul(inverse)));
        }
        Self {
            modulus: Zeroizing::new(modulus.to_vec()),
            negated_inverse: inverse.wrapping_neg(),
        }
    }

    pub fn modulus(&self) -> &[u64] {
        &self.modulus
    }

    pub fn width(&self) -> usize {
        self.modulus.len()
    }

    /// `(t + carry·R² + q·m) / R`, an integer: its low limbs go to `out`, what is above them comes
    /// back. q, below R, goes to `quotient` if that is not empty. Destroys t.
    pub fn divide(&self, t: &mut [u64], carry: u64, out: &mut [u64], quotient: &mut [u64]) -> u64 {
        let n = self.width();
        assert!(t.len() == 2 * n && (quotient.is_empty() || quotient.len() == n));
        for i in 0..n {
            // Limb i becomes zero; its place keeps the carry that belongs to limb i + n.
            let q = t[i].wrapping_mul(self.negated_inverse);
            t[i] = mpn::add_multiple(&mut t[i..i + n], &self.modulus, q);
            if let Some(place) = quotient.get_mut(i) {
                *place = q;
            }
        }
        let (carries, high) = t.split_at(n);
        out.copy_from_slice(high);
        carry + mpn::add(out, carries)
    }

    /// Subtracts m once from `carry·R + x` unless that is below m; 1 comes back if it did.
    pub fn subtract_once(&self, x: &mut [u64], carry: &mut u64) -> u64 {
        let borrow = mpn::subtract(x, &self.modulus);
        let nonzero = (*carry | carry.wrapping_neg()) >> 63;
        let below = borrow & (nonzero ^ 1);
        mpn::add_if(below, x, &self.modulus);
        *carry -= borrow ^ below;
        below ^ 1
    }
}

/// Montgomery form.
pub struct Montgomery {
    reduction: Reduction,
    /// R and R² mod m.
    one: Zeroizing<Vec<u64>>,
    r_squared: Zeroizing<Vec<u64>>,
}

impl Montgomery {
    pub fn new(modulus: &[u64]) -> Self {
        let width = modulus.len();
        let m = integer_from_limbs(modulus);
        let r = rug::Integer::from(1) << (64 * width as u32);
        Self {
            r_squared: limbs_of(&(rug::Integer::from(r.square_ref()) % &m), width),
            one: limbs_of(&(r % &m), width),
            reduction: Reduction::new(modulus),
        }
    }

    fn reduce(&self, x: &mut [u64], scratch: &mut Scratch) {
        let mut carry = self.reduction.divide(&mut scratch.product, 0, x, &mut []);
        self.reduction.subtract_once(x, &mut carry);
    }
}

impl Form for Montgomery {
    fn width(&self) -> usize {
        self.reduction.width()
    }

    fn half(&self) -> usize {
        self.width()
    }

    fn one(&self) -> &[u64] {
        &self.one
    }

    fn multiply(&self, x: &mut [u64], y: &[u64], scratch: &mut Scratch) {
        mpn::multiply(&mut scratch.product, x, y, &mut scratch.internal);
        self.reduce(x, scratch);
    }

    fn square(&self, x: &mut [u64], scratch: &mut Scratch) {
        mpn::square(&mut scratch.product, x, &mut scratch.internal);
        self.reduce(x, scratch);
    }

    fn enter(&self, out: &mut [u64], canonical: &[u64], scratch: &mut Scratch) {
        out.copy_from_slice(canonical);
        self.multiply(out, &self.r_squared, scratch);
    }

    fn leave(&self, out: &mut [u64], x: &[u64], scratch: &mut Scratch) {
        scratch.product.fill(0);
        scratch.product[..x.len()].copy_from_slice(x);
        self.reduce(out, scratch);
    }
}
