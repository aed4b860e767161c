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
//! | 0 product | *share* X, u16 transposed, *share* W, u16 transposed, u64 divisor, *terms* u (a line a column of the result), *terms* v (a line a row); see [`super::open`] |
//! | 1 sum of columns | *share* x, u32 bits and a correction a column, u64 divisor |
//! | 2 difference | *share* a, *share* b, u32 bits and a correction a value, u64 divisor |
//!
//! Then u16 1 and the *share* of an addend (of one line: for every row) or u16 0; the *delivery*; and
//! u16 0, or 1 where the result goes into a gate: u32 bits w, and u16 1 and the *share* of bits or
//! u16 0 without. The request begins with u16 1 and P2's sealed transfer seeds (u64 length, bytes) or u16 0;
//! u16 1 and the 16-byte label of the request, where parts of its terms were opened ahead, or u16 0;
//! and the u64 number of items. For a gate the reply holds, at the item's place, a nonce and the
//! transfer matrix for the low w bits of all values and for the bits.

use super::ahead::{Ahead, Composer};
use super::open::read_label;
use super::outcome::{Awaited, Outcome, Use, Waiting, read_outcomes};
use super::product::{Factor, Product, read_product};
use super::setup::{Quoted, Transfers};
use super::{
    Answering, Delivery, Halves, Operand, Outbox, dimensions, read_halves, read_transfers,
    read_wides, write_share, write_transfers, write_wides,
};
use crate::error::{Error, Result};
use crate::fixed::bounds::ceil_log2;
use crate::modular::Limbs;
use crate::protocol::call::Question;
use crate::protocol::masking::Masker;
use crate::protocol::message::Operation;
use crate::protocol::p2::{MAX_ITEMS, MAX_SLOT_BITS};
use crate::protocol::wide::{self, Wide};
use crate::tensor::{Meta, Share};
use crate::wire::{Reader, Writer};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What is computed before the division.
#[derive(Debug)]
pub enum Kind<'a> {
    Product(Factor<'a>, Factor<'a>),
    ColumnSums(&'a Operand),
    Difference(&'a Operand, &'a Operand),
}

/// `(kind + r_lo) // divisor + addend`.
pub struct Item<'a> {
    pub kind: Kind<'a>,
    pub divisor: u64,
    pub r_lo: Zeroizing<Vec<u64>>,
    pub addend: Option<&'a Operand>,
    pub shape: Vec<usize>,
    pub meta: Meta,
    pub result: Use<'a>,
}

/// P1: asks for the items. Where there is somebody to take parts of the terms `ahead` of the
/// request, P2 opens them while P1 makes the rest.
pub fn ask(
    masker: &Masker<'_>,
    items: &[Item<'_>],
    transfers: Option<&Arc<Transfers>>,
    ahead: Option<&dyn Ahead>,
) -> Result<Question<Vec<Outcome>>> {
    // All factors are checked before P2 gets to see anything.
    let products = items
        .iter()
        .map(|item| match item.kind {
            Kind::Product(x, y) => Product::new(masker, x, y, item).map(Some),
            _ => Ok(None),
        })
        .collect::<Result<Vec<_>>>()?;
    let work = products.iter().flatten().map(Product::work).sum();
    let mut w = masker.request(Operation::Products);
    write_transfers(&mut w, transfers);
    let mut composer = Composer::new(ahead, masker.random, work, &mut w)?;
    w.u64(items.len() as u64);
    let mut waiting = Vec::with_capacity(items.len());
    let mut seen = 0;
    for (number, (item, product)) in items.iter().zip(&products).enumerate() {
        let (lines, per_line) = dimensions(&item.shape);
        let count = lines * per_line;
        let mask_bits = masker.mask_bits(item.meta.bound);
        let masks = masker.masks(count, item.meta.bound)?;
        let addend = item.addend.map(|addend| &addend.shared.share);
        let hiding = hiding(item, addend, &masks, lines, per_line)?;
        match &item.kind {
            Kind::Product(..) => {
                let product = product.as_ref().expect("made above");
                product.write(masker, &mut w, &mut composer, number, item, &hiding)?;
            }
            Kind::ColumnSums(x) => {
                let share = &x.shared.share;
                let sums = column_sums(&share.masks(), per_line);
                let bits = share.mask_bits + ceil_log2(share.lines.len());
                w.u16(1);
                write_share(&mut w, share);
                write_corrections(&mut w, item, &hiding, &sums, bits.max(mask_bits));
            }
            Kind::Difference(a, b) => {
                let (a, b) = (&a.shared.share, &b.shared.share);
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
        match addend {
            None => w.u16(0),
            Some(addend) => {
                w.u16(1);
                write_share(&mut w, addend);
            }
        }
        let delivery = match item.result {
            Use::Deliver(delivery) | Use::Replace(delivery) => Delivery {
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
            job: masker.job,
            masks,
            mask_bits,
            known: None,
        };
        waiting.push(Waiting::new(&mut w, awaited, &item.result, None, None));
    }
    seen += composer.masked;
    composer.finish(&mut w)?;
    let (key, quoted) = (masker.key.clone(), transfers.cloned().map(Quoted::new));
    Question::new(masker, Operation::Products, w.finish(), seen, move |r| {
        read_outcomes(r, &key, quoted, waiting)
    })
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
    addend: Option<&Share>,
    masks: &Limbs,
    lines: usize,
    per_line: usize,
) -> Result<Zeroizing<Vec<Wide>>> {
    let addend = match addend {
        None => None,
        Some(share) => {
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

/// P2: computes the items.
pub fn answer(mut r: Reader<'_>, p2: &Answering<'_>, reply: Writer) -> Result<Writer> {
    let seeds = read_transfers(&mut r, p2)?;
    let label = read_label(&mut r)?;
    let items = r.size("items in a request", MAX_ITEMS)?;
    let mut outbox = Outbox::new(p2, reply);
    for number in 0..items {
        let (mut values, divisor) = match r.u16()? {
            0 => read_product(&mut r, p2, label, number)?,
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
            let addend = read_halves(&mut r, p2)?;
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

fn read_column_sums(r: &mut Reader<'_>, p2: &Answering<'_>) -> Result<(Halves, u64)> {
    let x = read_halves(r, p2)?;
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
    let (mut a, b) = (read_halves(r, p2)?, read_halves(r, p2)?);
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
    match (1..=MAX_SLOT_BITS).contains(&bits) {
        true => read_wides(r, count, bits),
        false => Err(r.error(format!("corrections of {bits} bits"))),
    }
}
