//! [`Batch`]: the ciphertexts behind some words, ready to be computed with.

use super::Store;
use super::key::{Kind, StoreKey};
use super::slots::FIRST_REFERENCE;
use super::small::SmallKey;
use crate::error::{Error, Result};
use crate::modular::exponentiation::{Exponents, power, signed_multi_power};
use crate::modular::{Limbs, Residues, integer_from_limbs, limbs_of};
use crate::paillier::{Encrypt, PublicKey};
use rug::Integer;
use rug::ops::RemRounding;
use std::sync::atomic::Ordering;

/// Exponents of at most so many bits go through the faster of two functions.
const SHORT_EXPONENT_BITS: u32 = 120;

pub(super) enum Batch {
    Small(SmallKey, Vec<u64>),
    Large(PublicKey, Residues),
}

impl Store {
    /// The ciphertexts that words stand for.
    pub(super) fn load(&self, key: &StoreKey, words: &[i64]) -> Result<Batch> {
        let public = match &key.kind {
            Kind::Small(small) => {
                let reduced = words.iter().enumerate().map(|(i, &word)| match word {
                    FIRST_REFERENCE.. => Err(Error::invalid(format!(
                        "element {i} is {word}, a reference to a ciphertext of a larger key"
                    ))),
                    _ => Ok(small.reduce(word)),
                });
                return Ok(Batch::Small(*small, reduced.collect::<Result<_>>()?));
            }
            Kind::Public(public) => public,
            Kind::Private(private) => private.public(),
        };
        let width = public.ring().modulus().width();
        let mut limbs = Vec::with_capacity(width * words.len());
        let slots = self.slots();
        for (i, &word) in words.iter().enumerate() {
            match word {
                FIRST_REFERENCE.. => slots.get(word, key.id, &mut limbs)?,
                0.. => {
                    limbs.push(word as u64);
                    limbs.resize(width * (i + 1), 0);
                }
                _ => {
                    return Err(Error::invalid(format!(
                        "element {i} is {word}, which is no ciphertext: encrypt it first"
                    )));
                }
            }
        }
        drop(slots);
        let residues = Residues::from_limbs(public.ring(), limbs)?;
        Ok(Batch::Large(public.clone(), residues))
    }

    /// Words that stand for ciphertexts.
    pub(super) fn save(&self, key: &StoreKey, batch: &Batch) -> Result<Vec<i64>> {
        match batch {
            Batch::Small(_, values) => Ok(values.iter().map(|&c| c as i64).collect()),
            Batch::Large(_, residues) => {
                let (limbs, width) = (residues.limbs(), residues.ring().modulus().width());
                self.slots().put(key.id, limbs, width, &self.random)
            }
        }
    }

    /// Fresh encryptions of numbers that the caller has. Those beyond ±N/2 wrap under a small key, which is noted,
    /// and are refused under others.
    pub(super) fn seal(&self, key: &StoreKey, values: &[Integer]) -> Result<Vec<i64>> {
        let n = key.modulus();
        let half = Integer::from(&n >> 1);
        if let (false, Some(value)) = (
            matches!(key.kind, Kind::Small(_)),
            values.iter().find(|v| v.cmp_abs(&half).is_gt()),
        ) {
            return Err(Error::Bound {
                what: "a plaintext",
                needed: value.significant_bits() + 1,
                limit: n.significant_bits() - 1,
            });
        }
        self.seal_results(key, values)
    }

    /// Fresh encryptions of what was computed from plaintexts. Numbers beyond ±N/2 wrap under every key, which is
    /// noted here and nowhere else: an error would tell whoever asked something about plaintexts.
    pub(super) fn seal_results(&self, key: &StoreKey, values: &[Integer]) -> Result<Vec<i64>> {
        let n = key.modulus();
        let half = Integer::from(&n >> 1);
        let wrapped = values.iter().filter(|v| v.cmp_abs(&half).is_gt()).count();
        self.wrapped.fetch_add(wrapped as u64, Ordering::Relaxed);
        let batch = match &key.kind {
            Kind::Small(small) => {
                let encrypt = |v: &Integer| small.encrypt(v, &self.random);
                Batch::Small(*small, values.iter().map(encrypt).collect::<Result<_>>()?)
            }
            Kind::Public(public) => {
                let rows = residues(values, &n);
                Batch::Large(public.clone(), public.encrypt(&rows, &self.random)?)
            }
            Kind::Private(private) => {
                let rows = residues(values, &n);
                let encrypted = private.encrypt(&rows, &self.random)?;
                Batch::Large(private.public().clone(), encrypted)
            }
        };
        self.save(key, &batch)
    }

