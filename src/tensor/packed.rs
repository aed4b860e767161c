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

impl Tensor<Ciphertexts> {
    /// Encrypts many values a ciphertext: (|N| − 2) // (bound + σ + 2) of the last axis, 24 of 15
    /// bits under 2048 bits with σ = 64. P1 may use masks of up to `sigma` bits on them.
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
