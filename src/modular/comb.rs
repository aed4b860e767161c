//! [`Comb`]: exponentiation of one fixed base by tables made ahead.

use super::exponentiation::{Exponents, power_tables};
use super::program::{Program, Reading, Rows, Step, Tables, evaluate};
use super::{Block, Limbs, Residues, Ring};
use std::fmt;
use std::sync::Arc;

/// Combs have windows that keep their table below this.
const COMB_BYTES: usize = 48 << 20;

/// Powers of one fixed base, made ahead: an exponentiation is one multiplication a window and no
/// squaring (Brickell, Gordon, McCurley, Wilson 1992).
pub struct Comb {
    ring: Arc<dyn Ring>,
    /// `base^(d·2^(window·j))` at row `j·2^window + d`.
    table: Block,
    window: usize,
    bits: usize,
}

impl Comb {
    /// Tables for exponents of up to `bits` bits of the single number in `base`.
    pub fn new(base: &Residues, bits: usize) -> Self {
        assert_eq!(base.len(), 1);
        let ring = base.ring();
        let bytes = |window: usize| (bits.div_ceil(window) * ring.modulus().width() * 8) << window;
        let window = (1..=ring.comb_window())
            .rev()
            .find(|&w| bytes(w) <= COMB_BYTES)
            .unwrap_or(1);
        let mut steps = vec![ring.gather(base.block(), &[0])];
        for _ in 1..bits.div_ceil(window) {
            let mut next = ring.gather(&steps[steps.len() - 1], &[0]);
            ring.square(&mut next, window);
            steps.push(next);
        }
        let bases = ring.join(&steps.iter().collect::<Vec<_>>());
        let bases = Residues::from_block(ring, steps.len(), bases);
        Self {
            ring: ring.clone(),
            table: power_tables(&bases, window, None),
            window,
            bits,
        }
    }

    /// The longest exponent that the tables serve, in bits.
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// `base ^ exponents[i]` for every row.
    pub fn power(&self, exponents: &Limbs, bits: usize) -> Residues {
        assert!(bits <= self.bits);
        let window = self.window;
        let steps = (0..bits.div_ceil(window)).map(|j| Step {
            squarings: 0,
            column: 0,
            first: j << window,
            at: j * window,
        });
        let program = Program {
            outputs: exponents.rows(),
            columns: 1,
            window,
            steps: steps.collect(),
            tables: Tables::Made(&self.table),
            slots: None,
            exponents: &Exponents::new(exponents, bits),
            rows: Rows::Output,
            empty_digit: 0,
            reading: Reading::Shared,
        };
        evaluate(&self.ring, &program)
    }
}

impl fmt::Debug for Comb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Comb({} bits, {:?})", self.bits, self.ring)
    }
}
