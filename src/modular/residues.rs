//! [`Residues`]: a batch of numbers modulo one number, canonical and in the backend's form, each
//! made from the other when it is first needed.

use super::{Block, Ring, get_or_make, integer_from_limbs, less_than, limbs_of};
use crate::error::{Error, Result};
use crate::parallel;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use zeroize::Zeroizing;

/// A batch of `len` numbers modulo `ring().modulus()`.
pub struct Residues {
    ring: Arc<dyn Ring>,
    len: usize,
    canonical: OnceLock<Zeroizing<Vec<u64>>>,
    block: OnceLock<Block>,
}

impl Residues {
    /// From canonical limbs, `ring.modulus().width()` each. A number that is not below the modulus
    /// is refused with its index.
    pub fn from_limbs(ring: &Arc<dyn Ring>, limbs: Vec<u64>) -> Result<Self> {
        let (width, limbs) = (ring.modulus().width(), Zeroizing::new(limbs));
        if !limbs.len().is_multiple_of(width) {
            return Err(Error::malformed(
                "residues",
                format!("{} limbs are no multiple of {width}", limbs.len()),
            ));
        }
        let modulus = ring.modulus().limbs();
        if let Some(i) = limbs
            .chunks_exact(width)
            .position(|x| !less_than(x, modulus))
        {
            return Err(Error::malformed(
                "residues",
                format!("number {i} is not below the modulus"),
            ));
        }
        Ok(Self {
            ring: ring.clone(),
            len: limbs.len() / width,
            canonical: OnceLock::from(limbs),
            block: OnceLock::new(),
        })
    }

    /// From a block of `len` numbers that `ring` made.
    pub(super) fn from_block(ring: &Arc<dyn Ring>, len: usize, block: Block) -> Self {
        Self {
            ring: ring.clone(),
            len,
            canonical: OnceLock::new(),
            block: OnceLock::from(block),
        }
    }

    /// `count` ones.
    pub fn ones(ring: &Arc<dyn Ring>, count: usize) -> Self {
        Self::from_block(ring, count, ring.ones(count))
    }

    /// Number of numbers.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The ring that computes on them.
    pub fn ring(&self) -> &Arc<dyn Ring> {
        &self.ring
    }

    /// Canonical little-endian limbs, number after number.
    pub fn limbs(&self) -> &[u64] {
        self.canonical.get_or_init(|| {
            let block = self.block.get().expect("one form is always present");
            Zeroizing::new(self.ring.leave(block))
        })
    }

    /// Canonical limbs of one number.
    pub fn row(&self, i: usize) -> &[u64] {
        let width = self.ring.modulus().width();
        &self.limbs()[i * width..(i + 1) * width]
    }

    /// The backend's form.
    pub(super) fn block(&self) -> &Block {
        get_or_make(&self.block, || {
            let limbs = self.canonical.get().expect("one form is always present");
            let width = self.ring.modulus().width();
            let parts: Vec<_> = parallel::over(pieces(&self.ring, self.ring.grain(), self.len))
                .map(|r| self.ring.enter(&limbs[r.start * width..r.end * width]))
                .collect();
            self.ring.join(&parts.iter().collect::<Vec<_>>())
        })
    }

    /// The numbers at `indices`, repeats allowed.
    pub fn gather(&self, indices: &[usize]) -> Self {
        Self::from_block(
            &self.ring,
            indices.len(),
            self.ring.gather(self.block(), indices),
        )
    }

    /// All numbers of all parts; all of one ring.
    pub fn concatenate(parts: &[&Self]) -> Self {
        let ring = parts[0].ring();
        let blocks: Vec<_> = parts.iter().map(|p| p.block()).collect();
        Self::from_block(ring, parts.iter().map(|p| p.len).sum(), ring.join(&blocks))
    }

    /// Runs `piece` on ranges of `0..len`, in parallel, and joins the blocks that come back.
    pub(super) fn in_pieces(
        ring: &Arc<dyn Ring>,
        len: usize,
        piece: impl Fn(Range<usize>) -> Block + Sync + Send,
    ) -> Self {
        Self::in_grains(ring, ring.grain(), len, piece)
    }

    /// As [`Residues::in_pieces`], of at most `grain` numbers.
    pub(super) fn in_grains(
        ring: &Arc<dyn Ring>,
        grain: usize,
        len: usize,
        piece: impl Fn(Range<usize>) -> Block + Sync + Send,
    ) -> Self {
        let pieces = pieces(ring, grain, len);
        let parts: Vec<_> = parallel::over(pieces).map(piece).collect();
        let block = match parts.len() {
            1 => parts.into_iter().next().expect("one piece"),
            _ => ring.join(&parts.iter().collect::<Vec<_>>()),
        };
        Self::from_block(ring, len, block)
    }

    /// Element-wise product of two batches of one length.
    pub fn multiply(&self, other: &Self) -> Self {
        assert_eq!(self.len, other.len);
        // Before the pieces, which would each make a block that is not there yet.
        let (ring, a, b) = (&self.ring, self.block(), other.block());
        Self::in_pieces(ring, self.len, |range| {
            let indices: Vec<_> = range.collect();
            let mut x = ring.gather(a, &indices);
            ring.multiply(&mut x, &ring.gather(b, &indices));
            x
        })
    }

    /// Every number to the power 2^`times`.
    pub fn square(&self, times: usize) -> Self {
        let (ring, block) = (&self.ring, self.block());
        Self::in_pieces(ring, self.len, |range| {
            let mut x = ring.gather(block, &range.collect::<Vec<_>>());
            ring.square(&mut x, times);
            x
        })
    }

