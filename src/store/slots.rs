//! The table behind references.
//!
//! A reference is a positive 64-bit integer: bit 62 is set, bits 32 to 61 hold a tag, bits 0 to 31
//! the index of a slot. The tag changes each time that a slot is filled anew and does not come back
//! for 2^30 times, so a reference to what was freed is noticed. The first tag of a slot is random, so
//! references of another store, references that were computed with, and numbers that are none pass
//! with a probability of 2^−30 each.

use crate::error::{Error, Result};
use crate::paillier::KeyId;
use crate::random::Random;

/// What is not below this is a reference, if anything.
pub(super) const FIRST_REFERENCE: i64 = 1 << 62;
const TAG_BITS: u32 = 30;
/// Odd, so that its multiples modulo 2^30 are distinct.
const TAG_STEP: u32 = 0x2545_F491;
/// Bytes that have to be added before a sweep pays.
const LEAST_GROWTH: usize = 16 << 20;
/// A slot is freed when it was not marked in so many sweeps on end.
const STRIKES: u8 = 2;

struct Slot {
    tag: u32,
    filled: Option<Filled>,
}

struct Filled {
    key: u32,
    limbs: Box<[u64]>,
    pins: u32,
    marked: bool,
    strikes: u8,
}

#[derive(Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
    keys: Vec<KeyId>,
    /// Bytes of ciphertexts now, and when the next sweep is due.
    bytes: usize,
    due: Option<usize>,
}

impl Slots {
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn is_due(&self) -> bool {
        self.bytes >= self.due.unwrap_or(LEAST_GROWTH)
    }

    /// A new reference for each row of `width` limbs.
    pub(super) fn put(
        &mut self,
        key: KeyId,
        limbs: &[u64],
        width: usize,
        random: &Random,
    ) -> Result<Vec<i64>> {
        let key = self.number_of(key);
        let rows = limbs.len() / width;
        let fresh = rows.saturating_sub(self.free.len());
        Error::check_limit(
            "ciphertexts in a store",
            self.slots.len().saturating_add(fresh),
            u32::MAX as usize,
        )?;
        let tags = random.limbs(fresh, TAG_BITS as usize)?;
        for i in 0..fresh {
            self.free.push(self.slots.len() as u32);
            self.slots.push(Slot {
                tag: tags.row(i)[0] as u32,
                filled: None,
            });
        }
        self.bytes += 8 * limbs.len();
        let references = limbs.chunks_exact(width).map(|row| {
            let index = self.free.pop().expect("as many as rows");
            let slot = &mut self.slots[index as usize];
            slot.tag = slot.tag.wrapping_add(TAG_STEP) % (1 << TAG_BITS);
            slot.filled = Some(Filled {
                key,
                limbs: row.into(),
                pins: 0,
                marked: false,
                strikes: 0,
            });
            FIRST_REFERENCE | i64::from(slot.tag) << 32 | i64::from(index)
        });
        Ok(references.collect())
    }

    /// Appends the ciphertext behind a reference to `out`.
    pub(super) fn get(&self, word: i64, key: KeyId, out: &mut Vec<u64>) -> Result<()> {
        let filled = self.find(word).ok_or_else(|| stale(word))?;
        let owner = self.keys[filled.key as usize];
        if owner != key {
            return Err(Error::KeyMismatch {
                left: owner,
                right: key,
            });
        }
        out.extend_from_slice(&filled.limbs);
        Ok(())
    }

    pub(super) fn mark(&mut self, words: &[i64]) {
        for &word in words {
            if let Some(filled) = self.find_mut(word) {
                filled.marked = true;
            }
        }
    }

    pub(super) fn sweep(&mut self) -> usize {
        let (mut freed, mut used_bytes) = (0, 0);
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let Some(filled) = &mut slot.filled else {
                continue;
            };
            let used = std::mem::take(&mut filled.marked) || filled.pins > 0;
            filled.strikes = if used { 0 } else { filled.strikes + 1 };
            let bytes = 8 * filled.limbs.len();
            if used {
                used_bytes += bytes;
            } else if filled.strikes >= STRIKES {
                self.bytes -= bytes;
                slot.filled = None;
                self.free.push(index as u32);
                freed += 1;
            }
        }
        self.due = Some(self.bytes + LEAST_GROWTH.max(used_bytes / 2));
        freed
    }

    pub(super) fn pin(&mut self, word: i64) -> Result<()> {
        let filled = self.find_mut(word).ok_or_else(|| stale(word))?;
        filled.pins += 1;
        Ok(())
    }

    pub(super) fn unpin(&mut self, word: i64) -> Result<()> {
        let filled = self.find_mut(word).ok_or_else(|| stale(word))?;
        filled.pins = filled
            .pins
            .checked_sub(1)
            .ok_or_else(|| Error::invalid(format!("reference {word} is not pinned")))?;
        Ok(())
    }

    fn number_of(&mut self, key: KeyId) -> u32 {
        let known = self.keys.iter().position(|&known| known == key);
        known.unwrap_or_else(|| {
            self.keys.push(key);
            self.keys.len() - 1
        }) as u32
    }

    fn find(&self, word: i64) -> Option<&Filled> {
        let slot = self.slots.get(place(word)?)?;
        (tag(word) == slot.tag).then_some(slot.filled.as_ref())?
    }

    fn find_mut(&mut self, word: i64) -> Option<&mut Filled> {
        let slot = self.slots.get_mut(place(word)?)?;
        (tag(word) == slot.tag).then_some(slot.filled.as_mut())?
    }
}

