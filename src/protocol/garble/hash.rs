//! The hash of labels, and the keys that it runs under.
//!
//! H(k, x) = π_k(σ(x)) ⊕ σ(x) of Guo, Katz, Wang, Weng and Yu (*Better concrete security for half-gates garbling*,
//! CRYPTO 2020), π being AES and σ(a ‖ b) = (a ⊕ b) ‖ a. Without σ, one inverse of AES would give Δ away where a
//! hash hides x ⊕ Δ ⊕ Δ.
//!
//! Every half gate has a key of its own, for the [`super::LANES`] values that go through it together: AES of its place
//! (group of values, number there) under a key that the nonces of both parties give. AES is a permutation, so no key
//! comes twice in a circuit. For whoever sees q hashes and computes AES p times under keys of his choice, the paper
//! bounds the advantage by (2μp + (μ − 1)q)/2^127 in the ideal cipher model, Δ having 127 random bits, μ labels
//! x ⊕ Δ being hashed under one key. With μ = 64 that is 2^−120 for each AES, however many values and circuits
//! share a Δ. Were one key to serve a whole circuit, μ would be the number of its half gates, 2^24 and more. A key for each value
//! would win six bits and cost a key schedule for each.

use super::{Nonces, Wire};
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Block};
use sha2::{Digest, Sha256};
use std::array::from_fn;
use zeroize::Zeroizing;

/// The keys of one circuit.
pub struct Keys(Aes128Enc);

impl Keys {
    pub fn new(nonces: &Nonces) -> Self {
        let digest = Sha256::new_with_prefix(b"smlp garbling v2")
            .chain_update(nonces.transfer)
            .chain_update(nonces.garbling)
            .finalize();
        let key: [u8; 16] = from_fn(|i| digest[i]);
        Self(Aes128Enc::new(&key.into()))
    }
}

/// Hashes of one group of values, each under the next key.
pub struct Hashes<'a> {
    keys: &'a Keys,
    group: u64,
    used: u64,
}

impl<'a> Hashes<'a> {
    pub fn new(keys: &'a Keys, group: usize) -> Self {
        Self {
            keys,
            group: group as u64,
            used: 0,
        }
    }

    fn next_key(&mut self) -> Aes128Enc {
        let place = u128::from(self.group) << 64 | u128::from(self.used);
        self.used += 1;
        let mut key = block(place);
        self.keys.0.encrypt_block(&mut key);
        Aes128Enc::new(&key)
    }

    /// Hashes wires under one key: a wire, or both labels of one.
    pub fn labels<const N: usize>(&mut self, wires: [&Wire; N]) -> [Wire; N] {
        let mixed = wires.map(|wire| wire.map(sigma));
        let mut blocks = mixed.map(|wire| wire.map(block));
        self.next_key().encrypt_blocks(blocks.as_flattened_mut());
        from_fn(|n| from_fn(|l| word(blocks[n][l]) ^ mixed[n][l]))
    }

    /// For each wire, enough hashes to hide `len` bytes a value. The wires are one wire's labels.
    pub fn pads<const N: usize>(
        &mut self,
        wires: [&Wire; N],
        len: usize,
    ) -> Zeroizing<[Vec<Wire>; N]> {
        let blocks = len.div_ceil(16);
        let mut pads = Zeroizing::new(from_fn(|_| Vec::with_capacity(blocks)));
        for _ in 0..blocks {
            for (pads, pad) in pads.iter_mut().zip(self.labels(wires)) {
                pads.push(pad);
            }
        }
        pads
    }
}

/// A linear orthomorphism: x ↦ σ(x) and x ↦ σ(x) ⊕ x are both permutations.
fn sigma(x: u128) -> u128 {
    let (high, low) = (x >> 64, x & u128::from(u64::MAX));
    (high ^ low) << 64 | high
}

fn block(word: u128) -> Block {
    word.to_le_bytes().into()
}

fn word(block: Block) -> u128 {
    u128::from_le_bytes(block.0)
}

#[cfg(test)]
mod tests {
    use super::super::LANES;
    use super::*;

    #[test]
    fn sigma_is_a_linear_orthomorphism() {
        let samples = [
            0,
            1,
            1 << 64,
            u128::MAX,
            0x1234_5678_9abc_def0_0fed_cba9 << 13,
        ];
        for x in samples {
            for y in samples {
                assert_eq!(sigma(x ^ y), sigma(x) ^ sigma(y));
            }
            // σ³ = 1, so σ is invertible; σ(x) ⊕ x = σ²(x) is, too.
            assert_eq!(sigma(sigma(sigma(x))), x);
            assert_eq!(sigma(x) ^ x, sigma(sigma(x)));
        }
    }

    #[test]
    fn keys_follow_from_both_nonces_and_from_the_place() {
        let nonces = Nonces {
            transfer: [1; 16],
            garbling: [2; 16],
        };
        let wire: Wire = from_fn(|l| l as u128);
        let first = |nonces: &Nonces, group: usize, skip: usize| {
            let keys = Keys::new(nonces);
            let mut hashes = Hashes::new(&keys, group);
            for _ in 0..skip {
                hashes.labels([&wire]);
            }
            hashes.labels([&wire])[0]
        };
        let other_transfer = Nonces {
            transfer: [3; 16],
            ..nonces
        };
        let other_garbling = Nonces {
            garbling: [3; 16],
            ..nonces
        };
        let all = [
            first(&nonces, 0, 0),
            first(&nonces, 0, 1),
            first(&nonces, 1, 0),
            first(&other_transfer, 0, 0),
            first(&other_garbling, 0, 0),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|b| (0..LANES).all(|l| a[l] != b[l])));
        }
        assert_eq!(all[0], first(&nonces, 0, 0));
    }
}
