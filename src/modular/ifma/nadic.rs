//! Arithmetic modulo squares, N-adic: x = x₀ + x₁·N, two digits of the size of N.
//!
//! With Montgomery's quotient q of x₀·y₀, x₀·y₀ = R·t − q·N, so modulo N²
//! `x·y/R = t + N·(x₀·y₁ + x₁·y₀ − q)/R`: another reduction modulo N, never one modulo N². A product
//! takes 10h² multiply-adds and a square 7h², h limbs of N, against 16h² and 12h² modulo a plain
//! number of 2h limbs; 8.5h² and 6.25h² with one level of Karatsuba. To stay positive, the second
//! column starts from C − q, C = ⌈R/N⌉·N.
//!
//! Digits stay below 4N, with R > 16N. Products of such have t < (16N² + R·N)/R ≤ 2N and a second
//! digit below (32N² + R + N + R·N)/R < 3N + 2.

use super::batch::Vectors;
use super::kernels::{Cpu, NADIC_SCRATCH, Scan, Square, TILE, Vector, below};
use super::{Form, limbs_of_52, montgomery, splat, words_of_52};
use rug::Integer;

/// Numbers modulo N².
pub struct Nadic {
    cpu: Cpu,
    square: Square,
    /// R, R², R³ mod N², and 1, in every lane.
    one: Vectors,
    r_squared: Vectors,
    r_cubed: Vectors,
    unit: Vectors,
}

impl Nadic {
    pub fn new(cpu: Cpu, root: &Integer) -> Self {
        let limbs = limbs_of_52(root.significant_bits() + 4).next_multiple_of(2 * TILE);
        let r = Integer::from(1) << (52 * limbs) as u32;
        let square = Integer::from(root.square_ref());
        let multiple = (Integer::from(&r / root) + 1u32) * root;
        let power = |exponent: u32| {
            let x = Integer::from(1) << (52 * limbs as u32 * exponent);
            let (second, first) = (x % &square).div_rem(root.clone());
            let mut digits = Vectors::zeros(2 * limbs);
            digits[..limbs].copy_from_slice(&splat(&first, limbs));
            digits[limbs..].copy_from_slice(&splat(&second, limbs));
            digits
        };
        Self {
            cpu,
            square: Square {
                root: montgomery(root, limbs),
                offset: words_of_52(&(multiple - r + 1u32), limbs),
            },
            one: power(1),
            r_squared: power(2),
            r_cubed: power(3),
            unit: power(0),
        }
    }
}

impl Nadic {
    /// Whether both digits are below 4N.
    fn in_range(&self, x: &[Vector]) -> bool {
        let mut digits = x.chunks_exact(self.square.root.limbs.len());
        digits.all(|digit| below(digit, 4, &self.square.root))
    }
}

impl Form for Nadic {
    fn limbs(&self) -> usize {
        2 * self.square.root.limbs.len()
    }

    fn scratch(&self) -> usize {
        // Of a product; two more numbers on the way in and out.
        NADIC_SCRATCH * self.square.root.limbs.len() + 2 * self.limbs()
    }

    fn one(&self) -> &[Vector] {
        &self.one
    }

    fn multiply(
        &self,
        out: &mut [Vector],
        a: &[Vector],
        b: &[Vector],
        scratch: &mut [Vector],
        ahead: &[Vector],
    ) {
        self.cpu
            .multiply_nadic(out, a, b, &self.square, scratch, ahead);
        debug_assert!(self.in_range(out));
    }

    fn square(
        &self,
        out: &mut [Vector],
        a: &[Vector],
        scratch: &mut [Vector],
        scan: &mut Scan<'_>,
    ) {
        debug_assert!(self.in_range(a));
        self.cpu.square_nadic(out, a, &self.square, scratch, scan);
        debug_assert!(self.in_range(out));
    }

    /// x = l + r·R with l below R and r below N²/R < N: l·R²/R + r·R³/R, without a division. As
    /// first digits, l and r against constants below N give digits below 2N each, so the sum's are
    /// below 4N: (R·N + R·N)/R, and ((R − 1)(N − 1) + R + N + (R − 1)·N)/R.
    fn enter(&self, out: &mut [Vector], canonical: &[Vector], scratch: &mut [Vector]) {
        let h = self.square.root.limbs.len();
        let (operand, scratch) = scratch.split_at_mut(2 * h);
        let (high, scratch) = scratch.split_at_mut(2 * h);
        operand[h..].fill(Vector::ZERO);
        operand[..h].copy_from_slice(&canonical[h..]);
        self.multiply(high, operand, &self.r_cubed, scratch, &[]);
        operand[..h].copy_from_slice(&canonical[..h]);
        self.multiply(out, operand, &self.r_squared, scratch, &[]);
        self.cpu.add(&mut out[..h], &high[..h]);
        self.cpu.add(&mut out[h..], &high[h..]);
        debug_assert!(self.in_range(out));
    }

    /// Times 1, digits are at most N and N + 1. Making the first canonical may carry one more into
    /// the second, which then is below 2N.
    fn leave(&self, out: &mut [Vector], a: &[Vector], scratch: &mut [Vector]) {
        let h = self.square.root.limbs.len();
        let (digits, scratch) = scratch.split_at_mut(2 * h);
        self.multiply(digits, a, &self.unit, scratch, &[]);
        let (first, second) = digits.split_at_mut(h);
        let carry = self.cpu.reduce_once(first, &self.square.root, 0);
        self.cpu.reduce_once(second, &self.square.root, carry);
        debug_assert!(below(first, 1, &self.square.root) && below(second, 1, &self.square.root));
        self.cpu.product(out, first, second, &self.square.root);
    }
}
