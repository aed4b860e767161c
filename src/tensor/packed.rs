//! Packed tensors: many values a ciphertext. What a data owner uploads, and what models live in.
//!
//! The last axis is a line; the values of a line share ciphertexts, those of two lines do not, so
//! rows can still be shuffled and cut into batches. Slots are signed: a pack is Σ x_j·2^(j·bits).

use super::share::Packs;
use super::{Ciphertexts, IntegerTensor, Tensor};
use crate::error::{Error, Result};
use crate::modular::{Limbs, add_masked, add_shifted, subtract};
use crate::paillier::{Encrypt, PrivateKey, PublicKey, Slots};
use crate::random::Random;
use std::sync::Arc;

/// The widest masks, in bits of σ, that packed tensors have room for when the caller does not choose: what P1 will show
/// of them is not known when they are uploaded. Those of trainings that show P2 up to 2^39 values.
pub const UPLOAD_SIGMA: u32 = 80;

impl Tensor<Ciphertexts> {
    /// Encrypts many values a ciphertext: (|N| − 2) // (bound + σ + 2) of the last axis, 21 of 15
    /// bits under 2048 bits with σ = 80. P1 may use masks of up to `sigma` bits on them; [`UPLOAD_SIGMA`] if in doubt.
    ///
    /// # Errors
    /// [`crate::Error::Bound`] when a slot does not fit the key.
    pub fn encrypt_packed(
        tensor: &IntegerTensor,
        key: &impl Encrypt,
        sigma: u32,
        random: &Random,
    ) -> Result<Self> {
        let public = key.public();
        let bits = tensor.bound().saturating_add(sigma).saturating_add(2);
        let slots = layout(public, bits, tensor.bound(), tensor.shape())?;
        let plaintexts = pack_signed(public, &slots, &tensor.values());
        let residues = key.encrypt(&plaintexts, random)?;
        let packs = Arc::new(Packs { slots, residues });
        let storage = Ciphertexts::packed(public.clone(), packs, !public.is_foreign());
        Self::from_parts(Arc::new(storage), tensor.shape(), tensor.meta())
    }

    /// How many values share a ciphertext at most: 1 unless the tensor is packed.
    pub fn values_per_ciphertext(&self) -> usize {
        self.storage().slots().map_or(1, Slots::per_pack)
    }

    /// Whether several values share a ciphertext.
    pub fn is_packed(&self) -> bool {
        self.storage().slots().is_some()
    }
}

/// The layout of a packed tensor: a line is the last axis.
pub(super) fn layout(key: &PublicKey, bits: u32, bound: u32, shape: &[usize]) -> Result<Slots> {
    if bits <= bound {
        return Err(Error::malformed(
            "packed tensor",
            format!("slots of {bits} bits for values of {bound} bits"),
        ));
    }
    let per_line = shape.last().copied().unwrap_or(1);
    let lines = match per_line {
        0 => 0,
        _ => shape.iter().product::<usize>() / per_line,
    };
    Slots::new(key.bits(), bits, lines, per_line)
}

/// Σ x_j·2^(j·bits) modulo N for each ciphertext of a layout.
pub(crate) fn pack_signed(key: &PublicKey, slots: &Slots, values: &[i128]) -> Limbs {
    let width = slots.bits().div_ceil(64).max(2);
    let mut rows = Limbs::zeros(values.len(), width);
    for (i, &x) in values.iter().enumerate() {
        let sign = (x >> 127) as u64;
        let row = rows.row_mut(i);
        row.fill(sign);
        row[0] = x as u64;
        row[1] = (x >> 64) as u64;
    }
    pack_signed_rows(key, slots, &rows)
}

/// As [`pack_signed`] for rows in two's complement, at least as wide as a slot.
pub(crate) fn pack_signed_rows(key: &PublicKey, slots: &Slots, rows: &Limbs) -> Limbs {
    let half = half_slot(slots);
    let mut shifted = Limbs::zeros(rows.rows(), half.len());
    for i in 0..rows.rows() {
        let row = shifted.row_mut(i);
        row.copy_from_slice(&rows.row(i)[..half.len()]);
        add_masked(row, &half, u64::MAX);
        // A value outside its slot is the sender's broken promise: it must not reach the others.
        let spare = 64 * half.len() - slots.bits();
        row[half.len() - 1] &= u64::MAX >> spare;
    }
    let mut packed = slots.pack(&shifted, key.modulus().width());
    let n = key.modulus().limbs();
    let offset = offsets(slots, n.len());
    for i in 0..packed.rows() {
        let row = packed.row_mut(i);
        let borrow = subtract(row, offset.row(i));
        add_masked(row, n, borrow.wrapping_neg());
    }
    packed
}

/// The values of all slots, as rows in two's complement.
pub(super) fn unpack_signed(key: &PrivateKey, packs: &Packs) -> Result<Limbs> {
    let n = key.public().modulus().limbs();
    let mut plaintexts = key.decrypt(&packs.residues)?;
    let offset = offsets(&packs.slots, n.len());
    for i in 0..plaintexts.rows() {
        // Plus the offset, modulo N: minus (N − offset), plus N where that was too much.
        let mut complement = n.to_vec();
        subtract(&mut complement, offset.row(i));
        let row = plaintexts.row_mut(i);
        let borrow = subtract(row, &complement);
        add_masked(row, n, borrow.wrapping_neg());
    }
    let mut values = packs.slots.unpack(&plaintexts);
    let half = half_slot(&packs.slots);
    for i in 0..values.rows() {
        subtract(values.row_mut(i), &half);
    }
    Ok(values)
}