    /// Plaintexts in (−N/2, N/2).
    pub(super) fn open(&self, key: &StoreKey, words: &[i64]) -> Result<Vec<Integer>> {
        let n = key.modulus();
        let signed = |m: Integer| match Integer::from(&m << 1) > n {
            true => m - &n,
            false => m,
        };
        let batch = self.load(key, words)?;
        batch.refuse_zeros()?;
        match (&key.kind, &batch) {
            (Kind::Small(small), Batch::Small(_, values)) => values
                .iter()
                .map(|&c| Ok(signed(Integer::from(small.decrypt(c)?))))
                .collect(),
            (Kind::Private(private), Batch::Large(_, residues)) => {
                let rows = private.decrypt(residues)?;
                let plaintexts = (0..rows.rows()).map(|i| signed(integer_from_limbs(rows.row(i))));
                Ok(plaintexts.collect())
            }
            _ => Err(super::key::no_private_key()),
        }
    }
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        match self {
            Batch::Small(_, values) => values.len(),
            Batch::Large(_, residues) => residues.len(),
        }
    }

    /// Those at `indices`.
    pub(super) fn gather(&self, indices: &[usize]) -> Self {
        match self {
            Batch::Small(key, values) => {
                Batch::Small(*key, indices.iter().map(|&i| values[i]).collect())
            }
            Batch::Large(key, residues) => Batch::Large(key.clone(), residues.gather(indices)),
        }
    }

    /// Element-wise products: encryptions of sums. Both of one key and length.
    pub(super) fn multiply(&self, other: &Self) -> Self {
        match (self, other) {
            (Batch::Small(key, a), Batch::Small(_, b)) => {
                let products = a.iter().zip(b).map(|(&a, &b)| key.multiply(a, b));
                Batch::Small(*key, products.collect())
            }
            (Batch::Large(key, a), Batch::Large(_, b)) => Batch::Large(key.clone(), a.multiply(b)),
            _ => unreachable!("batches of one key are of one kind"),
        }
    }

    /// The product of every `width` of them; of none, 1.
    pub(super) fn products(&self, width: usize) -> Self {
        match self {
            Batch::Small(key, values) => {
                let product = |row: &[u64]| row.iter().fold(1, |a, &b| key.multiply(a, b));
                Batch::Small(*key, values.chunks_exact(width).map(product).collect())
            }
            Batch::Large(key, residues) => {
                let all: Vec<_> = (0..residues.len()).collect();
                Batch::Large(key.clone(), residues.products(&all, width))
            }
        }
    }

    /// Each to an integer power of its own, or all to the same: encryptions of products.
    pub(super) fn power(&self, exponents: &[Integer]) -> Result<Self> {
        match self {
            Batch::Small(key, values) => {
                let each = exponents.iter().cycle();
                let powers = values.iter().zip(each).map(|(&c, e)| key.power(c, e));
                Ok(Batch::Small(*key, powers.collect::<Result<_>>()?))
            }
            Batch::Large(key, residues) => {
                let powers = large_power(key, residues, exponents)?;
                Ok(Batch::Large(key.clone(), powers))
            }
        }
    }

    /// Encryptions of the same plaintexts plus clear ones, of any size; one each, or one for all.
    pub(super) fn add_clear(&self, values: &[Integer]) -> Self {
        let values: Vec<_> = values.iter().cycle().take(self.len()).collect();
        match self {
            Batch::Small(key, ciphertexts) => {
                let pairs = ciphertexts.iter().zip(values);
                let sums = pairs.map(|(&c, v)| key.multiply(c, key.embed(v)));
                Batch::Small(*key, sums.collect())
            }
            Batch::Large(key, residues) => {
                let n = integer_from_limbs(key.modulus().limbs());
                let reduced: Vec<Integer> = values.iter().map(|v| v.rem_euc(&n).into()).collect();
                let embedded = key.embed(&limbs(&reduced, key.modulus().width()));
                Batch::Large(key.clone(), residues.multiply(&embedded))
            }
        }
    }

    /// Whatever is done with them: whether an operation needs inverses may depend on a plaintext.
    pub(super) fn refuse_non_units(&self) -> Result<()> {
        match self {
            Batch::Small(key, values) => {
                let n = Integer::from(key.n);
                let other = values.iter().find(|&&c| Integer::from(c).gcd(&n) != 1);
                other.map_or(Ok(()), |c| {
                    let why = format!("{c} has no inverse modulo N²");
                    Err(Error::malformed("ciphertext", why))
                })
            }
            Batch::Large(_, residues) => residues.check_units(),
        }
    }

    fn refuse_zeros(&self) -> Result<()> {
        let zero = match self {
            Batch::Small(_, values) => values.iter().position(|&c| c == 0),
            Batch::Large(_, residues) => {
                (0..residues.len()).find(|&i| residues.row(i).iter().all(|&limb| limb == 0))
            }
        };
        zero.map_or(Ok(()), |i| {
            Err(Error::malformed(
                "ciphertext",
                format!(
                    "element {i} is the residue 0, which encrypts nothing; for an encrypted zero, \
                     encrypt the number 0"
                ),
            ))
        })
    }
}

fn large_power(key: &PublicKey, bases: &Residues, exponents: &[Integer]) -> Result<Residues> {
    let bits = exponents.iter().map(Integer::significant_bits).max();
    let bits = bits.unwrap_or(0).max(1);
    if bits <= SHORT_EXPONENT_BITS {
        let indices: Vec<_> = (0..bases.len()).collect();
        let values = exponents.iter().map(|e| e.to_i128().expect("short"));
        let values: Vec<_> = values.cycle().take(bases.len()).collect();
        return signed_multi_power(bases, &indices, &values, bits as usize, 1);
    }
    // A power c^(e + kN) encrypts the same as c^e.
    let n = integer_from_limbs(key.modulus().limbs());
    let reduced: Vec<Integer> = exponents.iter().map(|e| e.rem_euc(&n).into()).collect();
    let rows = limbs(&reduced, key.modulus().width());
    Ok(power(bases, &Exponents::new(&rows, key.bits() as usize)))
}

/// Plaintexts modulo N.
fn residues(values: &[Integer], n: &Integer) -> Limbs {
    let reduced: Vec<Integer> = values.iter().map(|v| v.rem_euc(n).into()).collect();
    limbs(&reduced, n.significant_digits::<u64>())
}

fn limbs(values: &[Integer], width: usize) -> Limbs {
    let mut rows = Limbs::zeros(values.len(), width);
    for (i, value) in values.iter().enumerate() {
        rows.row_mut(i).copy_from_slice(&limbs_of(value, width));
    }
    rows
}
