//! Additive masks: how P1 hides values from P2, packed into slots, and how P2 opens the packs.

use super::message::{Head, Operation};
use super::profile::{Phase, measure};
use super::promise::Budget;
use super::wide::{self, Wide};
use crate::error::{Error, Result};
use crate::modular::{Limbs, Residues, exponentiation};
use crate::paillier::{PrivateKey, PublicKey, Slots};
use crate::random::Random;
use crate::tensor::{Ciphertexts, EncryptedTensor, JobLabel};
use crate::wire::Writer;
use std::sync::atomic::{AtomicU64, Ordering};
use zeroize::Zeroizing;

/// Values in slots, as they travel: slot v stands for v − 2^offset_bits (v itself where that is 0).
pub struct Packed {
    pub slots: Slots,
    pub offset_bits: u32,
    pub ciphertexts: Residues,
}

/// What P1 needs to hide values from P2.
pub struct Masker<'a> {
    pub key: &'a PublicKey,
    /// How wide masks are, and how much may be shown under them.
    pub budget: &'a Budget,
    pub random: &'a Random,
    pub job: JobLabel,
    /// Ciphertexts that were re-randomised for the request that is being made.
    pub concealed: AtomicU64,
}

/// What the random parts of ciphertexts may be, which P2, who knows the factors of N, could read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RandomPart {
    /// h_s to an exponent below 2^bits.
    Below(u32),
    /// Powers of h_s.
    Ours,
    /// Anything: whoever made the ciphertexts may have chosen a part outside ⟨h_s⟩, which powers of h_s would leave there.
    Anything,
}

impl RandomPart {
    pub fn of(ciphertexts: &Ciphertexts) -> Self {
        match ciphertexts.is_refreshed() {
            true => Self::Ours,
            false => Self::Anything,
        }
    }
}

impl Masker<'_> {
    /// Starts a request.
    pub fn request(&self, operation: Operation) -> Writer {
        let (key, job) = (self.key.id(), self.job);
        let head = Head {
            operation,
            key,
            job,
        };
        head.write()
    }

    /// Statistical security of every mask, in bits.
    pub fn sigma(&self) -> u32 {
        self.budget.sigma
    }

    /// Bits of a mask for values of `bound` bits: with the offset, values span 2^(bound+1), and the
    /// sum hides them up to 2^−σ.
    pub fn mask_bits(&self, bound: u32) -> u32 {
        bound + 1 + self.sigma()
    }

    /// Fresh masks for values of `bound` bits.
    pub fn masks(&self, count: usize, bound: u32) -> Result<Limbs> {
        self.random.limbs(count, self.mask_bits(bound) as usize)
    }

    /// Packs E[x_i + 2^bound + mask_i], line by line, into slots of `slot_bits` bits.
    pub fn mask_packs(
        &self,
        packs: &Residues,
        slots: Slots,
        bound: u32,
        masks: &Limbs,
        random: RandomPart,
    ) -> Result<Packed> {
        let offset = wide::power_of_two(bound);
        let hidden = Zeroizing::new(
            (0..masks.rows())
                .map(|i| wide::from_row(masks.row(i)).wrapping_add(&offset))
                .collect::<Vec<_>>(),
        );
        self.conceal(packs, slots, &hidden, bound, random)
    }

    /// As [`Masker::mask_packs`] for values of their own ciphertexts, in one line of slots as
    /// narrow as they can be: bound + σ + 2 bits.
    pub fn mask(&self, values: &Ciphertexts, bound: u32, masks: &Limbs) -> Result<Packed> {
        let singles = values.singles("masking single values")?;
        let slots = self.slots(bound + self.sigma() + 2, 1, singles.len())?;
        let packs = gather_packs(singles, None, &slots);
        self.mask_packs(&packs, slots, bound, masks, RandomPart::of(values))
    }

    /// Whether the slots of a packed tensor have room for masks.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] with both widths, where they do not.
    pub fn check_room(&self, tensor: &EncryptedTensor) -> Result<()> {
        let Some(slots) = tensor.storage().slots() else {
            return Ok(());
        };
        let room = (slots.bits() as u32).saturating_sub(tensor.bound() + 2);
        match room < self.sigma() {
            false => Ok(()),
            true => Err(Error::invalid(format!(
                "this packed tensor has room for masks of {room} bits of statistical security, and P1's promise needs {}; \
                 encrypt it anew with room for these, or one value a ciphertext",
                self.sigma()
            ))),
        }
    }

    /// A layout in the plaintext space of the key.
    pub fn slots(&self, bits: u32, lines: usize, per_line: usize) -> Result<Slots> {
        Slots::new(self.key.bits(), bits, lines, per_line)
    }

    /// Adds clear values to packed ones, every sum in [0, 2^bits of a slot), and re-randomises: an exponent of σ bits
    /// more than that of the packs, or than the order of h_s, hides it as σ bits more hide a value. Of packs that
    /// anybody may have made, a uniform random part hides theirs.
    pub fn conceal(
        &self,
        packs: &Residues,
        slots: Slots,
        plain: &[Wide],
        offset_bits: u32,
        random: RandomPart,
    ) -> Result<Packed> {
        let order = self.key.order_bits();
        self.budget.spend(packs.len() as u64)?;
        (self.concealed).fetch_add(packs.len() as u64, Ordering::Relaxed);
        let plain = slots.pack(&rows(plain), self.key.modulus().width());
        let masked = packs.multiply(&self.key.embed(&plain));
        Ok(Packed {
            slots,
            offset_bits,
            ciphertexts: measure(Phase::Rerandomisation, masked.len(), || {
                let exponents = |bits| self.key.rerandomize(&masked, bits, self.random);
                match random {
                    RandomPart::Below(bits) => exponents(bits.min(order) + self.sigma()),
                    RandomPart::Ours => exponents(order + self.sigma()),
                    RandomPart::Anything => {
                        let zeros = self.key.uniform_zeros(masked.len(), self.random)?;
                        Ok(masked.multiply(&zeros))
                    }
                }
            })?,
        })
    }
}

