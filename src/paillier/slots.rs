//! Slots: several small values in one plaintext, `Σ v_j · 2^(j·bits)`.

use crate::error::{Error, Result};
use crate::modular::{Limbs, add_shifted, copy_bits};

/// How values of `bits` bits are laid out over ciphertexts: line by line (the rows of a matrix, or
/// one line for everything), no ciphertext holding values of two lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    bits: usize,
    per_pack: usize,
    lines: usize,
    per_line: usize,
}

impl Slots {
    /// As few ciphertexts as a key of `key_bits` allows, (key_bits − 2) // bits values each, filled
    /// evenly. Slots wider than the plaintext are refused.
    pub fn new(key_bits: u32, bits: u32, lines: usize, per_line: usize) -> Result<Self> {
        let room = key_bits.saturating_sub(2);
        let most = (room / bits.max(1)) as usize;
        if most == 0 {
            return Err(Error::Bound {
                what: "a masked value in the plaintext space of this key",
                needed: bits,
                limit: room,
            });
        }
        let packs = per_line.div_ceil(most).max(1);
        Ok(Self {
            bits: bits as usize,
            per_pack: per_line.div_ceil(packs).max(1),
            lines,
            per_line,
        })
    }

    /// The same layout of another number of lines.
    pub fn with_lines(&self, lines: usize) -> Self {
        Self { lines, ..*self }
    }

    /// The same layout of some of the ciphertexts of every line.
    pub fn with_blocks(&self, blocks: std::ops::Range<usize>) -> Self {
        let [start, end] = [blocks.start, blocks.end].map(|b| self.per_line.min(b * self.per_pack));
        Self {
            per_line: end - start,
            ..*self
        }
    }

    /// Number of values.
    pub fn count(&self) -> usize {
        self.lines * self.per_line
    }

    /// Lines, and values in each.
    pub fn dimensions(&self) -> [usize; 2] {
        [self.lines, self.per_line]
    }

    /// Bits a slot.
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// Values in a full ciphertext.
    pub fn per_pack(&self) -> usize {
        self.per_pack
    }

    /// Ciphertexts of one line.
    pub fn packs_per_line(&self) -> usize {
        self.per_line.div_ceil(self.per_pack)
    }

    /// Number of ciphertexts.
    pub fn packs(&self) -> usize {
        self.lines * self.packs_per_line()
    }

    /// For each slot of each ciphertext the value that it holds; the last ciphertext of a line
    /// may have room left.
    pub fn places(&self) -> Vec<Option<usize>> {
        (0..self.packs())
            .flat_map(|g| {
                let (line, block) = (g / self.packs_per_line(), g % self.packs_per_line());
                let start = block * self.per_pack;
                (start..start + self.per_pack)
                    .map(move |at| (at < self.per_line).then_some(line * self.per_line + at))
            })
            .collect()
    }

    /// Packs clear values, each below `2^bits`, into plaintexts of `width` limbs.
    pub fn pack(&self, values: &Limbs, width: usize) -> Limbs {
        assert_eq!(values.rows(), self.count());
        let mut out = Limbs::zeros(self.packs(), width);
        for (at, place) in self.places().into_iter().enumerate() {
            if let Some(i) = place {
                let offset = at % self.per_pack * self.bits;
                add_shifted(out.row_mut(at / self.per_pack), values.row(i), offset);
            }
        }
        out
    }

    /// The values again, as rows of ⌈bits/64⌉ limbs.
    pub fn unpack(&self, plaintexts: &Limbs) -> Limbs {
        assert_eq!(plaintexts.rows(), self.packs());
        let mut out = Limbs::zeros(self.count(), self.bits.div_ceil(64));
        for (at, place) in self.places().into_iter().enumerate() {
            if let Some(i) = place {
                let (pack, offset) = (at / self.per_pack, at % self.per_pack * self.bits);
                copy_bits(out.row_mut(i), plaintexts.row(pack), offset, self.bits);
            }
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
        for (key_bits, bits, lines, per_line) in [
            (128, 20, 1, 1),
            (128, 63, 1, 5),
            (128, 20, 7, 9),
            (2048, 120, 3, 40),
            (256, 1, 1, 700),
        ] {
            let slots = Slots::new(key_bits, bits, lines, per_line).unwrap();
            let values = Random::os().limbs(slots.count(), bits as usize).unwrap();
            let packed = slots.pack(&values, key_bits as usize / 64);
            assert!(slots.per_pack() * bits as usize <= key_bits as usize - 2);
            assert_eq!(slots.unpack(&packed), values);
            let placed: Vec<_> = slots.places().into_iter().flatten().collect();
            assert_eq!(placed, (0..slots.count()).collect::<Vec<_>>());
        }
        let parts = [(0..1, 14), (0..2, 28), (1..3, 26), (2..3, 12), (0..0, 0)];
        for (blocks, values) in parts {
            let part = Slots::new(2048, 120, 3, 40)
                .unwrap()
                .with_blocks(blocks.clone());
            assert_eq!(part.dimensions(), [3, values]);
            assert_eq!(part.packs(), 3 * blocks.len());
        }
        // 40 values at 17 a ciphertext: three packs of 14, not two of 17 and one of 6.
        let even = Slots::new(2048, 120, 1, 40).unwrap();
        assert_eq!((even.per_pack(), even.packs()), (14, 3));
        assert!(Slots::new(128, 127, 1, 1).is_err());
    }
}
