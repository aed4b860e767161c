//! Products: element-wise and of matrices (the paper's secure multiplication, with one mask an
//! element).
//!
//! With masks R, S and X' = X + R, W' = W + S: XW = X'W' − XS − RW − RS. P2 computes X'W' in
//! clear; P1 takes off the rest, XS and RW by one multi-exponentiation for each output.

use super::call::Question;
use super::masking::{self, Masker};
use super::message::{self, Operation};
use super::p2::{MAX_PRODUCT_BITS, MAX_TERMS, MAX_VALUES};
use super::wide::{self, Wide};
use crate::error::{Error, Result};
use crate::modular::exponentiation::{Exponents, multi_power};
use crate::modular::{Limbs, Residues};
use crate::paillier::{Encrypt, PrivateKey, PublicKey};
use crate::parallel;
use crate::random::Random;
use crate::tensor::{
    Ciphertexts, EncryptedTensor, Meta, broadcast_indices, broadcast_shapes, matmul_shape,
};
use crate::wire::Reader;
use std::sync::Arc;
use zeroize::Zeroizing;

/// `out[k] = Σ_t a[left[k·width + t]] · b[right[k·width + t]]`: which elements meet in a product.
struct Terms {
    left: Vec<usize>,
    right: Vec<usize>,
    width: usize,
    output: Vec<usize>,
}

impl Terms {
    fn new(operation: Operation, a: &[usize], b: &[usize]) -> Result<Self> {
        if operation == Operation::Multiply {
            let output = broadcast_shapes(a, b)?;
            Error::check_limit("outputs of a product", output.iter().product(), MAX_VALUES)?;
            return Ok(Self {
                left: broadcast_indices(a, &output)?,
                right: broadcast_indices(b, &output)?,
                width: 1,
                output,
            });
        }
        let shape = matmul_shape(a, b)?;
        let (m, p, q) = (shape.m, shape.p, shape.q);
        Error::check_limit("outputs of a product", m.saturating_mul(q), MAX_VALUES)?;
        let count = m.saturating_mul(p).saturating_mul(q);
        Error::check_limit("terms of a matrix product", count, MAX_TERMS)?;
        let terms = |index: fn(usize, usize, usize, usize, usize) -> usize| {
            (0..m * q)
                .flat_map(|k| (0..p).map(move |t| index(k / q, k % q, t, p, q)))
                .collect()
        };
        Ok(Self {
            left: terms(|i, _, t, p, _| i * p + t),
            right: terms(|_, j, t, _, q| t * q + j),
            width: p,
            output: shape.output,
        })
    }

    fn outputs(&self) -> usize {
        self.left.len() / self.width
    }

    /// The sums of products of clear values.
    fn evaluate(&self, a: &[Wide], b: &[Wide]) -> Zeroizing<Vec<Wide>> {
        Zeroizing::new(
            parallel::over(0..self.outputs())
                .map(|k| {
                    (k * self.width..(k + 1) * self.width).fold(Wide::ZERO, |sum, i| {
                        sum.wrapping_add(&a[self.left[i]].wrapping_mul(&b[self.right[i]]))
                    })
                })
                .collect(),
        )
    }
}