/// Packs E[x_i·e_i] (E[x_i] without exponents) into the slots of a layout.
pub fn gather_packs(
    values: &Residues,
    exponents: Option<&exponentiation::Exponents<'_>>,
    slots: &Slots,
) -> Residues {
    exponentiation::pack(
        values,
        exponents,
        slots.bits(),
        slots.per_pack(),
        &slots.places(),
    )
}

/// Non-negative integers as rows of eight limbs.
pub fn rows(values: &[Wide]) -> Limbs {
    let mut out = Limbs::zeros(values.len(), wide::LIMBS);
    for (i, x) in values.iter().enumerate() {
        out.row_mut(i).copy_from_slice(x.as_words());
    }
    out
}

/// P2's side: the masked values, offset removed.
pub fn open(packed: &Packed, key: &PrivateKey) -> Result<Zeroizing<Vec<Wide>>> {
    Ok(unpack(packed, &decrypt(&packed.ciphertexts, key)?))
}

/// As [`open`] for several groups, whose ciphertexts are decrypted together: few at a time would
/// leave lanes and cores idle.
pub fn open_all(groups: &[&Packed], key: &PrivateKey) -> Result<Vec<Zeroizing<Vec<Wide>>>> {
    if groups.is_empty() {
        return Ok(vec![]);
    }
    let ciphertexts: Vec<_> = groups.iter().map(|group| &group.ciphertexts).collect();
    let plaintexts = decrypt(&Residues::concatenate(&ciphertexts), key)?;
    let mut rest = plaintexts.words();
    let values = groups.iter().map(|group| {
        let (own, others) = rest.split_at(group.ciphertexts.len() * plaintexts.width());
        rest = others;
        let own = Limbs::from_words(own.to_vec(), plaintexts.width());
        unpack(group, &own)
    });
    Ok(values.collect())
}

fn decrypt(ciphertexts: &Residues, key: &PrivateKey) -> Result<Limbs> {
    measure(Phase::Decryption, ciphertexts.len(), || {
        key.decrypt(ciphertexts)
    })
}

fn unpack(packed: &Packed, plaintexts: &Limbs) -> Zeroizing<Vec<Wide>> {
    let values = packed.slots.unpack(plaintexts);
    let offset = match packed.offset_bits {
        0 => Wide::ZERO,
        bits => wide::power_of_two(bits),
    };
    Zeroizing::new(
        (0..values.rows())
            .map(|i| wide::from_row(values.row(i)).wrapping_sub(&offset))
            .collect(),
    )
}
