//! What is built above a [`Ring`], once for all backends: tables of powers, exponentiation,
//! multi-exponentiation and packing.
//!
//! Exponents are secret (masks, encryption randomness, key material): every function is a
//! [`Program`], whose operations are the same whatever the digits are.
//! Bit lengths, shapes and indices are public.

use super::program::{EMPTY, Program, Reading, Rows, Step, evaluate};
use super::residues::pieces;
use super::{Block, Limbs, Residues, Ring, add_masked, add_shifted, bits_at};
use crate::error::Result;
use rayon::prelude::*;
use std::sync::Arc;

/// Tables of powers larger than this are built and used in several passes.
const TABLE_BYTES: usize = 192 << 20;

/// Exponents of `bits` bits; a single row serves every element.
#[derive(Debug)]
pub struct Exponents<'a> {
    rows: &'a Limbs,
    bits: usize,
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

    /// How many there are, and how long they are.
    pub(super) fn count_and_bits(&self) -> (usize, usize) {
        (self.rows.rows(), self.bits)
    }
}

/// Powers `base^0 … base^(2^window − 1)` of each number, base after base; times `start[i]` where
/// there is one.
pub(super) fn power_tables(bases: &Residues, window: usize, start: Option<&Residues>) -> Block {
    let (ring, entries) = (bases.ring(), 1usize << window);
    let (block, start) = (bases.block(), start.map(Residues::block));
    if let Some(tables) = ring.tables(block, window, start) {
        return tables;
    }
    let parts: Vec<_> = pieces(ring, ring.grain().min(16), bases.len())
        .into_par_iter()
        .map(|range| {
            let count = range.len();
            let all: Vec<_> = (0..count).collect();
            let range: Vec<_> = range.collect();
            let base = ring.gather(block, &range);
            let mut powers = match start {
                Some(start) => vec![ring.gather(start, &range)],
                None => vec![ring.ones(count), ring.gather(&base, &all)],
            };
            while powers.len() < entries {
                let mut next = ring.gather(&powers[powers.len() - 1], &all);
                ring.multiply(&mut next, &base);
                powers.push(next);
            }
            // From power-major to base-major, so that a base's entries lie together.
            let joined = ring.join(&powers.iter().collect::<Vec<_>>());
            let order: Vec<_> = (0..count)
                .flat_map(|i| (0..entries).map(move |d| d * count + i))
                .collect();
            ring.gather(&joined, &order)
        })
        .collect();
    ring.join(&parts.iter().collect::<Vec<_>>())
}

/// The window that costs least: `bases` tables against `terms` products of `bits`-bit exponents,
/// each with a secret look-up.
fn best_window(
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

/// `out[k] = Π_t bases[indices[k·width + t]] ^ exponents[k·width + t]` over `t < width`: Straus'
/// simultaneous exponentiation, with one table for each base however many outputs use it.
pub fn multi_power(
    bases: &Residues,
    indices: &[usize],
    exponents: &Exponents<'_>,
    width: usize,
) -> Residues {
    let straus = Straus::new(bases, indices, width);
    let window = straus.best_window(exponents.bits);
    straus
        .run(exponents, window, TABLE_BYTES, None)
        .expect("nothing is inverted")
}

/// As [`multi_power`], for exponents of either sign, `|values[i]| < 2^bits`.
///
/// Digits are read from `value + Σ_j 2^(w−1)·2^(w·j)`, which is never negative, and the tables begin
/// with `base^(−2^(w−1))` to make up for it: signs cost one inversion a base and nothing a term.
///
/// # Errors
/// A base that is not a unit.
pub fn signed_multi_power(
    bases: &Residues,
    indices: &[usize],
    values: &[i128],
    bits: usize,
    width: usize,
) -> Result<Residues> {
    assert!(values.len() == indices.len() && bits <= 126);
    let straus = Straus::new(bases, indices, width);
    // The sum above leaves a third of the range for positive values; two bits more are enough.
    let window = straus.best_window(bits + 2).max(2);
    let digits = (bits + 2).div_ceil(window);
    let mut offset = [0u64; 3];
    for j in 0..digits {
        add_shifted(&mut offset, &[1], window * j + window - 1);
    }
    let mut shifted = Limbs::zeros(values.len(), 3);
    for (i, &value) in values.iter().enumerate() {
        let sign = (value >> 127) as u64;
        let row = shifted.row_mut(i);
        row.copy_from_slice(&[value as u64, (value >> 64) as u64, sign]);
        add_masked(row, &offset, u64::MAX);
    }
    let exponents = Exponents::new(&shifted, digits * window);
    straus.run(&exponents, window, TABLE_BYTES, Some(window - 1))
}

/// A multi-exponentiation: `outputs` products of `width` powers.
struct Straus<'a> {
    bases: &'a Residues,
    indices: &'a [usize],
    width: usize,
    /// The outputs in an order that brings those with the same bases together, so that numbers
    /// that are computed at once read the same tables.
    order: Vec<usize>,
    /// Whether most of them do.
    shared: bool,
}

