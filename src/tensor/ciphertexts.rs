//! [`Ciphertexts`]: encrypted elements of a tensor, and the arithmetic that needs no interaction.

use super::Storage;
use super::share::{Packs, Shares, whole_lines};
use crate::error::{Error, Result};
use crate::fixed::MAX_BOUND;
use crate::modular::exponentiation::signed_multi_power;
use crate::modular::{Limbs, Residues, less_than, subtract};
use crate::paillier::{PublicKey, Slots};
use std::sync::Arc;
use zeroize::Zeroizing;

/// A flat list of encrypted numbers under one key: one a ciphertext, or *packed*, several in one.
///
/// Packed lists can be stored, decrypted, added to lists of the same layout and cut into whole
/// lines. Everything else needs one ciphertext a value, which [`crate::Session::unpack`] makes.
#[derive(Debug)]
pub struct Ciphertexts {
    key: PublicKey,
    form: Form,
    refreshed: bool,
    /// A cache that interactive operations fill; it never changes what the elements are.
    shares: Shares,
}

#[derive(Debug)]
enum Form {
    Single(Arc<Residues>),
    Packed(Arc<Packs>),
}

impl Ciphertexts {
    /// Ciphertexts modulo N² of `key`. `refreshed` says that their random parts are known to lie in ⟨h_s⟩: they were
    /// encrypted in this process, or by P2 in an answer. No bytes can say so of themselves. Powers of h_s would not
    /// hide the random parts of others, so protocols hide these behind uniform ones, at the cost of a power more.
    pub fn new(key: PublicKey, residues: Residues, refreshed: bool) -> Self {
        Self::with_form(key, Form::Single(Arc::new(residues)), refreshed)
    }

    /// Several values a ciphertext, in signed slots: a pack is Σ x_j·2^(j·bits).
    pub(crate) fn packed(key: PublicKey, packs: Arc<Packs>, refreshed: bool) -> Self {
        Self::with_form(key, Form::Packed(packs), refreshed)
    }

    fn with_form(key: PublicKey, form: Form, refreshed: bool) -> Self {
        Self {
            key,
            form,
            refreshed,
            shares: Shares::default(),
        }
    }

    /// From canonical limbs from outside: every number must be below N² and share no factor with
    /// it. Without `slots` each holds one value. Who made them is not known.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`].
    pub(crate) fn from_limbs(
        key: PublicKey,
        limbs: Vec<u64>,
        slots: Option<Slots>,
    ) -> Result<Self> {
        let residues = Residues::from_limbs(key.ring(), limbs)?;
        residues.check_units()?;
        Ok(match slots {
            None => Self::new(key, residues, false),
            Some(slots) => Self::packed(key, Arc::new(Packs { slots, residues }), false),
        })
    }

    /// The key.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The numbers modulo N², whatever they hold.
    pub fn residues(&self) -> &Residues {
        match &self.form {
            Form::Single(residues) => residues,
            Form::Packed(packs) => &packs.residues,
        }
    }

    /// The numbers modulo N², one a value.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where several values share a ciphertext; `what` needs them apart.
    pub fn singles(&self, what: &str) -> Result<&Residues> {
        match &self.form {
            Form::Single(residues) => Ok(residues),
            Form::Packed(packs) => Err(packed_error(what, &packs.slots)),
        }
    }

    pub(crate) fn packs(&self) -> Option<&Arc<Packs>> {
        match &self.form {
            Form::Single(_) => None,
            Form::Packed(packs) => Some(packs),
        }
    }

    /// How the values lie in ciphertexts, where several share one.
    pub fn slots(&self) -> Option<&Slots> {
        match &self.form {
            Form::Single(_) => None,
            Form::Packed(packs) => Some(&packs.slots),
        }
    }

    /// Whether the random parts are known to lie in ⟨h_s⟩.
    pub fn is_refreshed(&self) -> bool {
        self.refreshed
    }

    pub(crate) fn shares(&self) -> &Shares {
        &self.shares
    }

    /// The same ciphertexts as those of another key with the same N. Anybody may have made them.
    pub(crate) fn under(&self, key: &PublicKey) -> Result<Self> {
        let limbs = self.residues().limbs().to_vec();
        let same = self.with(Residues::from_limbs(key.ring(), limbs)?);
        Ok(Self::with_form(key.clone(), same.form, false))
    }

    /// The same elements with a cache of their own: what others share of them displaces nothing there.
    pub(crate) fn apart(&self) -> Self {
        let form = match &self.form {
            Form::Single(residues) => Form::Single(residues.clone()),
            Form::Packed(packs) => Form::Packed(packs.clone()),
        };
        Self {
            shares: self.shares.copy(),
            ..Self::with_form(self.key.clone(), form, self.refreshed)
        }
    }

