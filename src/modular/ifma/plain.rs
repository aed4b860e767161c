//! Almost-Montgomery form for any odd modulus: x·R mod M below 2M, R = 2^(52·limbs) > 4M, so that
//! no product needs a final subtraction (Walter 1999).

use super::batch::Vectors;
use super::kernels::{Cpu, Montgomery, Scan, TILE, Vector, below};
use super::{Form, limbs_of_52, montgomery, splat};
use rug::Integer;

/// Numbers modulo M.
pub struct Plain {
    cpu: Cpu,
    modulus: Montgomery,
    /// R and R² mod M, and 1, in every lane.
    one: Vectors,
    r_squared: Vectors,
    unit: Vectors,
}

impl Plain {
    pub fn new(cpu: Cpu, modulus: &Integer) -> Self {
        let limbs = limbs_of_52(modulus.significant_bits() + 2).next_multiple_of(TILE);
        let r = Integer::from(1) << (52 * limbs) as u32;
        Self {
            cpu,
            modulus: montgomery(modulus, limbs),
            one: splat(&Integer::from(&r % modulus), limbs),
            r_squared: splat(&(r.square() % modulus), limbs),
            unit: splat(&Integer::from(1), limbs),
        }
    }
}

impl Form for Plain {
    fn limbs(&self) -> usize {
        self.modulus.limbs.len()
    }

    fn scratch(&self) -> usize {
        0
    }

    fn one(&self) -> &[Vector] {
        &self.one
    }

    fn multiply(
        &self,
        out: &mut [Vector],
        a: &[Vector],
        b: &[Vector],
        _: &mut [Vector],
        _: &[Vector],
    ) {
        // 4M² + R·M is below 2M·R.
        self.cpu.multiply(out, a, b, &self.modulus);
        debug_assert!(below(out, 2, &self.modulus));
    }

    fn square(&self, out: &mut [Vector], a: &[Vector], _: &mut [Vector], scan: &mut Scan<'_>) {
        debug_assert!(below(a, 2, &self.modulus));
        self.cpu.square(out, a, &self.modulus, scan);
        debug_assert!(below(out, 2, &self.modulus));
    }

    fn enter(&self, out: &mut [Vector], canonical: &[Vector], scratch: &mut [Vector]) {
        self.multiply(out, canonical, &self.r_squared, scratch, &[]);
    }

    fn leave(&self, out: &mut [Vector], a: &[Vector], scratch: &mut [Vector]) {
        // (2M + (R − 1)·M)/R is at most M: one subtraction makes it canonical.
        self.multiply(out, a, &self.unit, scratch, &[]);
        self.cpu.reduce_once(out, &self.modulus, 0);
        debug_assert!(below(out, 1, &self.modulus));
    }
}