/// P1: masks both operands and prepares what takes the masks off.
pub fn ask(
    masker: &Masker<'_>,
    operation: Operation,
    a: &EncryptedTensor,
    b: &EncryptedTensor,
    meta: Meta,
) -> Result<Question> {
    let terms = Terms::new(operation, a.shape(), b.shape())?;
    let key = masker.key;
    let (a, b) = (a.compact()?, b.compact()?);
    let masks_a = masker.masks(a.len(), a.bound())?;
    let masks_b = masker.masks(b.len(), b.bound())?;
    let mut w = masker.request(operation);
    w.shape(a.shape());
    w.shape(b.shape());
    for (x, masks) in [(&a, &masks_a), (&b, &masks_b)] {
        let packed = masker.mask(x.storage(), x.bound(), masks)?;
        message::write_packed(&mut w, &packed);
    }
    let mask_bits = masker.mask_bits(a.bound().max(b.bound())) as usize;
    let shape = terms.output.clone();
    let (masked, expected, own_key) = (a.len() + b.len(), terms.outputs(), key.clone());
    let ours = a.storage().is_refreshed() && b.storage().is_refreshed();
    // The masks are exponents in the correction. Of a random part that somebody chose, its order for instance, they
    // could be read there by whoever gets the product and knows the factors of N.
    let uniform = match ours {
        true => None,
        false => Some(key.uniform_zeros(expected, masker.random)?),
    };
    let resume = move |products: Residues| {
        let correction = correction(&own_key, &terms, &a, &b, [&masks_a, &masks_b], mask_bits);
        let mut result = products.multiply(&correction?);
        if let Some(uniform) = uniform {
            result = result.multiply(&uniform);
        }
        let storage = Ciphertexts::new(own_key, result, ours);
        let tensor = EncryptedTensor::from_parts(Arc::new(storage), &shape, meta)?;
        Ok(vec![tensor])
    };
    let request = w.finish();
    Question::for_ciphertexts(masker, operation, request, masked, expected, resume)
}

/// E[−XS − RW − RS].
fn correction(
    key: &PublicKey,
    terms: &Terms,
    a: &EncryptedTensor,
    b: &EncryptedTensor,
    [masks_a, masks_b]: [&Limbs; 2],
    mask_bits: usize,
) -> Result<Residues> {
    // Two terms each: a's element to b's mask, b's element to a's mask.
    let bases = Residues::concatenate(&[a.storage().residues(), b.storage().residues()]);
    let mut indices = Vec::with_capacity(2 * terms.left.len());
    let mut exponents = Limbs::zeros(2 * terms.left.len(), mask_bits.div_ceil(64));
    for (i, (&left, &right)) in terms.left.iter().zip(&terms.right).enumerate() {
        indices.extend([left, a.len() + right]);
        let (for_a, for_b) = (masks_b.row(right), masks_a.row(left));
        exponents.row_mut(2 * i)[..for_a.len()].copy_from_slice(for_a);
        exponents.row_mut(2 * i + 1)[..for_b.len()].copy_from_slice(for_b);
    }
    let exponents = Exponents::new(&exponents, mask_bits);
    let cross = multi_power(&bases, &indices, &exponents, 2 * terms.width);
    let products = terms.evaluate(&wide::from_rows(masks_a), &wide::from_rows(masks_b));
    let products = wide::residues(products.iter(), key.modulus().limbs());
    cross.multiply(&key.embed(&products)).invert()
}

/// P2: multiplies masked values and encrypts the products.
pub fn answer(
    operation: Operation,
    mut r: Reader<'_>,
    key: &PrivateKey,
    random: &Random,
) -> Result<Residues> {
    let public = key.public();
    let (shape_a, shape_b) = (r.shape()?, r.shape()?);
    let a = message::read_packed(&mut r, public)?;
    let b = message::read_packed(&mut r, public)?;
    for (packed, shape) in [(&a, &shape_a), (&b, &shape_b)] {
        if packed.slots.count() != shape.iter().product::<usize>() {
            return Err(r.error(format!(
                "{} masked values for shape {shape:?}",
                packed.slots.count()
            )));
        }
    }
    r.finish()?;
    let terms = Terms::new(operation, &shape_a, &shape_b)?;
    let bits = a.slots.bits() + b.slots.bits() + terms.width.ilog2() as usize + 1;
    Error::check_limit("bits of a masked product", bits, MAX_PRODUCT_BITS)?;
    let products = terms.evaluate(&masking::open(&a, key)?, &masking::open(&b, key)?);
    let plaintexts = wide::residues(products.iter(), public.modulus().limbs());
    key.encrypt(&plaintexts, random)
}