    fn with(&self, residues: Residues) -> Self {
        let form = match &self.form {
            Form::Single(_) => Form::Single(Arc::new(residues)),
            Form::Packed(packs) => Form::Packed(Arc::new(Packs {
                slots: packs.slots,
                residues,
            })),
        };
        Self::with_form(self.key.clone(), form, self.refreshed)
    }
}

fn packed_error(what: &str, slots: &Slots) -> Error {
    Error::invalid(format!(
        "{what}: up to {} values share a ciphertext here (slots of {} bits), and they go together; \
         unpack the tensor in a session first",
        slots.per_pack(),
        slots.bits()
    ))
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
            let mut negative = Zeroizing::new(n.to_vec());
            subtract(&mut negative, row);
            row.copy_from_slice(&negative);
        }
    }
    out
}

impl Storage for Ciphertexts {
    fn len(&self) -> usize {
        match &self.form {
            Form::Single(residues) => residues.len(),
            Form::Packed(packs) => packs.slots.count(),
        }
    }

    fn max_bound(&self) -> u32 {
        // Signed plaintexts lie in (−N/2, N/2), signed slots of s bits in (−2^(s−1), 2^(s−1)).
        let room = match self.slots() {
            None => self.key.bits() - 2,
            Some(slots) => slots.bits() as u32 - 1,
        };
        MAX_BOUND.min(room)
    }

    fn check_compatible(&self, other: &Self) -> Result<()> {
        self.key.check_same(&other.key)
    }

    fn gather(&self, indices: &[usize]) -> Result<Self> {
        let mut gathered = match &self.form {
            Form::Single(residues) => self.with(residues.gather(indices)),
            Form::Packed(packs) => {
                let lines = whole_lines(indices, packs.slots.dimensions()[1])
                    .ok_or_else(|| packed_error("taking some elements", &packs.slots))?;
                let packs = Arc::new(packs.gather(&lines));
                Self::packed(self.key.clone(), packs, self.refreshed)
            }
        };
        // Shares have lines of their own: those of the shape that the tensor had then.
        gathered.shares = self
            .shares
            .gather(|per_line| whole_lines(indices, per_line));
        Ok(gathered)
    }

    fn concatenate(parts: &[&Self]) -> Result<Self> {
        let layouts = || parts.iter().map(|p| p.slots());
        if let Some(slots) = layouts().flatten().next() {
            let fits =
                |s: Option<&Slots>| s.is_some_and(|s| s.with_lines(1) == slots.with_lines(1));
            if !layouts().all(fits) {
                return Err(packed_error("joining tensors of different layouts", slots));
            }
        }
        let all: Vec<_> = parts.iter().map(|p| p.residues()).collect();
        let residues = Residues::concatenate(&all);
        let refreshed = parts.iter().all(|p| p.refreshed);
        let form = match parts[0].slots() {
            None => Form::Single(Arc::new(residues)),
            Some(slots) => {
                let lines = layouts().flatten().map(|s| s.dimensions()[0]).sum();
                Form::Packed(Arc::new(Packs {
                    slots: slots.with_lines(lines),
                    residues,
                }))
            }
        };
        Ok(Self::with_form(parts[0].key.clone(), form, refreshed))
    }

    fn add(&self, other: &Self) -> Result<Self> {
        if self.slots() != other.slots() {
            let slots = self.slots().or(other.slots()).expect("one is packed");
            return Err(packed_error("adding tensors of different layouts", slots));
        }
        let mut sum = self.with(self.residues().multiply(other.residues()));
        sum.refreshed &= other.refreshed;
        Ok(sum)
    }

    fn negate(&self) -> Result<Self> {
        Ok(self.with(self.residues().invert()?))
    }

    fn add_plain(&self, values: &[i128]) -> Result<Self> {
        let plain = match self.slots() {
            None => residues_of_signed(&self.key, values),
            Some(slots) => super::packed::pack_signed(&self.key, slots, values),
        };
        Ok(self.with(self.residues().multiply(&self.key.embed(&plain))))
    }

    fn sum(&self, indices: &[usize], width: usize) -> Result<Self> {
        let residues = self.singles("a sum within a tensor")?;
        Ok(self.with(residues.products(indices, width)))
    }

    fn weighted_sum(
        &self,
        indices: &[usize],
        weights: &[i128],
        width: usize,
        weight_bits: u32,
    ) -> Result<Self> {
        let residues = self.singles("a product with clear values")?;
        let bits = weight_bits as usize;
        let powers = signed_multi_power(residues, indices, weights, bits, width)?;
        Ok(self.with(powers))
    }

    fn check_bound(&self, _: &[usize], _: u32) -> std::result::Result<(), (usize, i128)> {
        Ok(())
    }
}
