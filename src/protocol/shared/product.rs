//! One matrix product of shared values; [`super::products`] says how it is computed.

use super::products::Item;
use super::{Answering, Halves, read_share, shared_of, write_share};
use crate::error::{Error, Result};
use crate::fixed::bounds::ceil_log2;
use crate::modular::exponentiation::{Exponents, multi_power};
use crate::modular::{Limbs, Residues};
use crate::paillier::Encrypt;
use crate::protocol::masking::{self, Masker, Packed};
use crate::protocol::message;
use crate::protocol::p2::{MAX_TERMS, MAX_VALUES};
use crate::protocol::profile::{Phase, measure};
use crate::protocol::wide::{self, Wide};
use crate::tensor::{EncryptedTensor, Packs};
use crate::wire::{Reader, Writer};
use rayon::prelude::*;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A factor of a product: a shared matrix, as it is or transposed.
#[derive(Debug, Clone, Copy)]
pub struct Factor<'a> {
    pub tensor: &'a EncryptedTensor,
    pub transposed: bool,
}

/// Bits of a shared factor: its values and its masks.
#[derive(Debug, Clone, Copy)]
pub struct FactorBits {
    pub bound: u32,
    pub mask: u32,
}

impl FactorBits {
    /// Of values of `bound` bits under masks that hide them with σ bits.
    pub fn new(bound: u32, sigma: u32) -> Self {
        let mask = bound + 1 + sigma;
        Self { bound, mask }
    }
}

/// Bits of the numbers in one product.
pub struct Widths {
    /// |RW| and |XS| < 2^cross.
    cross: u32,
    /// RS and ρ2 < 2^wide, |K| < 2^(wide−1).
    wide: u32,
}

impl Widths {
    /// Of factors contracted over p, a divisor of `divisor_bits` and results of `result` bits.
    pub fn new(
        x: FactorBits,
        w: FactorBits,
        p: usize,
        sigma: u32,
        divisor_bits: u32,
        result: u32,
    ) -> Self {
        let terms = ceil_log2(p);
        let cross = (x.bound + w.mask).max(x.mask + w.bound) + terms;
        Self {
            cross,
            wide: (x.mask + w.mask + terms)
                .max(cross + 1 + sigma)
                .max(divisor_bits + result + sigma + 2),
        }
    }

    /// u = XS + RS − ρ2 − K + 2^(wide+1): RS and ρ2 are not negative, |XS| and |K| < 2^(wide−1).
    pub fn slot(&self) -> u32 {
        self.wide + 2
    }

    fn offset_u(&self) -> u32 {
        self.wide + 1
    }

    fn offset_v(&self) -> u32 {
        self.cross + 1
    }
}

fn check_size(m: usize, p: usize, q: usize) -> Result<()> {
    let outputs = m.saturating_mul(q);
    Error::check_limit("outputs of a matrix product", outputs, MAX_VALUES)?;
    let terms = outputs.saturating_mul(p);
    Error::check_limit("terms of a matrix product", terms, MAX_TERMS)
}

/// A factor as P1 uses it: p lines, packed along them.
struct Prepared {
    packs: Arc<Packs>,
    /// Masks, line by line.
    masks: Limbs,
    mask_bits: u32,
    lines: usize,
    per_line: usize,
    bound: u32,
}

impl Prepared {
    /// `along_lines`: whether the lines of the tensor are those of the product.
    fn new(tensor: &EncryptedTensor, along_lines: bool) -> Result<Self> {
        let shared = shared_of(tensor)?;
        let packs = if along_lines {
            &shared.rows
        } else {
            &shared.columns
        };
        let packs = packs.clone().ok_or_else(|| {
            Error::invalid("a factor of a product has not been packed along its lines")
        })?;
        let [lines, per_line] = packs.slots.dimensions();
        let masks = shared.share.masks();
        Ok(Self {
            packs,
            masks: if along_lines {
                masks
            } else {
                transposed(&masks, per_line, lines)
            },
            mask_bits: shared.share.mask_bits,
            lines,
            per_line,
            bound: tensor.bound(),
        })
    }
}

