//! Slots: several small values in one plaintext, `Σ v_j · 2^(j·bits)`.

use crate::error::{Error, Result};
use crate::modular::{Limbs, add_shifted, copy_bits};

/// How `count` values of `bits` bits are laid out over ciphertexts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    bits: usize,
    per_pack: usize,
    count: usize,
}

impl Slots {
    /// As few ciphertexts as a key of `key_bits` allows, (key_bits − 2) // bits values each, filled
    /// evenly. Slots wider than the plaintext are refused.
    pub fn new(key_bits: u32, bits: u32, count: usize) -> Result<Self> {
        let room = key_bits.saturating_sub(2);
        let most = (room / bits.max(1)) as usize;
        if most == 0 {
            return Err(Error::Bound {
                what: "a masked value in the plaintext space of this key",
                needed: bits,
                limit: room,
            });
        }
        let packs = count.div_ceil(most).max(1);
        Ok(Self {
            bits: bits as usize,
            per_pack: count.div_ceil(packs).max(1),
            count,
        })
    }

    /// Number of values.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Bits a slot.
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// Values in a full ciphertext.
    pub fn per_pack(&self) -> usize {
        self.per_pack
    }

    /// Number of ciphertexts.
    pub fn packs(&self) -> usize {
        self.count.div_ceil(self.per_pack)
    }

    /// Packs clear values, each below `2^bits`, into plaintexts of `width` limbs.
    pub fn pack(&self, values: &Limbs, width: usize) -> Limbs {
        assert_eq!(values.rows(), self.count);
        let mut out = Limbs::zeros(self.packs(), width);
        for i in 0..self.count {
            let offset = i % self.per_pack * self.bits;
            add_shifted(out.row_mut(i / self.per_pack), values.row(i), offset);
        }
        out
    }

    /// The values again, as rows of ⌈bits/64⌉ limbs.
    pub fn unpack(&self, plaintexts: &Limbs) -> Limbs {
        assert_eq!(plaintexts.rows(), self.packs());
        let mut out = Limbs::zeros(self.count, self.bits.div_ceil(64));
        for i in 0..self.count {
            let offset = i % self.per_pack * self.bits;
            copy_bits(
                out.row_mut(i),
                plaintexts.row(i / self.per_pack),
                offset,
                self.bits,
            );
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn what_is_packed_is_unpacked() {
        for (key_bits, bits, count) in [(128, 20, 1), (128, 63, 5), (2048, 120, 40), (256, 1, 700)]
        {
            let slots = Slots::new(key_bits, bits, count).unwrap();
            let values = Random::os().limbs(count, bits as usize).unwrap();
            let packed = slots.pack(&values, key_bits as usize / 64);
            assert!(slots.per_pack() * bits as usize <= key_bits as usize - 2);
            assert_eq!(slots.unpack(&packed), values);
        }
        // 40 values at 17 a ciphertext: three packs of 14, not two of 17 and one of 6.
        let even = Slots::new(2048, 120, 40).unwrap();
        assert_eq!((even.per_pack(), even.packs()), (14, 3));
        assert!(Slots::new(128, 127, 1).is_err());
    }
}
