//! Comparison with zero (the paper's, with both masks in one ciphertext) and multiplication by its
//! outcome: ReLU, its derivative, and the product with an encrypted bit.
//!
//! P2 sees s·(r1·(2z+1) + r2): its sign is the sign of z flipped by the coin s, so P2 learns
//! nothing from it; |z| is blurred by a log-uniform r1 but not hidden. SECURITY.md says how much.

use super::call::Question;
use super::masking::{self, Masker};
use super::message::{self, Operation};
use super::wide::{self, Wide};
use crate::error::Result;
use crate::modular::exponentiation::{Exponents, choose, power};
use crate::modular::{Limbs, Residues};
use crate::paillier::{Encrypt, PrivateKey, PublicKey};
use crate::random::Random;
use crate::tensor::{Ciphertexts, EncryptedTensor, Meta};
use crate::wire::Reader;
use crypto_bigint::NonZero;
use std::sync::Arc;
use zeroize::Zeroizing;

/// κ: r1 is log-uniform in [1, 2^κ).
const KAPPA: u32 = 128;

/// The multiplicative blinding of a comparison.
struct Blinding {
    /// Where s is −1.
    flipped: Zeroizing<Vec<bool>>,
    /// 2·r1, of κ + 1 bits.
    doubled: Limbs,
    /// s·(r1 + r2).
    added: Zeroizing<Vec<Wide>>,
}

impl Blinding {
    fn new(count: usize, random: &Random) -> Result<Self> {
        let flipped = random.coins(count)?;
        let raw = random.limbs(count, KAPPA as usize)?;
        // 192 bits more than 2·r1 make the remainder uniform up to 2^−192.
        let wide_r2 = random.limbs(count, KAPPA as usize + 193)?;
        let mut doubled = Limbs::zeros(count, (KAPPA as usize + 1).div_ceil(64));
        let mut added = Zeroizing::new(Vec::with_capacity(count));
        for i in 0..count {
            // e uniform in [0, κ), r1 uniform in [2^e, 2^(e+1)).
            let e = random.below(KAPPA.into())? as u32;
            let low_bits = power_minus_one(e);
            let r1 = (wide::from_row(raw.row(i)) & low_bits) | Wide::ONE.shl(e);
            // r2 uniform in (−r1, r1): a draw below 2·r1 − 1, minus r1 − 1; r1 + r2 = draw + 1.
            let twice = r1.shl(1);
            let span = NonZero::new(twice.wrapping_sub(&Wide::ONE)).expect("r1 is at least 1");
            let draw = wide::from_row(wide_r2.row(i)).rem(&span);
            let sum = draw.wrapping_add(&Wide::ONE);
            added.push(wide::negate_if(&sum, flipped[i]));
            let width = doubled.width();
            doubled
                .row_mut(i)
                .copy_from_slice(&twice.as_words()[..width]);
        }
        Ok(Self {
            flipped,
            doubled,
            added,
        })
    }
}

fn power_minus_one(e: u32) -> Wide {
    Wide::ONE.shl(e).wrapping_sub(&Wide::ONE)
}

/// P1: asks for the comparison of every element of z with zero. Results: relu(z), [z ≥ 0].
pub fn ask_relu(masker: &Masker<'_>, z: &EncryptedTensor) -> Result<Question> {
    let key = masker.key;
    let (n, bound) = (z.len(), z.bound());
    // A secret order over the whole batch, so that magnitudes cannot be told apart by place.
    let order = masker.random.permutation(n)?;
    let z = z.compact()?;
    let values = z.storage().residues().gather(&order);
    let blinding = Blinding::new(n, masker.random)?;
    let signed = choose(&values, &values.invert()?, &blinding.flipped);
    let offset = wide::power_of_two(bound + KAPPA + 1);
    let plain = Zeroizing::new(
        blinding
            .added
            .iter()
            .map(|x| x.wrapping_add(&offset))
            .collect::<Vec<_>>(),
    );
    let exponents = Exponents::new(&blinding.doubled, KAPPA as usize + 1);
    let slots = masker.slots(bound + KAPPA + 2, 1, n)?;
    let packs = masking::gather_packs(&signed, Some(&exponents), &slots);
    let compared = masker.conceal(&packs, slots, &plain, bound + KAPPA + 1)?;
    let masks = masker.masks(n, bound)?;
    let masked = masker.mask(&values, bound, &masks)?;
    let mut w = message::request(Operation::Relu, key);
    message::write_packed(&mut w, &compared);
    message::write_packed(&mut w, &masked);

    let mask_bits = masker.mask_bits(bound) as usize;
    let flipped = blinding.flipped;
    let (own_key, shape, meta) = (key.clone(), z.shape().to_vec(), z.meta());
    let resume = move |answers: Residues| {
        let bits = answers.gather(&(0..n).collect::<Vec<_>>());
        let products = answers.gather(&(n..2 * n).collect::<Vec<_>>());
        let selected = unmask(
            &own_key, &bits, &products, &values, &masks, mask_bits, &flipped,
        )?;
        let derivative = choose(&bits, &complement(&own_key, &bits)?, &flipped);
        // Back from the secret order.
        let mut place = vec![0; n];
        order.iter().enumerate().for_each(|(at, &i)| place[i] = at);
        let (relu_meta, bit_meta) = meta.relu();
        let tensor = |residues: Residues, meta: Meta| {
            let storage = Ciphertexts::new(own_key.clone(), residues.gather(&place), true);
            EncryptedTensor::from_parts(Arc::new(storage), &shape, meta)
        };
        Ok(vec![
            tensor(selected, relu_meta)?,
            tensor(derivative, bit_meta)?,
        ])
    };
    let (operation, request) = (Operation::Relu, w.finish());
    Ok(Question::for_ciphertexts(
        key,
        operation,
        request,
        2 * n,
        2 * n,
        resume,
    ))
}

