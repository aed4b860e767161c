//! Batches in memory: groups of eight numbers, limb after limb, one number a lane; and the way to
//! there and back, from 64-bit limbs number after number.
//!
//! Everything is laid out like this, tables of powers too. A table whose rows follow each other is
//! then a run of groups whose *lanes are rows*, which is what a permutation needs to pick rows for
//! all lanes at once (`kernels::Cpu::select`): sixteen rows cost two loads and a permutation a
//! limb, where a scan of number-after-number rows costs sixteen masked loads. The price is that
//! `gather` moves single lanes unless whole groups stay together.

use super::kernels::{LANES, LIMB_BITS, Vector};
use std::ops::{Deref, DerefMut};

/// Vectors that are cleared on drop.
#[derive(Default)]
pub struct Vectors(Vec<Vector>);

impl Vectors {
    pub fn zeros(count: usize) -> Self {
        Self(vec![Vector::ZERO; count])
    }
}

impl Deref for Vectors {
    type Target = [Vector];
    fn deref(&self) -> &[Vector] {
        &self.0
    }
}

impl DerefMut for Vectors {
    fn deref_mut(&mut self) -> &mut [Vector] {
        &mut self.0
    }
}

impl Drop for Vectors {
    fn drop(&mut self) {
        self.0.fill(Vector::ZERO);
        zeroize::optimization_barrier(&self.0[..]);
    }
}

/// `count` numbers of `limbs` limbs, in groups of [`LANES`]. Lanes past the end hold some residue
/// that nobody reads.
pub struct Batch {
    pub count: usize,
    limbs: usize,
    vectors: Vectors,
}

impl Batch {
    pub fn zeros(count: usize, limbs: usize) -> Self {
        Self {
            count,
            limbs,
            vectors: Vectors::zeros(count.div_ceil(LANES) * limbs),
        }
    }

    /// `count` times the number in every lane of `group`.
    pub fn repeat(count: usize, group: &[Vector]) -> Self {
        let mut out = Self::zeros(count, group.len());
        for copy in out.groups_mut() {
            copy.copy_from_slice(group);
        }
        out
    }

    /// All groups, one after the other.
    pub fn vectors(&self) -> &[Vector] {
        &self.vectors
    }

    pub fn groups(&self) -> std::slice::ChunksExact<'_, Vector> {
        self.vectors.chunks_exact(self.limbs)
    }

    pub fn groups_mut(&mut self) -> std::slice::ChunksExactMut<'_, Vector> {
        self.vectors.chunks_exact_mut(self.limbs)
    }

    /// All groups, up to `count` at a time.
    pub fn some_groups_mut(&mut self, count: usize) -> std::slice::ChunksMut<'_, Vector> {
        self.vectors.chunks_mut(count * self.limbs)
    }

    /// The numbers at `places`, each in one of several batches.
    pub fn collect(places: &[(&Self, usize)], limbs: usize) -> Self {
        let mut out = Self::zeros(places.len(), limbs);
        for (group, places) in out.groups_mut().zip(places.chunks(LANES)) {
            let (batch, first) = places[0];
            assert!(places.iter().all(|&(b, i)| i < b.count && b.limbs == limbs));
            let whole = |offset: usize| &batch.vectors[(first / LANES + offset) * limbs..][..limbs];
            let together = places
                .iter()
                .enumerate()
                .all(|(j, &(b, i))| std::ptr::eq(b, batch) && i == first + j);
            if together && first.is_multiple_of(LANES) {
                group.copy_from_slice(whole(0));
            } else if together {
                // A window over two groups. (Lanes past the end take what the second has there.)
                let shift = first % LANES;
                let low = whole(0);
                let high = if shift + places.len() > LANES {
                    whole(1)
                } else {
                    low
                };
                for ((out, low), high) in group.iter_mut().zip(low).zip(high) {
                    for j in 0..LANES {
                        let from = if shift + j < LANES { low } else { high };
                        out.0[j] = from.0[(shift + j) % LANES];
                    }
                }
            } else {
                // Lanes past the end repeat the first.
                let sources: [&[Vector]; LANES] = std::array::from_fn(|j| {
                    let (batch, i) = places[if j < places.len() { j } else { 0 }];
                    &batch.vectors[i / LANES * limbs..][..limbs]
                });
                let lanes: [usize; LANES] =
                    std::array::from_fn(|j| places[if j < places.len() { j } else { 0 }].1 % LANES);
                for (l, out) in group.iter_mut().enumerate() {
                    for j in 0..LANES {
                        out.0[j] = sources[j][l].0[lanes[j]];
                    }
                }
            }
        }
        out
    }
}

/// Writes a number of 64-bit limbs into a lane of `group`, as 52-bit limbs. It fits.
pub fn split(words: &[u64], group: &mut [Vector], lane: usize) {
    let (mut pending, mut bits) = (0u128, 0);
    let mut words = words.iter();
    for vector in group {
        if bits < LIMB_BITS {
            pending |= u128::from(words.next().copied().unwrap_or(0)) << bits;
            bits += 64;
        }
        vector.0[lane] = pending as u64 & ((1 << LIMB_BITS) - 1);
        pending >>= LIMB_BITS;
        bits -= LIMB_BITS;
    }
    debug_assert!(pending == 0 && words.all(|&w| w == 0));
}

/// Reads a lane of `group` into 64-bit limbs. It fits.
pub fn unite(group: &[Vector], lane: usize, words: &mut [u64]) {
    let (mut pending, mut bits) = (0u128, 0);
    let mut words = words.iter_mut();
    for vector in group {
        pending |= u128::from(vector.0[lane]) << bits;
        bits += LIMB_BITS;
        if bits >= 64 {
            match words.next() {
                Some(word) => *word = pending as u64,
                None => debug_assert_eq!(pending as u64, 0),
            }
            pending >>= 64;
            bits -= 64;
        }
    }
    for word in words {
        *word = pending as u64;
        pending >>= 64;
    }
    debug_assert_eq!(pending, 0);
}