impl<'a> Straus<'a> {
    fn new(bases: &'a Residues, indices: &'a [usize], width: usize) -> Self {
        let lanes = bases.ring().lanes();
        let mut order: Vec<usize> = (0..indices.len().checked_div(width).unwrap_or(0)).collect();
        let row = |k: usize| &indices[k * width..(k + 1) * width];
        if lanes > 1 {
            order.sort_by_key(|&k| row(k));
        }
        let shares = |k: &&[usize]| k.len() > 1 && row(k[0])[0] == row(k[k.len() - 1])[0];
        let shared = 2 * order.chunks(lanes).filter(shares).count() > order.len().div_ceil(lanes);
        Self {
            bases,
            indices,
            width,
            order,
            shared,
        }
    }

    fn best_window(&self, bits: usize) -> usize {
        let (bases, terms) = (self.bases.len(), self.indices.len());
        let ring = self.bases.ring();
        best_window(ring, bits, bases.min(terms), terms, self.shared)
    }

    /// With tables of at most `table_bytes` at a time; `inverse_bits`: they begin with
    /// `base^(−2^inverse_bits)`, not with 1.
    fn run(
        &self,
        exponents: &Exponents<'_>,
        window: usize,
        table_bytes: usize,
        inverse_bits: Option<usize>,
    ) -> Result<Residues> {
        let ring = self.bases.ring();
        if self.order.is_empty() {
            return Ok(Residues::ones(ring, 0));
        }
        let table_row = (ring.modulus().width() * 8) << window;
        let limit = (table_bytes / table_row).max(1);
        let mut product: Option<Residues> = None;
        for columns in column_blocks(self.indices, self.width, self.bases.len(), limit) {
            let part = self.columns(exponents, columns, window, inverse_bits)?;
            product = Some(match product {
                None => part,
                Some(product) => product.multiply(&part),
            });
        }
        let mut places = vec![0; self.order.len()];
        for (place, &k) in self.order.iter().enumerate() {
            places[k] = place;
        }
        Ok(product
            .expect("at least one block of columns")
            .gather(&places))
    }

    fn columns(
        &self,
        exponents: &Exponents<'_>,
        columns: std::ops::Range<usize>,
        window: usize,
        inverse_bits: Option<usize>,
    ) -> Result<Residues> {
        let (ring, width) = (self.bases.ring(), self.width);
        // Tables only for the bases that these columns use.
        let mut slot = vec![usize::MAX; self.bases.len()];
        let mut used = vec![];
        for row in self.indices.chunks_exact(width) {
            for &i in &row[columns.clone()] {
                if slot[i] == usize::MAX {
                    slot[i] = used.len();
                    used.push(i);
                }
            }
        }
        let used = self.bases.gather(&used);
        let start = match inverse_bits {
            Some(bits) => Some(used.invert()?.square(bits)),
            None => None,
        };
        let table = power_tables(&used, window, start.as_ref());
        let windows = exponents.bits.div_ceil(window).max(1);
        let steps = (0..windows).rev().flat_map(|j| {
            (0..columns.len()).map(move |column| Step {
                squarings: if column == 0 && j + 1 < windows {
                    window
                } else {
                    0
                },
                column,
                first: 0,
                at: j * window,
            })
        });
        let terms = || {
            let outputs = self.order.iter();
            outputs.flat_map(|k| columns.clone().map(move |t| k * width + t))
        };
        let program = Program {
            outputs: self.order.len(),
            columns: columns.len(),
            window,
            steps: steps.collect(),
            slots: Some(terms().map(|i| slot[self.indices[i]]).collect()),
            exponents,
            rows: Rows::Listed(terms().collect()),
            // Tables that nobody shares had better stay in the cache from window to window.
            reading: match self.shared {
                true => Reading::Shared,
                false => Reading::Own,
            },
        };
        Ok(evaluate(ring, &table, &program))
    }
}

/// Ranges of columns that each use at most `limit` different bases (or one column).
fn column_blocks(
    indices: &[usize],
    width: usize,
    bases: usize,
    limit: usize,
) -> Vec<std::ops::Range<usize>> {
    if bases <= limit {
        return std::iter::once(0..width).collect();
    }
    let mut blocks = vec![];
    let (mut start, mut last_seen, mut distinct) = (0, vec![usize::MAX; bases], 0);
    for t in 0..width {
        let fresh = |block: usize, last_seen: &mut Vec<usize>| {
            let mut count = 0;
            for &i in indices[t..].iter().step_by(width) {
                if last_seen[i] != block {
                    last_seen[i] = block;
                    count += 1;
                }
            }
            count
        };
        let added = fresh(start, &mut last_seen);
        if distinct + added > limit && t > start {
            blocks.push(start..t);
            start = t;
            distinct = fresh(start, &mut last_seen);
        } else {
            distinct += added;
        }
    }
    blocks.push(start..width);
    blocks
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
        slots: Some((0..n).collect()),
        exponents: &Exponents::new(&choice, 1),
        rows: Rows::Output,
        reading: Reading::Plain,
    };
    evaluate(a.ring(), table.block(), &program)
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
        // An empty slot takes the first base with digit 0, a factor of one.
        slots: Some(places.iter().map(|p| p.unwrap_or(0)).collect()),
        exponents: exponents.unwrap_or(&ones),
        rows: Rows::Listed(places.iter().map(|p| p.unwrap_or(EMPTY)).collect()),
        reading: Reading::Plain,
    };
    evaluate(ring, &tables, &program)
}

#[cfg(test)]
mod tests;