fn transposed(rows: &Limbs, lines: usize, per_line: usize) -> Limbs {
    let mut out = Limbs::zeros(rows.rows(), rows.width());
    for i in 0..lines {
        for j in 0..per_line {
            out.row_mut(j * lines + i)
                .copy_from_slice(rows.row(i * per_line + j));
        }
    }
    out
}

pub fn write_product(
    masker: &Masker<'_>,
    w: &mut Writer,
    x: &Factor<'_>,
    y: &Factor<'_>,
    item: &Item<'_>,
    hiding: &[Wide],
) -> Result<[Packed; 2]> {
    // Lines of X are its columns, so that m runs along a line.
    let left = Prepared::new(x.tensor, x.transposed)?;
    let right = Prepared::new(y.tensor, !y.transposed)?;
    let (m, p, q) = (left.per_line, left.lines, right.per_line);
    if right.lines != p || m * q != hiding.len() {
        return Err(Error::shape(format!(
            "a product of {m} × {p} and {} × {q} with {} results",
            right.lines,
            hiding.len()
        )));
    }
    check_size(m, p, q)?;
    let divisor_bits = u64::BITS - item.divisor.leading_zeros();
    let bits = |factor: &Prepared| FactorBits {
        bound: factor.bound,
        mask: factor.mask_bits,
    };
    let widths = Widths::new(
        bits(&left),
        bits(&right),
        p,
        masker.sigma,
        divisor_bits,
        item.meta.bound,
    );
    for packs in [&left.packs, &right.packs] {
        let bits = packs.slots.bits() as u32;
        if bits < widths.slot() {
            return Err(Error::Bound {
                what: "a masked product in a slot of its factors",
                needed: widths.slot(),
                limit: bits,
            });
        }
    }
    let rho2 = masker
        .random
        .limbs(m * q, (widths.cross + 1 + masker.sigma) as usize)?;
    let products = inner_products(
        &wide::from_rows(&left.masks),
        &wide::from_rows(&right.masks),
        [m, p, q],
    );
    let offset_u = wide::power_of_two(widths.offset_u());
    let offset_v = wide::power_of_two(widths.offset_v());
    let mut plain_u = Zeroizing::new(vec![Wide::ZERO; q * m]);
    let mut plain_v = Zeroizing::new(Vec::with_capacity(m * q));
    for k in 0..m * q {
        let rho2 = wide::from_row(rho2.row(k));
        let rho1 = products[k].wrapping_sub(&rho2).wrapping_sub(&hiding[k]);
        // u lies column by column, v row by row.
        plain_u[k % q * m + k / q] = rho1.wrapping_add(&offset_u);
        plain_v.push(rho2.wrapping_add(&offset_v));
    }
    // u[j] = Σ_t X[t]·S[t, j], v[i] = Σ_t R[t, i]·W[t].
    let u = cross_products(masker, &left, &right, &plain_u, widths.offset_u())?;
    let v = cross_products(masker, &right, &left, &plain_v, widths.offset_v())?;
    w.u16(0);
    for factor in [x, y] {
        write_share(w, &shared_of(factor.tensor)?.share);
        w.u16(u16::from(factor.transposed));
    }
    w.u64(item.divisor);
    message::write_packed(w, &u);
    message::write_packed(w, &v);
    Ok([u, v])
}

/// The packs of Σ_t lines[t]·masks[t, j] + plain[j] for each j.
fn cross_products(
    masker: &Masker<'_>,
    factor: &Prepared,
    other: &Prepared,
    plain: &[Wide],
    offset_bits: u32,
) -> Result<Packed> {
    let slots = factor.packs.slots.with_lines(other.per_line);
    let terms = factor.lines * slots.packs();
    let packs = measure(Phase::MultiExponentiation, terms, || {
        products_of_packs(factor, &other.masks, other.mask_bits, other.per_line)
    });
    // A factor's ciphertexts are fresh, so that the length of their random exponents is known.
    let random_bits = masker.key.exponent_bits() + other.mask_bits + ceil_log2(factor.lines) + 1;
    masker.conceal_from(&packs, slots, plain, offset_bits, random_bits)
}

