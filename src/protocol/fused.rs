//! A matrix product and its division in one round trip, on packed ciphertexts: what training does
//! three times a layer.
//!
//! X (m × p) is packed along m, W (p × q) along q. With masks R, S as in [`super::bilinear`],
//! K = d·k_hi + r_lo wide enough to hide XW, ρ2 wide enough to hide RW, and ρ1 = RS − ρ2 − K, P1
//! sends packs of X' = X + R, W' = W + S, u = XS + ρ1 and v = RW + ρ2. P2 computes
//! z = X'W' − u − v = XW + K in clear, and z // d = (XW + r_lo) // d + k_hi.
//!
//! The plain masks S and R multiply packs, not single values: mp⌈q/k⌉ + pq⌈m/k⌉ terms for k values a
//! ciphertext, instead of 2mpq.

use super::call::{Next, Question};
use super::masking::{self, Masker};
use super::message::{self, Operation};
use super::p2::{MAX_TERMS, MAX_VALUES};
use super::wide::{self, Wide};
use crate::error::{Error, Result};
use crate::modular::exponentiation::{Exponents, multi_power};
use crate::modular::{Limbs, Residues};
use crate::paillier::{Encrypt, PrivateKey, Slots};
use crate::random::Random;
use crate::tensor::{Ciphertexts, EncryptedTensor, MatmulShape, Meta};
use crate::wire::Reader;
use rayon::prelude::*;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Bits of the numbers in one product.
struct Widths {
    /// |RW| and |XS| < 2^cross.
    cross: u32,
    slot: u32,
    sigma: u32,
}

impl Widths {
    fn new(x: Meta, w: Meta, p: usize, sigma: u32) -> Self {
        let product = x.bound + w.bound + crate::fixed::bounds::ceil_log2(p);
        let cross = product + 1 + sigma;
        Self {
            cross,
            slot: cross + sigma + 3,
            sigma,
        }
    }

    fn offset_u(&self) -> u32 {
        self.cross + self.sigma + 2
    }

    fn offset_v(&self) -> u32 {
        self.cross + 1
    }
}

/// Whether the slots have room for this divisor: always, but for divisors beyond all masks.
pub fn fits(x: Meta, w: Meta, p: usize, sigma: u32, divisor: u64) -> bool {
    u64::BITS - divisor.leading_zeros() < Widths::new(x, w, p, sigma).cross
}

/// What P2 takes, checked before P1 computes for long.
fn check_size(m: usize, p: usize, q: usize) -> Result<()> {
    Error::check_limit(
        "outputs of a matrix product",
        m.saturating_mul(q),
        MAX_VALUES,
    )?;
    let terms = m.saturating_mul(q).saturating_mul(p);
    Error::check_limit("terms of a matrix product", terms, MAX_TERMS)
}

/// P1: asks for (XW + r_lo) // divisor.
pub fn ask(
    masker: &Masker<'_>,
    x: &EncryptedTensor,
    w: &EncryptedTensor,
    shape: MatmulShape,
    divisor: u64,
    r_lo: &[u64],
    meta: Meta,
) -> Result<Question> {
    let (m, p, q) = (shape.m, shape.p, shape.q);
    check_size(m, p, q)?;
    let widths = Widths::new(x.meta(), w.meta(), p, masker.sigma);
    // Lines are columns of X, so that m runs along a line.
    let columns = x
        .reshape(&[m as isize, p as isize])?
        .transpose()
        .compact()?;
    let w = w.compact()?;
    let x_slots = masker.slots(widths.slot, p, m)?;
    let w_slots = masker.slots(widths.slot, p, q)?;
    let x_packs = masking::gather_packs(columns.storage().residues(), None, &x_slots);
    let w_packs = masking::gather_packs(w.storage().residues(), None, &w_slots);
    let r = masker.masks(p * m, x.bound())?;
    let s = masker.masks(p * q, w.bound())?;
    let masked_x = masker.mask_packs(&x_packs, x_slots, x.bound(), &r)?;
    let masked_w = masker.mask_packs(&w_packs, w_slots, w.bound(), &s)?;

    // K hides XW with σ bits: d·2^h ≥ 2^(bound of XW + 1 + σ), which is 2^cross.
    let high_bits = widths.cross.saturating_sub(divisor.ilog2());
    let high = masker.random.limbs(m * q, high_bits as usize)?;
    let rho2 = masker
        .random
        .limbs(m * q, (widths.cross + 1 + widths.sigma) as usize)?;
    let d = Wide::from_u64(divisor);
    let products = inner_products(&wide::from_rows(&r), &wide::from_rows(&s), m, p, q);
    let (offset_u, offset_v) = (
        wide::power_of_two(widths.offset_u()),
        wide::power_of_two(widths.offset_v()),
    );
    let mut plain_u = Zeroizing::new(vec![Wide::ZERO; q * m]);
    let mut plain_v = Zeroizing::new(Vec::with_capacity(m * q));
    let mut removed = Zeroizing::new(Vec::with_capacity(m * q));
    for k in 0..m * q {
        let (high, rho2) = (wide::from_row(high.row(k)), wide::from_row(rho2.row(k)));
        let hiding = high.wrapping_mul(&d).wrapping_add(&Wide::from_u64(r_lo[k]));
        let rho1 = products[k].wrapping_sub(&rho2).wrapping_sub(&hiding);
        // u lies column by column, v row by row.
        plain_u[k % q * m + k / q] = rho1.wrapping_add(&offset_u);
        plain_v.push(rho2.wrapping_add(&offset_v));
        removed.push(Wide::ZERO.wrapping_sub(&high));
    }
    let s_bits = masker.mask_bits(w.bound()) as usize;
    let r_bits = masker.mask_bits(x.bound()) as usize;
    // u[j] = Σ_t X[t]·S[t, j], v[i] = Σ_t R[t, i]·W[t].
    let u_packs = products_of_packs(&x_packs, &x_slots, &s, s_bits, q);
    let v_packs = products_of_packs(&w_packs, &w_slots, &r, r_bits, m);
    let u_slots = masker.slots(widths.slot, q, m)?;
    let v_slots = masker.slots(widths.slot, m, q)?;
    let u = masker.conceal(&u_packs, u_slots, &plain_u, widths.offset_u())?;
    let v = masker.conceal(&v_packs, v_slots, &plain_v, widths.offset_v())?;

    let mut request = message::request(Operation::MatmulDivide, masker.key);
    request.u64(divisor);
    for packed in [&masked_x, &masked_w, &u, &v] {
        message::write_packed(&mut request, packed);
    }
    let key = masker.key.clone();
    Ok(Question {
        key: masker.key.clone(),
        operation: Operation::MatmulDivide,
        request: request.finish(),
        expected: m * q,
        masked: p * m + p * q + 2 * m * q,
        resume: Box::new(move |quotients: Residues| {
            let removed = wide::residues(removed.iter(), key.modulus().limbs());
            let result = quotients.multiply(&key.embed(&removed));
            let storage = Arc::new(Ciphertexts::new(key, result, true));
            let tensor = EncryptedTensor::from_parts(storage, &shape.output, meta)?;
            Ok(Next::Done(vec![tensor]))
        }),
    })
}