    /// `out[k] = Π_t self[indices[k·width + t]]` over `t < width`; an empty product is 1.
    pub fn products(&self, indices: &[usize], width: usize) -> Self {
        if width == 0 {
            return Self::ones(&self.ring, 0);
        }
        if self.ring.whole() {
            return super::program::products(self, indices, width);
        }
        // Halve the width until one column is left, so that even a single long product is made of
        // wide batches.
        let outputs = indices.len() / width;
        let mut current = self.gather(indices);
        let mut width = width;
        while width > 1 {
            let half = width / 2;
            let columns = |from: usize, count: usize| -> Vec<usize> {
                (0..outputs)
                    .flat_map(|k| (from..from + count).map(move |t| k * width + t))
                    .collect()
            };
            let product = current
                .gather(&columns(0, half))
                .multiply(&current.gather(&columns(half, half)));
            current = if width.is_multiple_of(2) {
                product
            } else {
                // The odd column out stays beside each row of products.
                let rest = current.gather(&columns(width - 1, 1));
                let interleaved: Vec<usize> = (0..outputs)
                    .flat_map(|k| {
                        (0..half)
                            .map(move |t| k * half + t)
                            .chain([outputs * half + k])
                    })
                    .collect();
                Self::concatenate(&[&product, &rest]).gather(&interleaved)
            };
            width = width.div_ceil(2);
        }
        current
    }

    /// Inverses of all numbers, by Montgomery's trick on a tree of products: three multiplications
    /// each and a single inversion, blinded by a random factor so that its time tells nothing.
    ///
    /// A number that has no inverse is an error: no ciphertext is of this kind.
    pub fn invert(&self) -> Result<Self> {
        match self.len {
            0 => return Ok(Self::ones(&self.ring, 0)),
            1 => {
                let inverse = invert_blinded(&self.ring, self.block())?;
                return Ok(Self::from_block(&self.ring, 1, inverse));
            }
            _ => {}
        }
        let half = self.len / 2;
        let part = |from: usize| self.gather(&(from..from + half).collect::<Vec<_>>());
        let (a, b) = (part(0), part(half));
        let rest = self.gather(&(2 * half..self.len).collect::<Vec<_>>());
        let inverses = Self::concatenate(&[&a.multiply(&b), &rest]).invert()?;
        // (ab)^−1·b = a^−1 and (ab)^−1·a = b^−1.
        let twice: Vec<_> = (0..half).chain(0..half).collect();
        let of_halves = Self::concatenate(&[&b, &a]).multiply(&inverses.gather(&twice));
        let of_rest = inverses.gather(&(half..inverses.len).collect::<Vec<_>>());
        Ok(Self::concatenate(&[&of_halves, &of_rest]))
    }
}

impl Residues {
    /// Refuses numbers that share a factor with the modulus, zero among them: one multiplication
    /// each and one greatest common divisor.
    pub fn check_units(&self) -> Result<()> {
        let product = self.products(&(0..self.len).collect::<Vec<_>>(), self.len.max(1));
        let modulus = integer_from_limbs(self.ring.modulus().limbs());
        match self.is_empty() || integer_from_limbs(product.row(0)).gcd(&modulus) == 1 {
            true => Ok(()),
            false => Err(not_invertible()),
        }
    }
}

fn not_invertible() -> Error {
    Error::malformed("ciphertext", "a number shares a factor with the modulus")
}

/// The inverse of a block of one number: ρ·(ρ·x)^−1 for a random ρ.
fn invert_blinded(ring: &Arc<dyn Ring>, x: &Block) -> Result<Block> {
    let modulus = ring.modulus();
    let m = integer_from_limbs(modulus.limbs());
    // Eight limbs more than the modulus make ρ uniform; a small modulus may need a second try.
    for _ in 0..64 {
        let mut random = Zeroizing::new(vec![0u8; 8 * (modulus.width() + 2)]);
        getrandom::fill(&mut random).map_err(|e| Error::Backend(format!("no randomness: {e}")))?;
        let rho = rug::Integer::from_digits(&random, rug::integer::Order::Lsf) % &m;
        if rug::Integer::from(rho.gcd_ref(&m)) != 1 {
            continue;
        }
        let rho = ring.enter(&limbs_of(&rho, modulus.width()));
        let mut blinded = ring.gather(&rho, &[0]);
        ring.multiply(&mut blinded, x);
        let inverse = integer_from_limbs(&ring.leave(&blinded))
            .invert(&m)
            .map_err(|_| not_invertible())?;
        let mut inverse = ring.enter(&limbs_of(&inverse, modulus.width()));
        ring.multiply(&mut inverse, &rho);
        return Ok(inverse);
    }
    Err(Error::Backend("no invertible random number found".into()))
}

/// `0..len` in pieces of at most `grain` numbers, small enough that every thread gets one, but none
/// so small that lanes stay idle (except in the last).
pub(super) fn pieces(ring: &Arc<dyn Ring>, grain: usize, len: usize) -> Vec<Range<usize>> {
    let share = len.div_ceil(parallel::threads()).max(1);
    let size = match ring.whole() {
        true => len.max(1),
        false => grain.min(share.next_multiple_of(ring.lanes())),
    };
    (0..len)
        .step_by(size)
        .map(|start| start..(start + size).min(len))
        .collect()
}

impl fmt::Debug for Residues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Residues({} numbers of {} bits)",
            self.len,
            self.ring.modulus().bits()
        )
    }
}
