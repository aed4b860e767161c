//! Division by a public integer, for truncation and learning rates, and refreshing.
//!
//! With r = d·r_hi + r_lo, r_lo from the rounding stream, and an offset o that is a multiple of d:
//! (x + o + r) // d = (x + r_lo) // d + o/d + r_hi, exactly. P2 computes the left side.

use super::call::Question;
use super::masking::{self, Masker, RandomPart};
use super::message::{self, Operation};
use super::wide::{self, Wide};
use crate::error::Result;
use crate::modular::Residues;
use crate::paillier::{Encrypt, PrivateKey};
use crate::random::Random;
use crate::tensor::{Ciphertexts, EncryptedTensor, Meta};
use crate::wire::Reader;
use std::sync::Arc;
use zeroize::Zeroizing;

/// P1: asks for `(x + r_lo) // divisor`.
pub fn ask(
    masker: &Masker<'_>,
    x: &EncryptedTensor,
    divisor: u64,
    r_lo: &[u64],
    meta: Meta,
) -> Result<Question> {
    let (bound, count) = (x.bound(), x.len());
    // The smallest h with d·2^h ≥ 2^(bound+1+σ), from ⌊log2 d⌋ ≤ log2 d.
    let high_bits = masker.mask_bits(bound).saturating_sub(divisor.ilog2());
    let high = masker.random.limbs(count, high_bits as usize)?;
    let d = Wide::from_u64(divisor);
    // o = d·⌈2^bound / d⌉.
    let quotient_offset = wide::floor_divide(
        &wide::power_of_two(bound).wrapping_add(&Wide::from_u64(divisor - 1)),
        divisor,
    );
    let offset = quotient_offset.wrapping_mul(&d);
    let mut hidden = Zeroizing::new(Vec::with_capacity(count));
    let mut removed = Zeroizing::new(Vec::with_capacity(count));
    for (i, &low) in r_lo.iter().enumerate() {
        let high = wide::from_row(high.row(i));
        let mask = high.wrapping_mul(&d).wrapping_add(&Wide::from_u64(low));
        hidden.push(mask.wrapping_add(&offset));
        removed.push(Wide::ZERO.wrapping_sub(&quotient_offset.wrapping_add(&high)));
    }
    let x = x.compact()?;
    // P2 gets x + o + r as it is: the offset is not its to remove before it divides.
    let slot_bits = (bound + masker.sigma()).max(u64::BITS - divisor.leading_zeros()) + 3;
    let slots = masker.slots(slot_bits, 1, count)?;
    let packs = masking::gather_packs(x.storage().residues(), None, &slots);
    let packed = masker.conceal(&packs, slots, &hidden, 0, RandomPart::of(x.storage()))?;
    let mut w = masker.request(Operation::Divide);
    w.u64(divisor);
    message::write_packed(&mut w, &packed);
    single_answers(masker, Operation::Divide, w.finish(), &x, meta, removed)
}

/// P1: asks for fresh encryptions of the same values, one a ciphertext.
pub fn ask_refresh(masker: &Masker<'_>, x: &EncryptedTensor) -> Result<Question> {
    let x = x.compact()?;
    let bound = x.bound();
    let masks = masker.masks(x.len(), bound)?;
    let packed = masker.mask(x.storage(), bound, &masks)?;
    let removed = (0..x.len())
        .map(|i| Wide::ZERO.wrapping_sub(&wide::from_row(masks.row(i))))
        .collect();
    let mut w = masker.request(Operation::Refresh);
    message::write_packed(&mut w, &packed);
    let (request, meta) = (w.finish(), x.meta());
    let removed = Zeroizing::new(removed);
    single_answers(masker, Operation::Refresh, request, &x, meta, removed)
}

/// A question whose answer is one ciphertext an element, to which `removed` is added.
fn single_answers(
    masker: &Masker<'_>,
    operation: Operation,
    request: Vec<u8>,
    x: &EncryptedTensor,
    meta: Meta,
    removed: Zeroizing<Vec<Wide>>,
) -> Result<Question> {
    let (key, shape, count) = (masker.key.clone(), x.shape().to_vec(), x.len());
    let resume = move |answers: Residues| {
        let removed = wide::residues(removed.iter(), key.modulus().limbs());
        let result = answers.multiply(&key.embed(&removed));
        let storage = Arc::new(Ciphertexts::new(key, result, true));
        let tensor = EncryptedTensor::from_parts(storage, &shape, meta)?;
        Ok(vec![tensor])
    };
    Question::for_ciphertexts(masker, operation, request, count, count, resume)
}

/// P2: divides (or, for a refresh, does nothing to) the masked values and encrypts them.
pub fn answer(
    operation: Operation,
    mut r: Reader<'_>,
    key: &PrivateKey,
    random: &Random,
) -> Result<Residues> {
    let public = key.public();
    let divisor = match operation {
        Operation::Divide => r.u64()?,
        _ => 1,
    };
    if divisor == 0 {
        return Err(r.error("the divisor is 0"));
    }
    let packed = message::read_packed(&mut r, public)?;
    r.finish()?;
    let mut values = masking::open(&packed, key)?;
    for x in values.iter_mut() {
        *x = wide::floor_divide(x, divisor);
    }
    key.encrypt(
        &wide::residues(values.iter(), public.modulus().limbs()),
        random,
    )
}
