//! What is built above a [`Ring`], once for all backends: tables of powers, exponentiation,
//! multi-exponentiation and packing.
//!
//! Exponents are secret (masks, encryption randomness, key material): every function is a
//! [`Program`], whose operations are the same whatever the digits are.
//! Bit lengths, shapes and indices are public.

pub use super::straus::{multi_power, signed_multi_power};

use super::program::{EMPTY, Program, Reading, Rows, Step, Tables, evaluate};
use super::residues::pieces;
use super::{Block, Limbs, Residues, Ring, bits_at};
use crate::parallel;
use std::sync::Arc;

/// Exponents of `bits` bits; a single row serves every element.
#[derive(Debug)]
pub struct Exponents<'a> {
    rows: &'a Limbs,
    pub(super) bits: usize,
}

impl<'a> Exponents<'a> {
    /// Every row is below `2^bits`.
    pub fn new(rows: &'a Limbs, bits: usize) -> Self {
        debug_assert!(
            (0..rows.rows()).all(|i| {
                let row = rows.row(i);
                (bits..64 * row.len())
                    .step_by(64)
                    .all(|at| bits_at(row, at, 64) == 0)
            }),
            "an exponent is longer than it claims"
        );
        Self { rows, bits }
    }

    /// `window` bits of the exponent of element `i` from bit `at` on; zeros beyond its end.
    pub(super) fn digit(&self, i: usize, at: usize, window: usize) -> u64 {
        let count = window.min(self.bits.saturating_sub(at));
        bits_at(self.row(i), at, count)
    }

    /// The exponent of element `i`.
    pub(super) fn row(&self, i: usize) -> &[u64] {
        self.rows.row(if self.is_single() { 0 } else { i })
    }

    /// Whether one serves every element.
    pub(super) fn is_single(&self) -> bool {
        self.rows.rows() == 1
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.rows.rows()
    }
}

/// Powers `base^0 … base^(2^window − 1)` of each number, base after base; times `start[i]` where
/// there is one.
pub(super) fn power_tables(bases: &Residues, window: usize, start: Option<&Residues>) -> Block {
    let ring = bases.ring();
    let (block, start) = (bases.block(), start.map(Residues::block));
    if let Some(tables) = ring.tables(block, window, start) {
        return tables;
    }
    let parts: Vec<_> = parallel::over(pieces(ring, ring.grain().min(16), bases.len()))
        .map(|range| power_table(ring, block, &range.collect::<Vec<_>>(), window, start))
        .collect();
    ring.join(&parts.iter().collect::<Vec<_>>())
}

/// [`power_tables`] of the bases at `indices`, on this thread. A base's entries lie together.
pub(super) fn power_table(
    ring: &Arc<dyn Ring>,
    bases: &Block,
    indices: &[usize],
    window: usize,
    start: Option<&Block>,
) -> Block {
    let (count, entries) = (indices.len(), 1usize << window);
    let all: Vec<_> = (0..count).collect();
    let base = ring.gather(bases, indices);
    let mut powers = match start {
        Some(start) => vec![ring.gather(start, indices)],
        None => vec![ring.ones(count), ring.gather(&base, &all)],
    };
    while powers.len() < entries {
        let d = powers.len();
        // Squarings cost less, but they need powers of the base alone.
        let next = if start.is_none() && d.is_multiple_of(2) {
            let mut next = ring.gather(&powers[d / 2], &all);
            ring.square(&mut next, 1);
            next
        } else {
            let mut next = ring.gather(&powers[d - 1], &all);
            ring.multiply(&mut next, &base);
            next
        };
        powers.push(next);
    }
    ring.interleave(&powers.iter().collect::<Vec<_>>(), count)
}

/// The window that costs least: `bases` tables against `terms` products of `bits`-bit exponents,
/// each with a secret look-up.
pub(super) fn best_window(
    ring: &Arc<dyn Ring>,
    bits: usize,
    bases: usize,
    terms: usize,
    shared: bool,
) -> usize {
    (1..=7)
        .min_by_key(|&w| {
            // An entry is also moved to its place, and read from far away.
            let table = ((1usize << w) - 2) * bases * 200;
            let products = bits.div_ceil(w) * terms * (100 + ring.look_up_cost(1 << w, shared));
            table + products
        })
        .expect("a window")
}

/// `bases[i] ^ exponents[i]`.
pub fn power(bases: &Residues, exponents: &Exponents<'_>) -> Residues {
    multi_power(bases, &(0..bases.len()).collect::<Vec<_>>(), exponents, 1)
}

/// `if choice[i] { b[i] } else { a[i] }` with secret choices: both are read, a multiplication by
/// one each.
pub fn choose(a: &Residues, b: &Residues, choice: &[bool]) -> Residues {
    let n = a.len();
    assert!(b.len() == n && choice.len() == n);
    let order: Vec<_> = (0..n).flat_map(|i| [i, n + i]).collect();
    let table = Residues::concatenate(&[a, b]).gather(&order);
    let choice = choice.iter().map(|&c| u64::from(c)).collect();
    let choice = Limbs::from_words(choice, 1);
    let program = Program {
        outputs: n,
        columns: 1,
        window: 1,
        steps: vec![Step {
            squarings: 0,
            column: 0,
            first: 0,
            at: 0,
        }],
        tables: Tables::Made(table.block()),
        slots: Some((0..n).collect()),
        exponents: &Exponents::new(&choice, 1),
        rows: Rows::Output,
        empty_digit: 0,
        reading: Reading::Plain,
    };
    evaluate(a.ring(), &program)
}

/// Packs by Horner's rule: `out[g] = Π_j (bases[i]^exponents[i])^(2^(j·slot_bits))` where
/// `i = places[g·per_pack + j]`; a slot without a place stays empty. Without exponents they are 1.
///
/// The exponentiations ride on the squarings that packing needs anyway. Exponents have fewer than
/// `slot_bits` bits.
pub fn pack(
    bases: &Residues,
    exponents: Option<&Exponents<'_>>,
    slot_bits: usize,
    per_pack: usize,
    places: &[Option<usize>],
) -> Residues {
    let (ring, n) = (bases.ring(), bases.len());
    let bits = exponents.map_or(1, |e| e.bits);
    assert!(bits <= slot_bits && per_pack > 0);
    let window = if exponents.is_some() {
        best_window(ring, bits, n, n, false)
    } else {
        1
    };
    let tables = power_tables(bases, window, None);
    let (mut steps, mut squarings) = (vec![], 0);
    for column in (0..per_pack).rev() {
        // Bits of a slot from the top; only window boundaries inside the exponent multiply.
        for at in (0..slot_bits).rev() {
            squarings += 1;
            if at % window != 0 || at >= bits {
                continue;
            }
            // One needs no squaring.
            if steps.is_empty() {
                squarings = 0;
            }
            steps.push(Step {
                squarings,
                column,
                first: 0,
                at,
            });
            squarings = 0;
        }
    }
    let one = Limbs::from_words(vec![1], 1);
    let ones = Exponents::new(&one, 1);
    let program = Program {
        outputs: places.len() / per_pack,
        columns: per_pack,
        window,
        steps,
        tables: Tables::Made(&tables),
        // An empty slot takes the first base with digit 0, a factor of one.
        slots: Some(places.iter().map(|p| p.unwrap_or(0)).collect()),
        exponents: exponents.unwrap_or(&ones),
        rows: Rows::Listed(places.iter().map(|p| p.unwrap_or(EMPTY)).collect()),
        empty_digit: 0,
        reading: Reading::Plain,
    };
    evaluate(ring, &program)
}

#[cfg(test)]
mod tests;
