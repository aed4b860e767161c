//! Straus' simultaneous exponentiation: products of powers with tables that products share.
//!
//! For matrix products, where every row of one matrix meets the same bases. See [`exponentiation`]
//! for what binds all of its functions.
//!
//! [`exponentiation`]: super::exponentiation

use super::exponentiation::{Exponents, best_window, power_tables};
use super::program::{EMPTY, Program, Reading, Rows, Step, Tables, evaluate};
use super::{Limbs, Residues, add_masked, add_shifted};
use crate::error::Result;
use std::ops::Range;

/// Tables of powers larger than this are built and used in several passes.
const TABLE_BYTES: usize = 192 << 20;

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

/// A multi-exponentiation: products of `width` powers. Where there are fewer of them than numbers
/// that are computed at once, each is computed in several parts.
pub(super) struct Straus<'a> {
    bases: &'a Residues,
    indices: &'a [usize],
    width: usize,
    /// Parts of a product, and the terms of each (of the last, at most).
    parts: usize,
    part_width: usize,
    /// Parts `k·parts + p` in an order that brings those with the same bases together, so that
    /// numbers that are computed at once read the same tables.
    order: Vec<usize>,
    /// Whether most of them do.
    shared: bool,
}

impl<'a> Straus<'a> {
    pub(super) fn new(bases: &'a Residues, indices: &'a [usize], width: usize) -> Self {
        let lanes = bases.ring().lanes();
        let outputs = indices.len().checked_div(width).unwrap_or(0);
        let wanted = bases.ring().parts(outputs, width);
        let part_width = width.div_ceil(wanted.clamp(1, width.max(1))).max(1);
        let parts = width.div_ceil(part_width);
        let mut straus = Self {
            bases,
            indices,
            width,
            parts,
            part_width,
            order: (0..outputs * parts).collect(),
            shared: false,
        };
        if lanes > 1 {
            let mut order = std::mem::take(&mut straus.order);
            order.sort_by_key(|&part| straus.bases_of(part));
            straus.order = order;
        }
        let first = |part: usize| straus.bases_of(part)[0];
        let shares = |k: &&[usize]| k.len() > 1 && first(k[0]) == first(k[k.len() - 1]);
        let groups = straus.order.chunks(lanes);
        straus.shared = 2 * groups.filter(shares).count() > straus.order.len().div_ceil(lanes);
        straus
    }

    /// The bases that a part takes.
    fn bases_of(&self, part: usize) -> &[usize] {
        let (output, from) = (part / self.parts, part % self.parts * self.part_width);
        let end = self.width.min(from + self.part_width);
        &self.indices[output * self.width + from..output * self.width + end]
    }

    /// The term of a part in a column; the last part may have none.
    fn term(&self, part: usize, column: usize) -> Option<usize> {
        let t = part % self.parts * self.part_width + column;
        (t < self.width).then(|| part / self.parts * self.width + t)
    }

    fn best_window(&self, bits: usize) -> usize {
        let (bases, terms) = (self.bases.len(), self.indices.len());
        let ring = self.bases.ring();
        best_window(ring, bits, bases.min(terms), terms, self.shared)
    }

    /// With tables of at most `table_bytes` at a time; `inverse_bits`: they begin with
    /// `base^(−2^inverse_bits)`, not with 1.
    pub(super) fn run(
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
        for columns in self.column_blocks(limit) {
            let part = self.columns(exponents, columns, window, inverse_bits)?;
            product = Some(match product {
                None => part,
                Some(product) => product.multiply(&part),
            });
        }
        let product = product.expect("at least one block of columns");
        let mut places = vec![0; self.order.len()];
        for (place, &part) in self.order.iter().enumerate() {
            places[part] = place;
        }
        Ok(match self.parts {
            1 => product.gather(&places),
            parts => product.products(&places, parts),
        })
    }

    fn columns(
        &self,
        exponents: &Exponents<'_>,
        columns: Range<usize>,
        window: usize,
        inverse_bits: Option<usize>,
    ) -> Result<Residues> {
        let ring = self.bases.ring();
        // Tables only for the bases that these columns use.
        let mut slot = vec![usize::MAX; self.bases.len()];
        let (mut used, mut terms) = (vec![], 0);
        for part in 0..self.order.len() {
            for i in columns.clone().filter_map(|c| self.term(part, c)) {
                terms += 1;
                let i = self.indices[i];
                if slot[i] == usize::MAX {
                    slot[i] = used.len();
                    used.push(i);
                }
            }
        }
        // A table that serves once is made where it is used, and so is still in the cache.
        let own = used.len() == terms;
        let used = self.bases.gather(&used);
        let start = match inverse_bits {
            Some(bits) => Some(used.invert()?.square(bits)),
            None => None,
        };
        let common = (!own || ring.whole()).then(|| power_tables(&used, window, start.as_ref()));
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
            let parts = self.order.iter();
            parts.flat_map(|&part| columns.clone().map(move |c| self.term(part, c)))
        };
        let slot = |i: Option<usize>| i.map_or(0, |i| slot[self.indices[i]]);
        let program = Program {
            outputs: self.order.len(),
            columns: columns.len(),
            window,
            steps: steps.collect(),
            tables: match &common {
                Some(tables) => Tables::Made(tables),
                None => Tables::Own {
                    bases: used.block(),
                    start: start.as_ref().map(Residues::block),
                },
            },
            slots: Some(terms().map(slot).collect()),
            exponents,
            rows: Rows::Listed(terms().map(|i| i.unwrap_or(EMPTY)).collect()),
            // A part without a term takes any base to the power 0.
            empty_digit: inverse_bits.map_or(0, |bits| 1 << bits),
            // Tables that nobody shares had better stay in the cache from window to window.
            reading: match self.shared {
                true => Reading::Shared,
                false => Reading::Own,
            },
        };
        Ok(evaluate(ring, &program))
    }

    /// Ranges of columns that each use at most `limit` different bases (or one column).
    fn column_blocks(&self, limit: usize) -> Vec<Range<usize>> {
        if self.bases.len() <= limit {
            return std::iter::once(0..self.part_width).collect();
        }
        let mut blocks = vec![];
        let (mut start, mut distinct) = (0, 0);
        let mut last_seen = vec![usize::MAX; self.bases.len()];
        for column in 0..self.part_width {
            let fresh = |block: usize, last_seen: &mut Vec<usize>| {
                let mut count = 0;
                let terms = (0..self.order.len()).filter_map(|part| self.term(part, column));
                for i in terms.map(|i| self.indices[i]) {
                    if last_seen[i] != block {
                        last_seen[i] = block;
                        count += 1;
                    }
                }
                count
            };
            let added = fresh(start, &mut last_seen);
            if distinct + added > limit && column > start {
                blocks.push(start..column);
                start = column;
                distinct = fresh(start, &mut last_seen);
            } else {
                distinct += added;
            }
        }
        blocks.push(start..self.part_width);
        blocks
    }
}