/// 2^(bits − 1), as wide as a slot.
fn half_slot(slots: &Slots) -> Vec<u64> {
    let mut half = vec![0; slots.bits().div_ceil(64)];
    add_shifted(&mut half, &[1], slots.bits() - 1);
    half
}

/// Σ 2^(j·bits + bits − 1) over the slots in use of each ciphertext.
fn offsets(slots: &Slots, width: usize) -> Limbs {
    let half = half_slot(slots);
    let mut all = Limbs::zeros(slots.count(), half.len());
    for i in 0..all.rows() {
        all.row_mut(i).copy_from_slice(&half);
    }
    slots.pack(&all, width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::paillier::Security;
    use crate::tensor::EncryptedTensor;

    fn key() -> PrivateKey {
        PrivateKey::generate(512, Security::AllowInsecure).unwrap()
    }

    fn tensor(shape: &[usize], bound: u32) -> IntegerTensor {
        let top = (1i128 << bound) - 1;
        let count = shape.iter().product::<usize>() as i128;
        let values = (0..count).map(|i| if i % 3 == 0 { -top } else { top - i });
        IntegerTensor::from_i128(shape, values.collect(), 3, bound).unwrap()
    }

    fn encrypt(clear: &IntegerTensor, key: &PrivateKey) -> EncryptedTensor {
        Tensor::encrypt_packed(clear, key, 40, &Random::os()).unwrap()
    }

    #[test]
    fn packed_values_come_back_with_their_signs() {
        let key = key();
        for shape in [&[][..], &[1], &[7], &[3, 40], &[2, 3, 5], &[0, 4], &[4, 0]] {
            for bound in [1, 8, 63, 64, 100, 126] {
                let count: usize = shape.iter().product();
                let clear = match bound {
                    1 => IntegerTensor::from_i128(shape, vec![-1; count], 0, 1).unwrap(),
                    _ => tensor(shape, bound),
                };
                let packed = encrypt(&clear, &key);
                assert_eq!(packed.shape(), clear.shape());
                assert_eq!(packed.meta(), clear.meta());
                assert_eq!(packed.decrypt(&key).unwrap().values(), clear.values());
            }
        }
        let many = encrypt(&tensor(&[3, 40], 8), &key);
        // 510 // (8 + 40 + 2) = 10 in a ciphertext, 4 ciphertexts a row.
        assert_eq!(many.values_per_ciphertext(), 10);
        assert_eq!(many.storage().residues().len(), 12);
        let small = PrivateKey::generate(64, Security::AllowInsecure).unwrap();
        let refused = Tensor::encrypt_packed(&tensor(&[2], 30), &small, 40, &Random::os());
        assert!(matches!(
            refused,
            Err(Error::Bound {
                needed: 72,
                limit: 62,
                ..
            })
        ));
    }

    #[test]
    fn rows_are_cut_and_joined_and_sums_are_taken_like_the_twins() {
        let key = key();
        let (a, b) = (tensor(&[4, 12], 9), tensor(&[4, 12], 9));
        let (ea, eb) = (encrypt(&a, &key), encrypt(&b, &key));
        let same = |e: Result<EncryptedTensor>, c: Result<IntegerTensor>| {
            let (e, c) = (e.unwrap(), c.unwrap());
            assert_eq!(e.meta(), c.meta());
            assert_eq!(e.decrypt(&key).unwrap().values(), c.values());
            // Through bytes, too.
            let bytes = e.to_bytes().unwrap();
            let back = EncryptedTensor::from_bytes(&bytes, key.public()).unwrap();
            assert!(back.is_packed());
            assert_eq!(back.decrypt(&key).unwrap().values(), c.values());
        };
        same(ea.take(0, &[3, 0, 3]), a.take(0, &[3, 0, 3]));
        same(ea.add(&eb), a.add(&b));
        same(ea.sub(&eb), a.sub(&b));
        same(ea.add_plain(&b), a.add_plain(&b));
        same(
            Tensor::concatenate(&[&ea, &eb], 0),
            Tensor::concatenate(&[&a, &b], 0),
        );
        // A view that cuts through ciphertexts can still be decrypted, but not computed with.
        let view = ea.transpose();
        assert_eq!(view.decrypt(&key).unwrap().values(), a.transpose().values());
        let single = EncryptedTensor::encrypt(&b, &key, &Random::os()).unwrap();
        for refused in [
            view.neg().map(|_| ()),
            ea.sum(None).map(|_| ()),
            ea.mul_plain(&b).map(|_| ()),
            ea.add(&single).map(|_| ()),
            view.to_bytes().map(|_| ()),
            ea.to_ciphertexts().map(|_| ()),
        ] {
            let error = refused.unwrap_err().to_string();
            assert!(error.contains("unpack"), "{error}");
        }
    }

    #[test]
    fn bytes_of_absurd_layouts_are_refused() {
        let key = key();
        let bytes = encrypt(&tensor(&[2, 12], 9), &key).to_bytes().unwrap();
        for cut in 0..bytes.len() {
            assert!(EncryptedTensor::from_bytes(&bytes[..cut], key.public()).is_err());
        }
        // The form, and the bits of a slot, which come after two dimensions.
        for (at, values) in [(40, &[2u32, 3, 0xff][..]), (74, &[0, 1, 9, 511, u32::MAX])] {
            for value in values {
                let mut bad = bytes.clone();
                let width = if at == 40 { 2 } else { 4 };
                bad[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
                let read = EncryptedTensor::from_bytes(&bad, key.public());
                assert!(read.is_err(), "{value} at {at}");
            }
        }
    }
}