fn place(word: i64) -> Option<usize> {
    (word >= FIRST_REFERENCE).then_some(word as u32 as usize)
}

fn tag(word: i64) -> u32 {
    (word >> 32) as u32 % (1 << TAG_BITS)
}

fn stale(word: i64) -> Error {
    Error::Finished(format!(
        "{word} is no reference to a ciphertext, or no longer: its ciphertext was freed because no \
         tensor held the reference, it is of another process, or somebody computed with it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: KeyId = KeyId([1; 32]);

    fn put(slots: &mut Slots, values: &[u64]) -> Vec<i64> {
        slots.put(KEY, values, 1, &Random::os()).unwrap()
    }

    fn get(slots: &Slots, word: i64) -> Option<u64> {
        let mut out = Vec::new();
        slots.get(word, KEY, &mut out).ok()?;
        Some(out[0])
    }

    #[test]
    fn what_is_marked_or_pinned_stays() {
        let mut slots = Slots::default();
        let words = put(&mut slots, &[10, 11, 12]);
        assert!(words.iter().all(|&w| w >= FIRST_REFERENCE));
        slots.pin(words[2]).unwrap();
        for _ in 0..5 {
            slots.mark(&[words[0], 5, -7, i64::MAX]);
            slots.sweep();
        }
        assert_eq!(slots.len(), 2);
        assert_eq!(
            [0, 1, 2].map(|i| get(&slots, words[i])),
            [Some(10), None, Some(12)]
        );
        slots.unpin(words[2]).unwrap();
        assert!(slots.unpin(words[2]).is_err());
        assert_eq!((slots.sweep(), slots.sweep()), (0, 2));
        assert!(slots.pin(words[0]).is_err());
        assert_eq!(slots.bytes, 0);
    }

    #[test]
    fn one_sweep_alone_frees_nothing() {
        let mut slots = Slots::default();
        let words = put(&mut slots, &[1]);
        assert_eq!(slots.sweep(), 0);
        slots.mark(&words);
        assert_eq!((slots.sweep(), slots.sweep()), (0, 0), "one strike each");
        assert_eq!(slots.sweep(), 1);
    }

    #[test]
    fn a_slot_filled_anew_refuses_its_old_references() {
        let mut slots = Slots::default();
        let mut old = Vec::new();
        for round in 0..1000u64 {
            let word = put(&mut slots, &[round])[0];
            assert_eq!(slots.slots.len(), 1, "the slot is used again");
            assert!(!old.contains(&word));
            assert!(old.iter().all(|&w| get(&slots, w).is_none()));
            assert_eq!(get(&slots, word), Some(round));
            old.push(word);
            slots.sweep();
            slots.sweep();
        }
    }

    #[test]
    fn arithmetic_on_references_and_other_stores_are_noticed() {
        let (mut slots, mut other) = (Slots::default(), Slots::default());
        let words = put(&mut slots, &[1, 2, 3, 4, 5, 6, 7, 8]);
        let foreign = put(&mut other, &[1, 2, 3, 4, 5, 6, 7, 8]);
        for (&word, &theirs) in words.iter().zip(&foreign) {
            for wrong in [word + 1, word - 1, word ^ 1, word ^ (1 << 40)] {
                assert!(words.contains(&wrong) || get(&slots, wrong).is_none());
            }
            assert!(words.contains(&theirs) || get(&slots, theirs).is_none());
        }
        let mut out = Vec::new();
        let error = slots.get(words[0], KeyId([2; 32]), &mut out).unwrap_err();
        assert!(matches!(error, Error::KeyMismatch { .. }));
    }

    #[test]
    fn sweeps_are_due_after_growth() {
        let mut slots = Slots::default();
        let rows = vec![7u64; LEAST_GROWTH / 8];
        assert!(!slots.is_due());
        let words = slots.put(KEY, &rows, 1024, &Random::os()).unwrap();
        assert!(slots.is_due());
        slots.mark(&words);
        slots.sweep();
        assert!(!slots.is_due());
        put(&mut slots, &[1]);
        assert!(!slots.is_due());
        slots.put(KEY, &rows, 1024, &Random::os()).unwrap();
        assert!(slots.is_due());
    }
}