/// P1: asks for `bits · x`. P2 sees each bit flipped by a fresh coin.
pub fn ask_select(
    masker: &Masker<'_>,
    bits: &EncryptedTensor,
    x: &EncryptedTensor,
    meta: Meta,
) -> Result<Question> {
    let key = masker.key;
    let (n, bound) = (x.len(), x.bound());
    let (bits, x) = (bits.compact()?, x.compact()?);
    let flipped = masker.random.coins(n)?;
    let bits = bits.storage().residues();
    let coins = choose(bits, &complement(key, bits)?, &flipped);
    // A flipped bit is uniform: it needs no mask and a slot of one bit.
    let zeros = vec![Wide::ZERO; n];
    let slots = masker.slots(1, 1, n)?;
    let packs = masking::gather_packs(&coins, None, &slots);
    let compared = masker.conceal(&packs, slots, &zeros, 0)?;
    let masks = masker.masks(n, bound)?;
    let masked = masker.mask(x.storage().residues(), bound, &masks)?;
    let mut w = message::request(Operation::Select, key);
    message::write_packed(&mut w, &compared);
    message::write_packed(&mut w, &masked);

    let mask_bits = masker.mask_bits(bound) as usize;
    let (own_key, shape) = (key.clone(), x.shape().to_vec());
    let resume = move |products: Residues| {
        let values = x.storage().residues();
        let selected = unmask(
            &own_key, &coins, &products, values, &masks, mask_bits, &flipped,
        )?;
        let storage = Ciphertexts::new(own_key, selected, true);
        let tensor = EncryptedTensor::from_parts(Arc::new(storage), &shape, meta)?;
        Ok(vec![tensor])
    };
    let (operation, request) = (Operation::Select, w.finish());
    Ok(Question::for_ciphertexts(
        key,
        operation,
        request,
        2 * n,
        n,
        resume,
    ))
}

/// E[1 − b].
fn complement(key: &PublicKey, bits: &Residues) -> Result<Residues> {
    let ones = Limbs::from_words(
        (0..bits.len())
            .flat_map(|_| {
                std::iter::once(1).chain(std::iter::repeat_n(0, key.modulus().width() - 1))
            })
            .collect(),
        key.modulus().width(),
    );
    Ok(bits.invert()?.multiply(&key.embed(&ones)))
}

/// From E[t] and E[t·(z + r)]: E[t·z] where the coin left the bit alone, E[z − t·z] where it
/// flipped it.
fn unmask(
    key: &PublicKey,
    bits: &Residues,
    products: &Residues,
    values: &Residues,
    masks: &Limbs,
    mask_bits: usize,
    flipped: &[bool],
) -> Result<Residues> {
    debug_assert_eq!(key.ring().modulus(), bits.ring().modulus());
    let removed = power(bits, &Exponents::new(masks, mask_bits));
    // One batch of inverses: of t·r for t·z = t(z+r) − t·r, of t(z+r) for the other case.
    let inverses = Residues::concatenate(&[&removed, products]).invert()?;
    let n = bits.len();
    let inverse_removed = inverses.gather(&(0..n).collect::<Vec<_>>());
    let inverse_products = inverses.gather(&(n..2 * n).collect::<Vec<_>>());
    let kept = products.multiply(&inverse_removed);
    let rest = values.multiply(&inverse_products).multiply(&removed);
    Ok(choose(&kept, &rest, flipped))
}

/// P2: for a relu, t = [compared > 0], answers E[t] and then E[t·(z+r)]; for a select, t is the
/// flipped bit itself and only the products come back.
pub fn answer(
    operation: Operation,
    mut r: Reader<'_>,
    key: &PrivateKey,
    random: &Random,
) -> Result<Residues> {
    let public = key.public();
    let compared = message::read_packed(&mut r, public)?;
    let masked = message::read_packed(&mut r, public)?;
    if compared.slots.count() != masked.slots.count() {
        return Err(r.error(format!(
            "{} comparisons for {} values",
            compared.slots.count(),
            masked.slots.count()
        )));
    }
    r.finish()?;
    let compared = masking::open(&compared, key)?;
    let masked = masking::open(&masked, key)?;
    let active: Zeroizing<Vec<Wide>> = Zeroizing::new(
        compared
            .iter()
            .map(|x| {
                let positive = !wide::is_negative(x) & (x != &Wide::ZERO);
                Wide::from_u64(u64::from(positive))
            })
            .collect(),
    );
    let products = active
        .iter()
        .zip(masked.iter())
        .map(|(t, x)| t.wrapping_mul(x));
    let mut answers = Zeroizing::new(Vec::new());
    if operation == Operation::Relu {
        answers.extend(active.iter().copied());
    }
    answers.extend(products);
    key.encrypt(
        &wide::residues(answers.iter(), public.modulus().limbs()),
        random,
    )
}
