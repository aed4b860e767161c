//! What is built above a [`Ring`], once for all backends: tables of powers, exponentiation,
//! multi-exponentiation, fixed-base combs and packing.
//!
//! Exponents are secret (masks, encryption randomness, key material): every function reads its
//! tables through [`Ring::multiply_selected`] and does the same operations whatever the digits are.
//! Bit lengths, shapes and indices are public.

use super::residues::pieces;
use super::{Block, Limbs, Residues, Ring, add_masked, add_shifted, bits_at};
use crate::error::Result;
use rayon::prelude::*;
use std::fmt;
use std::sync::Arc;

/// Tables of powers larger than this are built and used in several passes.
const TABLE_BYTES: usize = 192 << 20;

/// Combs have windows that keep their table below this.
const COMB_BYTES: usize = 48 << 20;

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

    fn digit(&self, i: usize, at: usize, window: usize) -> u64 {
        let row = if self.rows.rows() == 1 { 0 } else { i };
        bits_at(self.rows.row(row), at, window.min(self.bits - at))
    }
}

/// Powers `base^0 … base^(2^window − 1)` of each number, base after base; times `start[i]` where
/// there is one.
fn power_tables(bases: &Residues, window: usize, start: Option<&Residues>) -> Block {
    let (ring, entries) = (bases.ring(), 1usize << window);
    let parts: Vec<_> = pieces(ring, ring.grain().min(16), bases.len())
        .into_par_iter()
        .map(|range| {
            let count = range.len();
            let all: Vec<_> = (0..count).collect();
            let range: Vec<_> = range.collect();
            let base = ring.gather(bases.block(), &range);
            let mut powers = match start {
                Some(start) => vec![ring.gather(start.block(), &range)],
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
        // Tables that nobody shares had better stay in the cache from window to window.
        let grain = match self.shared {
            true => ring.grain(),
            false => ring.lanes().max(8),
        };
        Ok(Residues::in_grains(
            ring,
            grain,
            self.order.len(),
            |range| {
                let outputs = &self.order[range];
                let mut acc = ring.ones(outputs.len());
                for j in (0..windows).rev() {
                    if j + 1 < windows {
                        ring.square(&mut acc, window);
                    }
                    let at = j * window;
                    for t in columns.clone() {
                        let terms = outputs.iter().map(|k| k * width + t);
                        let first: Vec<_> = terms
                            .clone()
                            .map(|i| slot[self.indices[i]] << window)
                            .collect();
                        let digits: Vec<_> = terms
                            .map(|i| {
                                if at < exponents.bits {
                                    exponents.digit(i, at, window)
                                } else {
                                    0
                                }
                            })
                            .collect();
                        // The table of the next column, or of the first for the next window.
                        let next = match t + 1 < columns.end {
                            true => t + 1,
                            false => columns.start,
                        };
                        let next = slot[self.indices[outputs[0] * width + next]] << window;
                        let entries = 1 << window;
                        let ahead = match self.shared {
                            true => next..next + entries,
                            false => 0..0,
                        };
                        ring.multiply_selected(&mut acc, &table, &first, &digits, entries, ahead);
                    }
                }
                acc
            },
        ))
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
    let (ring, n) = (a.ring(), a.len());
    assert!(b.len() == n && choice.len() == n);
    let order: Vec<_> = (0..n).flat_map(|i| [i, n + i]).collect();
    let table = Residues::concatenate(&[a, b]).gather(&order);
    Residues::in_pieces(ring, n, |range| {
        let mut out = ring.ones(range.len());
        let first: Vec<_> = range.clone().map(|i| 2 * i).collect();
        let digits: Vec<_> = range.map(|i| u64::from(choice[i])).collect();
        ring.multiply_selected(&mut out, table.block(), &first, &digits, 2, 0..0);
        out
    })
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
    Residues::in_pieces(ring, places.len() / per_pack, |range| {
        let mut acc = ring.ones(range.len());
        let mut pending = 0;
        for j in (0..per_pack).rev() {
            // Bits of a slot from the top; only window boundaries inside the exponent multiply.
            for at in (0..slot_bits).rev() {
                pending += 1;
                if at % window != 0 || at >= bits {
                    continue;
                }
                if j + 1 < per_pack || at + window < bits {
                    ring.square(&mut acc, pending);
                }
                pending = 0;
                // An empty slot takes the first base with digit 0, a factor of one.
                let column = || range.clone().map(|g| places[g * per_pack + j]);
                let first: Vec<_> = column().map(|p| p.unwrap_or(0) << window).collect();
                let digits: Vec<_> = column()
                    .map(|p| match (p, exponents) {
                        (None, _) => 0,
                        (Some(_), None) => 1,
                        (Some(i), Some(e)) => e.digit(i, at, window),
                    })
                    .collect();
                ring.multiply_selected(&mut acc, &tables, &first, &digits, 1 << window, 0..0);
            }
        }
        acc
    })
}

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
        let exponents = Exponents::new(exponents, bits);
        let (ring, window) = (&self.ring, self.window);
        Residues::in_pieces(ring, exponents.rows.rows(), |range| {
            let mut acc = ring.ones(range.len());
            let digits_in_all = bits.div_ceil(window);
            for j in 0..digits_in_all {
                let first = vec![j << window; range.len()];
                let digits: Vec<_> = range
                    .clone()
                    .map(|i| exponents.digit(i, j * window, window))
                    .collect();
                let ahead = match j + 1 < digits_in_all {
                    true => (j + 1) << window..(j + 2) << window,
                    false => 0..0,
                };
                let entries = 1 << window;
                ring.multiply_selected(&mut acc, &self.table, &first, &digits, entries, ahead);
            }
            acc
        })
    }
}

impl fmt::Debug for Comb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Comb({} bits, {:?})", self.bits, self.ring)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modular::{Modulus, backends, integer_from_limbs, limbs_of};
    use rug::Integer;

    /// A small deterministic generator: tests need variety, not security.
    struct Lcg(u64);
    impl Lcg {
        fn next(&mut self) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            self.0 ^ (self.0 >> 29)
        }
        fn integer(&mut self, bits: u32) -> Integer {
            let words: Vec<u64> = (0..bits.div_ceil(64)).map(|_| self.next()).collect();
            integer_from_limbs(&words).keep_bits(bits)
        }
    }

    fn limbs(values: &[Integer], width: usize) -> Limbs {
        Limbs::from_words(
            values
                .iter()
                .flat_map(|v| limbs_of(v, width).to_vec())
                .collect(),
            width,
        )
    }

    fn values(r: &Residues) -> Vec<Integer> {
        (0..r.len()).map(|i| integer_from_limbs(r.row(i))).collect()
    }

    /// Runs `case` on every backend, for moduli of several shapes and sizes, squares among them.
    fn on_all(case: impl Fn(&Arc<dyn Ring>, &Integer, &mut Lcg)) {
        let mut rng = Lcg(7);
        let mut moduli: Vec<Integer> = [3u32, 15, 255].map(Integer::from).to_vec();
        for bits in [63, 64, 65, 127, 512, 1000, 2048] {
            moduli.push(rng.integer(bits) | (Integer::from(1) << (bits - 1)) | 1u32);
            moduli.push((Integer::from(1) << bits) - 1u32);
            moduli.push((Integer::from(1) << (bits - 1)) + 1u32);
        }
        for backend in backends() {
            for m in &moduli {
                let width = m.significant_digits::<u64>();
                let ring = backend.ring(Modulus::new(&limbs_of(m, width)).unwrap());
                case(&ring, m, &mut rng);
                // The larger roots in one shape are enough: every case runs on them.
                if m.significant_bits() <= 127 || m.significant_bits() == 1000 {
                    let ring = backend.square_ring(Modulus::new(&limbs_of(m, width)).unwrap());
                    case(&ring, &m.clone().square(), &mut rng);
                }
            }
        }
    }

    fn random(
        ring: &Arc<dyn Ring>,
        m: &Integer,
        n: usize,
        rng: &mut Lcg,
    ) -> (Vec<Integer>, Residues) {
        let mut v: Vec<_> = (0..n)
            .map(|_| rng.integer(m.significant_bits()) % m)
            .collect();
        // Edge operands among them, those of the digits of a square too.
        let root = m.clone().sqrt();
        let edges = [
            Integer::from(0),
            Integer::from(1),
            Integer::from(m - 1u32),
            Integer::from(&root - 1u32),
            root.clone(),
            root + 1u32,
        ];
        for (slot, edge) in v.iter_mut().zip(edges) {
            *slot = edge % m;
        }
        let words = limbs(&v, ring.modulus().width());
        let r = Residues::from_limbs(ring, words.words().to_vec()).unwrap();
        (v, r)
    }

    #[test]
    fn products_of_any_width_agree_with_rug() {
        on_all(|ring, m, rng| {
            let (v, r) = random(ring, m, 7, rng);
            for width in 1..6 {
                let indices: Vec<_> = (0..4 * width).map(|_| rng.next() as usize % 7).collect();
                let got = values(&r.products(&indices, width));
                for (k, row) in indices.chunks(width).enumerate() {
                    let want = row
                        .iter()
                        .fold(Integer::from(1) % m, |acc, &i| acc * &v[i] % m);
                    assert_eq!(got[k], want);
                }
            }
        });
    }

    #[test]
    fn powers_agree_with_rug() {
        on_all(|ring, m, rng| {
            let (v, r) = random(ring, m, 9, rng);
            for bits in [1u32, 5, 64, 131] {
                let mut e: Vec<_> = (0..9).map(|_| rng.integer(bits)).collect();
                e[3] = (Integer::from(1) << bits) - 1u32;
                let rows = limbs(&e, bits.div_ceil(64) as usize);
                let got = values(&power(&r, &Exponents::new(&rows, bits as usize)));
                for i in 0..9 {
                    assert_eq!(got[i], v[i].clone().pow_mod(&e[i], m).unwrap());
                }
                let single = limbs(&e[3..4], bits.div_ceil(64) as usize);
                let got = values(&power(&r, &Exponents::new(&single, bits as usize)));
                assert_eq!(got[5], v[5].clone().pow_mod(&e[3], m).unwrap());
                let comb = Comb::new(&r.gather(&[4]), bits as usize);
                // More than all groups that read a table together, and a few.
                let many: Vec<_> = (0..37).map(|i| e[i % 9].clone()).collect();
                let rows = limbs(&many, bits.div_ceil(64) as usize);
                let got = values(&comb.power(&rows, bits as usize));
                for i in 0..37 {
                    assert_eq!(got[i], v[4].clone().pow_mod(&many[i], m).unwrap());
                }
            }
        });
    }

    #[test]
    fn multi_powers_agree_with_rug_whatever_the_column_blocks() {
        on_all(|ring, m, rng| {
            let (v, r) = random(ring, m, 6, rng);
            let (width, outputs, bits) = (5, 4, 70);
            let indices: Vec<_> = (0..width * outputs)
                .map(|_| rng.next() as usize % 6)
                .collect();
            let e: Vec<_> = indices.iter().map(|_| rng.integer(bits)).collect();
            let rows = limbs(&e, 2);
            let exponents = Exponents::new(&rows, bits as usize);
            let want: Vec<_> = (0..outputs)
                .map(|k| {
                    (k * width..(k + 1) * width).fold(Integer::from(1) % m, |acc, i| {
                        acc * v[indices[i]].clone().pow_mod(&e[i], m).unwrap() % m
                    })
                })
                .collect();
            assert_eq!(values(&multi_power(&r, &indices, &exponents, width)), want);
            let straus = Straus::new(&r, &indices, width);
            for limit in 1..7 {
                let bytes = limit * 8 * ring.modulus().width() << 3;
                let got = straus.run(&exponents, 3, bytes, None).unwrap();
                assert_eq!(values(&got), want);
            }
        });
    }

    #[test]
    fn signed_multi_powers_agree_with_rug() {
        on_all(|ring, m, rng| {
            let (v, r) = random(ring, m, 40, rng);
            let units: Vec<_> = (0..40).filter(|&i| v[i].clone().gcd(m) == 1).collect();
            let (v, r): (Vec<_>, _) = (units.iter().map(|&i| &v[i]).collect(), r.gather(&units));
            // Like a matrix product: outputs of one column use the same bases, in a mixed order.
            let (width, columns, rows) = (v.len().min(4), 2, 35);
            let indices: Vec<_> = (0..rows * columns)
                .flat_map(|k| (0..width).map(move |t| (k % columns + t, k)))
                .map(|(i, _)| i % v.len())
                .collect();
            for bits in [1, 31, 126] {
                let largest = i128::MAX >> (127 - bits);
                let mut e: Vec<_> = indices
                    .iter()
                    .map(|_| {
                        let x = (i128::from(rng.next() as i64) << 64) | i128::from(rng.next());
                        x % (largest + 1)
                    })
                    .collect();
                e[0] = largest;
                e[1 % width] = -largest;
                let got = signed_multi_power(&r, &indices, &e, bits, width).unwrap();
                let got = values(&got);
                for (k, got) in got.iter().enumerate() {
                    let want = (k * width..(k + 1) * width).fold(Integer::from(1), |acc, i| {
                        acc * v[indices[i]].clone().pow_mod(&e[i].into(), m).unwrap() % m
                    });
                    assert_eq!(*got, want);
                }
            }
        });
    }

    #[test]
    fn packing_is_horner_with_and_without_exponents() {
        on_all(|ring, m, rng| {
            let (v, r) = random(ring, m, 7, rng);
            let (slot, bits) = (23usize, 20u32);
            let e: Vec<_> = (0..7).map(|_| rng.integer(bits)).collect();
            let rows = limbs(&e, 1);
            let exponents = Exponents::new(&rows, bits as usize);
            for per_pack in [1, 2, 3, 7, 10] {
                for with in [false, true] {
                    let places: Vec<_> = (0..7usize.next_multiple_of(per_pack))
                        .map(|i| Some(i).filter(|&i| i < 7))
                        .collect();
                    let exponents = with.then_some(&exponents);
                    let got = values(&pack(&r, exponents, slot, per_pack, &places));
                    assert_eq!(got.len(), 7usize.div_ceil(per_pack));
                    for (g, got) in got.iter().enumerate() {
                        let members = g * per_pack..((g + 1) * per_pack).min(7);
                        let want = members
                            .enumerate()
                            .fold(Integer::from(1) % m, |acc, (j, i)| {
                                let e = if with { e[i].clone() } else { Integer::from(1) };
                                acc * v[i].clone().pow_mod(&(e << (j * slot) as u32), m).unwrap()
                                    % m
                            });
                        assert_eq!(*got, want);
                    }
                }
            }
        });
    }

    #[test]
    fn inverses_multiply_to_one_and_zero_is_refused() {
        on_all(|ring, m, rng| {
            let (v, r) = random(ring, m, 12, rng);
            assert!(r.invert().is_err(), "zero has no inverse");
            let units: Vec<_> = (0..12).filter(|&i| v[i].clone().gcd(m) == 1).collect();
            let r = r.gather(&units);
            assert!(
                values(&r.multiply(&r.invert().unwrap()))
                    .iter()
                    .all(|x| *x == 1)
            );
        });
    }

    #[test]
    fn choosing_takes_the_second_where_told() {
        on_all(|ring, m, rng| {
            let (a, ra) = random(ring, m, 5, rng);
            let (b, rb) = random(ring, m, 5, rng);
            let choice = [true, false, true, false, false];
            let got = values(&choose(&ra, &rb, &choice));
            for i in 0..5 {
                assert_eq!(
                    got[i],
                    if choice[i] {
                        b[i].clone()
                    } else {
                        a[i].clone()
                    }
                );
            }
        });
    }
}
