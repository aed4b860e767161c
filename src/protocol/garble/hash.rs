//! The hash of labels, and which tweak comes next.

use super::super::transfer::Nonce;
use super::{LANES, Wire};
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Block};
use sha2::{Digest, Sha256};
use std::array::from_fn;
use zeroize::Zeroizing;

/// Tweaks of one value: 2^10, more than the 6w that its gates take.
const VALUE_TWEAK_BITS: u32 = 10;

/// π(π(x) ⊕ i) ⊕ π(x). Both π and where the tweaks i start follow from the nonce.
pub struct Hash {
    permutation: Aes128Enc,
    start: u128,
}

impl Hash {
    pub fn new(nonce: &Nonce) -> Self {
        let digest = Sha256::new_with_prefix(b"smlp garbling v1")
            .chain_update(nonce)
            .finalize();
        let digest: [u8; 32] = digest.into();
        let [key, start] = from_fn(|i| from_fn::<u8, 16, _>(|j| digest[16 * i + j]));
        Self {
            permutation: Aes128Enc::new(&key.into()),
            start: u128::from_le_bytes(start),
        }
    }

    /// Hashes wires, each under the tweak of its gate.
    pub fn labels<const N: usize>(&self, wires: [&Wire; N], tweaks: [Tweak; N]) -> [Wire; N] {
        let mut once = wires.map(|wire| wire.map(block));
        self.permutation.encrypt_blocks(once.as_flattened_mut());
        let once = once.map(|blocks| blocks.map(word));
        let mut twice: [[Block; LANES]; N] = from_fn(|n| {
            let first = self.start.wrapping_add(tweaks[n].0);
            from_fn(|l| block(once[n][l] ^ first.wrapping_add((l as u128) << VALUE_TWEAK_BITS)))
        });
        self.permutation.encrypt_blocks(twice.as_flattened_mut());
        from_fn(|n| from_fn(|l| word(twice[n][l]) ^ once[n][l]))
    }

    /// For each wire, enough hashes to hide `len` bytes a value. The wires are one wire's two labels,
    /// so they may have their tweaks in common.
    pub fn pads<const N: usize>(
        &self,
        wires: [&Wire; N],
        len: usize,
        tweaks: &mut Tweaks,
    ) -> Zeroizing<[Vec<Wire>; N]> {
        let blocks = len.div_ceil(16);
        let mut pads = Zeroizing::new(from_fn(|_| Vec::with_capacity(blocks)));
        for _ in 0..blocks {
            let tweak = tweaks.take();
            for (pads, pad) in pads.iter_mut().zip(self.labels(wires, [tweak; N])) {
                pads.push(pad);
            }
        }
        pads
    }
}

/// The tweak of a gate in the first value of a group; those of the others follow from it.
#[derive(Clone, Copy)]
pub struct Tweak(u128);

/// Counts the tweaks of a group of values.
pub struct Tweaks {
    first: u128,
    used: u128,
}

impl Tweaks {
    pub fn of_group(first_value: usize) -> Self {
        Self {
            first: (first_value as u128) << VALUE_TWEAK_BITS,
            used: 0,
        }
    }

    pub fn take(&mut self) -> Tweak {
        debug_assert!(
            self.used >> VALUE_TWEAK_BITS == 0,
            "tweaks of the next value"
        );
        self.used += 1;
        Tweak(self.first + self.used - 1)
    }
}

fn block(word: u128) -> Block {
    word.to_le_bytes().into()
}

fn word(block: Block) -> u128 {
    u128::from_le_bytes(block.0)
}