fn products_of_packs(factor: &Prepared, masks: &Limbs, mask_bits: u32, outputs: usize) -> Residues {
    let (lines, blocks) = (factor.lines, factor.packs.slots.packs_per_line());
    let mut indices = Vec::with_capacity(outputs * blocks * lines);
    let mut exponents = Limbs::zeros(outputs * blocks * lines, masks.width());
    for j in 0..outputs {
        for block in 0..blocks {
            for t in 0..lines {
                exponents
                    .row_mut(indices.len())
                    .copy_from_slice(masks.row(t * outputs + j));
                indices.push(t * blocks + block);
            }
        }
    }
    let exponents = Exponents::new(&exponents, mask_bits as usize);
    multi_power(&factor.packs.residues, &indices, &exponents, lines)
}

/// `out[i·q + j] = Σ_t a[t·m + i]·b[t·q + j]`.
fn inner_products(a: &[Wide], b: &[Wide], [m, p, q]: [usize; 3]) -> Zeroizing<Vec<Wide>> {
    // Where sums fit two limbs: masks of σ = 40 and small values.
    let bits = [a, b].map(wide::magnitude_bits);
    let narrow = bits.iter().all(|&b| b < 64) && bits[0] + bits[1] + ceil_log2(p) < 127;
    let low = |x: &Wide| x.as_words()[0] as i64;
    Zeroizing::new(
        (0..m * q)
            .into_par_iter()
            .map(|k| {
                let terms = (0..p).map(|t| (&a[t * m + k / q], &b[t * q + k % q]));
                if narrow {
                    let products = terms.map(|(x, y)| i128::from(low(x)) * i128::from(low(y)));
                    return wide::from_i128(products.sum());
                }
                terms.fold(Wide::ZERO, |sum, (x, y)| {
                    sum.wrapping_add(&x.wrapping_mul(y))
                })
            })
            .collect(),
    )
}

pub fn read_product(r: &mut Reader<'_>, p2: &Answering<'_>) -> Result<(Halves, u64)> {
    let mut factors = Vec::with_capacity(2);
    for lines_are_the_products in [true, false] {
        let halves = read_share(r, p2.sealer)?;
        let transposed = r.u16()? == 1;
        // Both as p lines: those of X are its columns.
        factors.push(match transposed == lines_are_the_products {
            true => halves,
            false => halves.transposed(),
        });
    }
    let divisor = r.u64()?;
    let (x, w) = (&factors[0], &factors[1]);
    let (m, p, q) = (x.per_line, x.lines, w.per_line);
    let u = message::read_packed(r, p2.key.public())?;
    let v = message::read_packed(r, p2.key.public())?;
    if w.lines != p || u.slots.dimensions() != [q, m] || v.slots.dimensions() != [m, q] {
        return Err(r.error(format!(
            "a product of {m} × {p} and {} × {q} with {:?} and {:?} masked terms",
            w.lines,
            u.slots.dimensions(),
            v.slots.dimensions()
        )));
    }
    check_size(m, p, q)?;
    // Products of absurdly wide numbers would wrap: garbage for the one who asked for it.
    let mut values = inner_products(&x.values, &w.values, [m, p, q]);
    let (u, v) = (masking::open(&u, p2.key)?, masking::open(&v, p2.key)?);
    for (k, z) in values.iter_mut().enumerate() {
        *z = z.wrapping_sub(&u[k % q * m + k / q]).wrapping_sub(&v[k]);
    }
    p2.see(&u);
    p2.see(&v);
    let halves = Halves {
        lines: m,
        per_line: q,
        values,
    };
    Ok((halves, divisor))
}
