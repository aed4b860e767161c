//! Matrix products of shared values, and sums of columns, divided by a public integer: what a
//! layer of a network does forward and backward, several at once in one round trip.
//!
//! X (m × p) and W (p × q) under masks R and S. P2 has X' = X + R and W' = W + S; P1 has packs of X
//! along m and of W along q, and sends packs of u = XS + ρ1 and v = RW + ρ2 with ρ1 = RS − ρ2 − K.
//! P2 computes z = X'W' − u − v = XW + K in clear. With K = d·k + r_lo,
//! z // d = (XW + r_lo) // d + k, so the quotient comes out under the mask k: P2's half of it.
//! An addend b (a bias, the weights to be updated) is shared, too: P2 adds its half b + s, and P1
//! chooses k = t − s for a fresh mask t of the sum. P2 sees z mod d, hidden by r_lo, and the sum
//! under t; it knew b + s before.
//!
//! Sums need no ciphertexts: P2 adds its halves, and corrections that P1 sends make Σx + K of them.
//!
//! | item of a request | after its u16 kind |
//! |---|---|
//! | 0 product | *share* X, u16 transposed, *share* W, u16 transposed, u64 divisor, *masked* u (a line a column of the result), *masked* v (a line a row) |
//! | 1 sum of columns | *share* x, u32 bits and a correction a column, u64 divisor |
//! | 2 difference | *share* a, *share* b, u32 bits and a correction a value, u64 divisor |
//!
//! Then u16 1 and the *share* of an addend (of one line: for every row) or u16 0; the *delivery*; and
//! u16 0, or 1 where the result goes into a gate: u32 bits w, and u16 1 and the *share* of bits or
//! u16 0 without. The request begins with u16 1 and P2's sealed transfer seeds (u64 length, bytes) or u16 0,
//! and the u64 number of items. For a gate the reply holds, at the item's place, a nonce and the
//! transfer matrix for the low w bits of all values and for the bits.

use super::gate::Transfers;
use super::outcome::{Awaited, Outcome, Use, Waiting, read_outcomes};
use super::{
    Answering, Delivery, Halves, Outbox, dimensions, read_share, read_transfers, read_wides,
    shared_of, write_share, write_transfers, write_wides,
};
use crate::error::{Error, Result};
use crate::fixed::bounds::ceil_log2;
use crate::modular::exponentiation::{Exponents, multi_power};
use crate::modular::{Limbs, Residues};
use crate::paillier::Encrypt;
use crate::protocol::call::Question;
use crate::protocol::masking::{self, Masker, Packed};
use crate::protocol::message::{self, Operation};
use crate::protocol::p2::{MAX_ITEMS, MAX_SLOT_BITS, MAX_TERMS, MAX_VALUES};
use crate::protocol::profile::{Phase, measure};
use crate::protocol::wide::{self, Wide};
use crate::tensor::{EncryptedTensor, Meta, Packs};
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

/// What is computed before the division.
#[derive(Debug)]
pub enum Kind<'a> {
    Product(Factor<'a>, Factor<'a>),
    ColumnSums(&'a EncryptedTensor),
    Difference(&'a EncryptedTensor, &'a EncryptedTensor),
}

/// `(kind + r_lo) // divisor + addend`.
#[derive(Debug)]
pub struct Item<'a> {
    pub kind: Kind<'a>,
    pub divisor: u64,
    pub r_lo: Zeroizing<Vec<u64>>,
    pub addend: Option<&'a EncryptedTensor>,
    pub shape: Vec<usize>,
    pub meta: Meta,
    pub result: Use<'a>,
}

