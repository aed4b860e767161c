//! [`Ciphertexts`]: encrypted elements of a tensor, and the arithmetic that needs no interaction.

use super::Storage;
use crate::error::Result;
use crate::fixed::MAX_BOUND;
use crate::modular::exponentiation::signed_multi_power;
use crate::modular::{Limbs, Residues, less_than, subtract};
use crate::paillier::PublicKey;

/// A flat list of ciphertexts under one key.
#[derive(Debug)]
pub struct Ciphertexts {
    key: PublicKey,
    residues: Residues,
    refreshed: bool,
}

impl Ciphertexts {
    /// Ciphertexts modulo N² of `key`. `refreshed` says that they come from software of ours, so
    /// that their random parts lie in ⟨h_s⟩; other ciphertexts must be refreshed by P2 before a
    /// protocol uses them, since re-randomisation with powers of h_s would not hide their origin.
    pub fn new(key: PublicKey, residues: Residues, refreshed: bool) -> Self {
        Self {
            key,
            residues,
            refreshed,
        }
    }

    /// As [`Ciphertexts::new`] for canonical limbs from outside: every number must be below N² and
    /// share no factor with it.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`].
    pub fn from_limbs(key: PublicKey, limbs: Vec<u64>, refreshed: bool) -> Result<Self> {
        let residues = Residues::from_limbs(key.ring(), limbs)?;
        residues.check_units()?;
        Ok(Self::new(key, residues, refreshed))
    }

    /// The numbers modulo N², alone.
    pub fn into_residues(self) -> Residues {
        self.residues
    }

    /// The key.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The numbers modulo N².
    pub fn residues(&self) -> &Residues {
        &self.residues
    }

    /// Whether the random parts lie in ⟨h_s⟩.
    pub fn is_refreshed(&self) -> bool {
        self.refreshed
    }

    fn with(&self, residues: Residues) -> Self {
        Self::new(self.key.clone(), residues, self.refreshed)
    }
}

/// Rows of N's width: each value modulo N.
pub fn residues_of_signed(key: &PublicKey, values: &[i128]) -> Limbs {
    let n = key.modulus().limbs();
    let mut out = Limbs::zeros(values.len(), n.len());
    for (i, &value) in values.iter().enumerate() {
        let magnitude = value.unsigned_abs();
        let row = out.row_mut(i);
        row[0] = magnitude as u64;
        if let Some(second) = row.get_mut(1) {
            *second = (magnitude >> 64) as u64;
        }
        debug_assert!(less_than(row, n), "bounds keep plaintexts below N");
        if value < 0 {
            let mut negative = n.to_vec();
            subtract(&mut negative, row);
            row.copy_from_slice(&negative);
        }
    }
    out
}

impl Storage for Ciphertexts {
    fn len(&self) -> usize {
        self.residues.len()
    }

    fn max_bound(&self) -> u32 {
        // Signed plaintexts lie in (−N/2, N/2).
        MAX_BOUND.min(self.key.bits() - 2)
    }

    fn check_compatible(&self, other: &Self) -> Result<()> {
        self.key.check_same(&other.key)
    }

    fn gather(&self, indices: &[usize]) -> Result<Self> {
        Ok(self.with(self.residues.gather(indices)))
    }

    fn concatenate(parts: &[&Self]) -> Result<Self> {
        let all: Vec<_> = parts.iter().map(|p| &p.residues).collect();
        let mut joined = parts[0].with(Residues::concatenate(&all));
        joined.refreshed = parts.iter().all(|p| p.refreshed);
        Ok(joined)
    }

    fn add(&self, other: &Self) -> Result<Self> {
        let mut sum = self.with(self.residues.multiply(&other.residues));
        sum.refreshed &= other.refreshed;
        Ok(sum)
    }

    fn negate(&self) -> Result<Self> {
        Ok(self.with(self.residues.invert()?))
    }

    fn add_plain(&self, values: &[i128]) -> Result<Self> {
        let plain = self.key.embed(&residues_of_signed(&self.key, values));
        Ok(self.with(self.residues.multiply(&plain)))
    }

    fn sum(&self, indices: &[usize], width: usize) -> Result<Self> {
        Ok(self.with(self.residues.products(indices, width)))
    }

    fn weighted_sum(
        &self,
        indices: &[usize],
        weights: &[i128],
        width: usize,
        weight_bits: u32,
    ) -> Result<Self> {
        let bits = weight_bits as usize;
        let powers = signed_multi_power(&self.residues, indices, weights, bits, width)?;
        Ok(self.with(powers))
    }

    fn check_bound(&self, _: &[usize], _: u32) -> std::result::Result<(), (usize, i128)> {
        Ok(())
    }
}