/// `out[i·q + j] = Σ_t a[t·m + i]·b[t·q + j]`.
fn inner_products(a: &[Wide], b: &[Wide], m: usize, p: usize, q: usize) -> Zeroizing<Vec<Wide>> {
    Zeroizing::new(
        (0..m * q)
            .into_par_iter()
            .map(|k| {
                (0..p).fold(Wide::ZERO, |sum, t| {
                    sum.wrapping_add(&a[t * m + k / q].wrapping_mul(&b[t * q + k % q]))
                })
            })
            .collect(),
    )
}

/// For packed lines X[t] and masks S (p lines of `outputs`): the packs of Σ_t X[t]·S[t, j], for
/// each j.
fn products_of_packs(
    packs: &Residues,
    slots: &Slots,
    masks: &Limbs,
    mask_bits: usize,
    outputs: usize,
) -> Residues {
    let [p, _] = slots.dimensions();
    let blocks = slots.packs_per_line();
    let mut indices = Vec::with_capacity(outputs * blocks * p);
    let mut exponents = Limbs::zeros(outputs * blocks * p, masks.width());
    for j in 0..outputs {
        for block in 0..blocks {
            for t in 0..p {
                exponents
                    .row_mut(indices.len())
                    .copy_from_slice(masks.row(t * outputs + j));
                indices.push(t * blocks + block);
            }
        }
    }
    multi_power(packs, &indices, &Exponents::new(&exponents, mask_bits), p)
}

/// P2: combines the masked operands with u and v, divides, and encrypts the quotients.
pub fn answer(mut r: Reader<'_>, key: &PrivateKey, random: &Random) -> Result<Residues> {
    let public = key.public();
    let divisor = r.u64()?;
    if divisor == 0 {
        return Err(r.error("the divisor is 0"));
    }
    let mut groups = Vec::with_capacity(4);
    for _ in 0..4 {
        groups.push(message::read_packed(&mut r, public)?);
    }
    let [p, m] = groups[0].slots.dimensions();
    let [_, q] = groups[1].slots.dimensions();
    let expected = [[p, m], [p, q], [q, m], [m, q]];
    if groups.iter().map(|g| g.slots.dimensions()).ne(expected) {
        return Err(r.error("its four groups do not belong to one matrix product"));
    }
    r.finish()?;
    check_size(m, p, q)?;
    // Products of absurdly wide slots would wrap: garbage for the one who asked for it.
    let mut opened = groups.iter().map(|g| masking::open(g, key));
    let mut next = || opened.next().expect("four groups");
    let (x, w, u, v) = (next()?, next()?, next()?, next()?);
    let mut quotients = inner_products(&x, &w, m, p, q);
    for (k, z) in quotients.iter_mut().enumerate() {
        let masked = z.wrapping_sub(&u[k % q * m + k / q]).wrapping_sub(&v[k]);
        *z = wide::floor_divide(&masked, divisor);
    }
    key.encrypt(
        &wide::residues(quotients.iter(), public.modulus().limbs()),
        random,
    )
}