/// Bits of a shared factor: its values and its masks.
#[derive(Debug, Clone, Copy)]
pub struct FactorBits {
    pub bound: u32,
    pub mask: u32,
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

/// P1: asks for the items.
pub fn ask(
    masker: &Masker<'_>,
    items: &[Item<'_>],
    transfers: Option<&Arc<Transfers>>,
) -> Result<Question<Vec<Outcome>>> {
    let mut w = message::request(Operation::Products, masker.key);
    write_transfers(&mut w, transfers);
    w.u64(items.len() as u64);
    let mut waiting = Vec::with_capacity(items.len());
    let mut seen = 0;
    for item in items {
        let (lines, per_line) = dimensions(&item.shape);
        let count = lines * per_line;
        let mask_bits = masker.mask_bits(item.meta.bound);
        let masks = masker.masks(count, item.meta.bound)?;
        let hiding = hiding(item, &masks, lines, per_line)?;
        match &item.kind {
            Kind::Product(x, y) => {
                let packed = write_product(masker, &mut w, x, y, item, &hiding)?;
                seen += packed.iter().map(|p| p.slots.count()).sum::<usize>();
            }
            Kind::ColumnSums(x) => {
                let share = &shared_of(x)?.share;
                let sums = column_sums(&share.masks(), per_line);
                let bits = share.mask_bits + ceil_log2(share.lines.len());
                w.u16(1);
                write_share(&mut w, share);
                write_corrections(&mut w, item, &hiding, &sums, bits.max(mask_bits));
            }
            Kind::Difference(a, b) => {
                let (a, b) = (&shared_of(a)?.share, &shared_of(b)?.share);
                let (masks_a, masks_b) = (a.masks(), b.masks());
                let difference = Zeroizing::new(
                    (0..count)
                        .map(|i| {
                            let b = wide::from_row(masks_b.row(i));
                            wide::from_row(masks_a.row(i)).wrapping_sub(&b)
                        })
                        .collect::<Vec<_>>(),
                );
                w.u16(2);
                write_share(&mut w, a);
                write_share(&mut w, b);
                let bits = a.mask_bits.max(b.mask_bits).max(mask_bits);
                write_corrections(&mut w, item, &hiding, &difference, bits);
            }
        }
        match item.addend {
            None => w.u16(0),
            Some(addend) => {
                w.u16(1);
                write_share(&mut w, &shared_of(addend)?.share);
            }
        }
        let delivery = match item.result {
            Use::Deliver(delivery) => Delivery {
                bits: mask_bits + 2,
                ..delivery
            },
            Use::Offer(_) => Delivery::default(),
        };
        delivery.write(&mut w);
        seen += count;
        let awaited = Awaited {
            shape: item.shape.clone(),
            meta: item.meta,
            lines,
            per_line,
            delivery,
            masks,
            mask_bits,
            known: None,
        };
        waiting.push(Waiting::new(&mut w, awaited, &item.result, None, None));
    }
    let (key, transfers) = (masker.key.clone(), transfers.cloned());
    Ok(Question::new(
        masker.key,
        Operation::Products,
        w.finish(),
        seen,
        move |r| read_outcomes(r, &key, transfers.as_deref(), waiting),
    ))
}

/// What turns P2's sums, which are under `masks`, into sums under K.
fn write_corrections(
    w: &mut Writer,
    item: &Item<'_>,
    hiding: &[Wide],
    masks: &[Wide],
    mask_bits: u32,
) {
    let corrections: Zeroizing<Vec<Wide>> = Zeroizing::new(
        hiding
            .iter()
            .zip(masks)
            .map(|(k, mask)| k.wrapping_sub(mask))
            .collect(),
    );
    let bits = mask_bits + u64::BITS - item.divisor.leading_zeros() + 3;
    w.u32(bits);
    write_wides(w, corrections.iter(), bits);
    w.u64(item.divisor);
}

/// K = d·(t − s) + r_lo for every element, t the fresh mask of the result and s that of the addend.
fn hiding(
    item: &Item<'_>,
    masks: &Limbs,
    lines: usize,
    per_line: usize,
) -> Result<Zeroizing<Vec<Wide>>> {
    let addend = match item.addend {
        None => None,
        Some(addend) => {
            let share = shared_of(addend)?.share.clone();
            let fits = share.per_line == per_line && [1, lines].contains(&share.lines.len());
            if !fits {
                return Err(Error::shape(format!(
                    "{lines} rows of {per_line} plus {} of {}",
                    share.lines.len(),
                    share.per_line
                )));
            }
            Some(share.masks())
        }
    };
    let d = Wide::from_u64(item.divisor);
    Ok(Zeroizing::new(
        (0..lines * per_line)
            .map(|i| {
                let mut k = wide::from_row(masks.row(i));
                if let Some(addend) = &addend {
                    k = k.wrapping_sub(&wide::from_row(addend.row(i % addend.rows())));
                }
                k.wrapping_mul(&d)
                    .wrapping_add(&Wide::from_u64(item.r_lo[i]))
            })
            .collect(),
    ))
}

fn column_sums(rows: &Limbs, per_line: usize) -> Zeroizing<Vec<Wide>> {
    let mut sums = Zeroizing::new(vec![Wide::ZERO; per_line]);
    for i in 0..rows.rows() {
        let sum = &mut sums[i % per_line];
        *sum = sum.wrapping_add(&wide::from_row(rows.row(i)));
    }
    sums
}

fn write_product(
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
    // A factor's ciphertexts are fresh: their random exponents have half the length of N.
    let random_bits = masker.key.bits() / 2 + other.mask_bits + ceil_log2(factor.lines) + 1;
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

/// P2: computes the items.
pub fn answer(mut r: Reader<'_>, p2: &Answering<'_>, reply: Writer) -> Result<Writer> {
    let seeds = read_transfers(&mut r, p2)?;
    let items = r.size("items in a request", MAX_ITEMS)?;
    let mut outbox = Outbox::new(p2, reply);
    for _ in 0..items {
        let (mut values, divisor) = match r.u16()? {
            0 => read_product(&mut r, p2)?,
            1 => read_column_sums(&mut r, p2)?,
            2 => read_difference(&mut r, p2)?,
            other => return Err(r.error(format!("kind {other} of a product is unknown"))),
        };
        if divisor == 0 {
            return Err(r.error("the divisor is 0"));
        }
        p2.see(&values.values);
        for z in values.values.iter_mut() {
            *z = wide::floor_divide(z, divisor);
        }
        if r.u16()? == 1 {
            let addend = read_share(&mut r, p2.sealer)?;
            let fits = addend.per_line == values.per_line
                && [1, values.lines].contains(&addend.lines)
                && !addend.values.is_empty();
            if !fits {
                return Err(r.error(format!(
                    "an addend of {} lines of {} for a result of {} of {}",
                    addend.lines, addend.per_line, values.lines, values.per_line
                )));
            }
            for (i, z) in values.values.iter_mut().enumerate() {
                *z = z.wrapping_add(&addend.values[i % addend.values.len()]);
            }
        }
        p2.see(&values.values);
        outbox.deliver_and_offer(&mut r, &values, seeds.as_ref(), None)?;
    }
    r.finish()?;
    outbox.finish()
}

fn read_product(r: &mut Reader<'_>, p2: &Answering<'_>) -> Result<(Halves, u64)> {
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

fn read_column_sums(r: &mut Reader<'_>, p2: &Answering<'_>) -> Result<(Halves, u64)> {
    let x = read_share(r, p2.sealer)?;
    let mut values = read_corrections(r, x.per_line)?;
    for line in 0..x.lines {
        for (place, sum) in values.iter_mut().enumerate() {
            *sum = sum.wrapping_add(x.at(line, place));
        }
    }
    let halves = Halves {
        lines: 1,
        per_line: x.per_line,
        values,
    };
    Ok((halves, r.u64()?))
}

fn read_difference(r: &mut Reader<'_>, p2: &Answering<'_>) -> Result<(Halves, u64)> {
    let (mut a, b) = (read_share(r, p2.sealer)?, read_share(r, p2.sealer)?);
    if (a.lines, a.per_line) != (b.lines, b.per_line) {
        return Err(r.error(format!(
            "a difference of {} lines of {} and {} of {}",
            a.lines, a.per_line, b.lines, b.per_line
        )));
    }
    let corrections = read_corrections(r, a.values.len())?;
    for (i, a) in a.values.iter_mut().enumerate() {
        *a = a.wrapping_sub(&b.values[i]).wrapping_add(&corrections[i]);
    }
    Ok((a, r.u64()?))
}

fn read_corrections(r: &mut Reader<'_>, count: usize) -> Result<Zeroizing<Vec<Wide>>> {
    let bits = r.u32()?;
    match bits <= MAX_SLOT_BITS {
        true => read_wides(r, count, bits),
        false => Err(r.error(format!("corrections of {bits} bits"))),
    }
}
