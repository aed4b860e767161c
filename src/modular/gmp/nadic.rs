//! N-adic form for moduli that are squares: x·R mod N² as two digits x0 + x1·N, R = 2^(64·width of N).
//!
//! Montgomery's division gives x0·y0 = R·t − q·N with the quotient q that it makes anyway, so
//! x·y/R = t + N·((x0·y1 + x1·y0 − q)/R mod N): three products and two reductions of half the size,
//! five eighths of the work of Montgomery form modulo N².

use super::montgomery::Reduction;
use super::{Form, Scratch, mpn};
use crate::modular::{integer_from_limbs, limbs_of};
use rug::Integer;
use zeroize::Zeroizing;

pub struct Nadic {
    reduction: Reduction,
    /// R and R² mod N², as digits.
    one: Zeroizing<Vec<u64>>,
    r_squared: Zeroizing<Vec<u64>>,
    /// The multiple of N next above R, twice as wide as N: keeps the second digit's sum positive.
    above_r: Zeroizing<Vec<u64>>,
}

impl Nadic {
    pub fn new(root: &[u64]) -> Self {
        let half = root.len();
        let n = integer_from_limbs(root);
        let square = Integer::from(n.square_ref());
        let r = Integer::from(1) << (64 * half as u32);
        let digits = |x: Integer| {
            let (high, low) = (x % &square).div_rem(n.clone());
            let mut digits = limbs_of(&low, 2 * half);
            digits[half..].copy_from_slice(&limbs_of(&high, half));
            digits
        };
        let multiple = (Integer::from(&r / &n) + 1u32) * &n;
        Self {
            reduction: Reduction::new(root),
            r_squared: digits(Integer::from(r.square_ref())),
            one: digits(r),
            above_r: limbs_of(&multiple, 2 * half),
        }
    }

    /// From `scratch.product` = x0·y0 and `scratch.cross` + carry·R² = x0·y1 + x1·y0.
    fn finish(&self, out: &mut [u64], mut carry: u64, scratch: &mut Scratch) {
        let half = self.reduction.width();
        let (low, high) = out.split_at_mut(half);
        let quotient = &mut scratch.quotient[..half];
        let mut above = self
            .reduction
            .divide(&mut scratch.product, 0, low, quotient);
        // What is taken off the first digit goes to the second.
        let moved = self.reduction.subtract_once(low, &mut above);
        carry += mpn::add(&mut scratch.cross, &self.above_r);
        carry -= mpn::subtract(&mut scratch.cross, &scratch.quotient);
        let mut above = self
            .reduction
            .divide(&mut scratch.cross, carry, high, &mut []);
        scratch.quotient.fill(0);
        scratch.quotient[0] = moved;
        above += mpn::add(high, &scratch.quotient[..half]);
        scratch.quotient[0] = 0;
        // Below 2N + N + 3, and N is at least 3.
        for _ in 0..3 {
            self.reduction.subtract_once(high, &mut above);
        }
    }
}

impl Form for Nadic {
    fn width(&self) -> usize {
        2 * self.reduction.width()
    }

    fn half(&self) -> usize {
        self.reduction.width()
    }

    fn one(&self) -> &[u64] {
        &self.one
    }

    fn multiply(&self, x: &mut [u64], y: &[u64], s: &mut Scratch) {
        let half = self.reduction.width();
        let ((x0, x1), (y0, y1)) = (x.split_at(half), y.split_at(half));
        mpn::multiply(&mut s.cross, x0, y1, &mut s.internal);
        mpn::multiply(&mut s.product, x1, y0, &mut s.internal);
        let carry = mpn::add(&mut s.cross, &s.product);
        mpn::multiply(&mut s.product, x0, y0, &mut s.internal);
        self.finish(x, carry, s);
    }

    fn square(&self, x: &mut [u64], s: &mut Scratch) {
        let (x0, x1) = x.split_at(self.reduction.width());
        mpn::multiply(&mut s.cross, x0, x1, &mut s.internal);
        let carry = mpn::double(&mut s.cross);
        mpn::square(&mut s.product, x0, &mut s.internal);
        self.finish(x, carry, s);
    }

    fn enter(&self, out: &mut [u64], canonical: &[u64], s: &mut Scratch) {
        let half = self.reduction.width();
        s.product.fill(0);
        s.product[..canonical.len()].copy_from_slice(canonical);
        let (low, high) = out.split_at_mut(half);
        mpn::divide(
            high,
            &mut s.product,
            self.reduction.modulus(),
            &mut s.internal,
        );
        low.copy_from_slice(&s.product[..half]);
        self.multiply(out, &self.r_squared, s);
    }

    fn leave(&self, out: &mut [u64], x: &[u64], s: &mut Scratch) {
        let half = self.reduction.width();
        let mut digits = Zeroizing::new(x.to_vec());
        let mut one = vec![0; 2 * half];
        one[0] = 1;
        self.multiply(&mut digits, &one, s);
        // x0 + x1·N is below N², whose limbs are at most twice those of N.
        mpn::multiply(
            &mut s.product,
            &digits[half..],
            self.reduction.modulus(),
            &mut s.internal,
        );
        digits[half..].fill(0);
        mpn::add(&mut s.product, &digits);
        out.copy_from_slice(&s.product[..out.len()]);
    }
}
