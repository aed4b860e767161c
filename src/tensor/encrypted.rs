//! [`EncryptedTensor`]: encryption, decryption, and the bytes of tensors.

use super::packed::{layout, unpack_signed};
use super::{Ciphertexts, IntegerTensor, Integers, Tensor, residues_of_signed};
use crate::error::{Error, Result};
use crate::fixed::{MAX_BOUND, bits_of, out_of_range};
use crate::modular::{less_than, subtract};
use crate::paillier::{Encrypt, PrivateKey, PublicKey, Slots};
use crate::random::Random;
use crate::wire::{Kind, Reader, Writer};
use std::sync::Arc;

/// A tensor of Paillier ciphertexts under one key.
pub type EncryptedTensor = Tensor<Ciphertexts>;

impl Tensor<Ciphertexts> {
    /// Encrypts every element; shape, scale and bound stay as they are and are public.
    ///
    /// # Errors
    /// [`Error::Bound`] when the key is too small for the bound.
    pub fn encrypt(tensor: &IntegerTensor, key: &impl Encrypt, random: &Random) -> Result<Self> {
        let public = key.public();
        // Signed plaintexts lie in (−N/2, N/2).
        let limit = MAX_BOUND.min(public.bits() - 2);
        let meta = tensor.meta().checked(limit)?;
        let plaintexts = residues_of_signed(public, &tensor.values());
        let residues = key.encrypt(&plaintexts, random)?;
        let storage = Ciphertexts::new(public.clone(), residues, !public.is_foreign());
        Self::from_parts(Arc::new(storage), tensor.shape(), meta)
    }

    /// Decrypts every element.
    ///
    /// # Errors
    /// [`Error::KeyMismatch`]; [`Error::OutOfRange`] for a value that breaks the tensor's bound: a
    /// promise about bounds was wrong, and what was computed since cannot be trusted.
    pub fn decrypt(&self, key: &PrivateKey) -> Result<IntegerTensor> {
        key.public().check_takes(self.key().id())?;
        let plain: Vec<Option<i128>> = match self.storage().packs() {
            None => {
                let compact = self.compact()?;
                let plaintexts = key.decrypt(compact.storage().residues())?;
                let n = key.public().modulus().limbs();
                (0..plaintexts.rows())
                    .map(|i| signed(plaintexts.row(i), n))
                    .collect()
            }
            Some(packs) => {
                // All of them, since they lie together; then those that this view shows.
                let values = unpack_signed(key, packs)?;
                let value = |i: usize| narrow(values.row(i));
                self.flat_indices().into_iter().map(value).collect()
            }
        };
        let values = plain
            .into_iter()
            .enumerate()
            .map(|(i, value)| {
                value
                    .filter(|&x| bits_of(x) <= self.bound())
                    .ok_or_else(|| match value {
                        Some(x) => out_of_range(x, i, self.shape(), self.bound(), self.scale()),
                        None => Error::OutOfRange {
                            index: crate::fixed::unravel(i, self.shape()),
                            value: "a number of more than 127 bits".into(),
                            bound: self.bound(),
                            scale: self.scale(),
                        },
                    })
            })
            .collect::<Result<Vec<i128>>>()?;
        let limit = self.meta().checked(MAX_BOUND)?;
        Tensor::from_parts(Arc::new(Integers::new(values)), self.shape(), limit)
    }

    /// The key that the ciphertexts belong to.
    pub fn key(&self) -> &PublicKey {
        self.storage().key()
    }

    /// The file format: header, key id, u16 1 where packed and else 0, scale (u32), bound
    /// (u32), shape, the bits of a slot (u32) where packed, then ciphertexts row-major in the
    /// width of N².
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a view of a packed tensor that cuts through its ciphertexts.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let compact = self.compact()?;
        let mut w = Writer::new(Kind::EncryptedTensor);
        w.key_id(self.key().id());
        let (storage, slots) = (compact.storage(), compact.storage().slots());
        w.u16(u16::from(slots.is_some()));
        w.u32(self.scale());
        w.u32(self.bound());
        w.shape(self.shape());
        if let Some(slots) = slots {
            w.u32(slots.bits() as u32);
        }
        w.limbs(storage.residues().limbs());
        Ok(w.finish())
    }

    /// The same tensor under `key`, which may be its own, or one that takes its ciphertexts: [`PublicKey::check_takes`].
    pub(crate) fn taken_by(&self, key: &PublicKey) -> Result<Self> {
        if self.key() == key {
            return Ok(self.clone());
        }
        key.check_takes(self.key().id())?;
        let x = self.compact()?;
        Self::from_parts(Arc::new(x.storage().under(key)?), x.shape(), x.meta())
    }

    /// Reads [`EncryptedTensor::to_bytes`](Self::to_bytes); the key has to be one that takes the ciphertexts:
    /// [`PublicKey::check_takes`]. Anybody may have made the bytes: protocols hide these ciphertexts as those of other
    /// software, with a power more for each ciphertext that P2 gets to see, once.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Limit`], [`Error::KeyMismatch`].
    pub fn from_bytes(bytes: &[u8], key: &PublicKey) -> Result<Self> {
        let mut r = Reader::new(Kind::EncryptedTensor, bytes)?;
        let id = r.key_id()?;
        key.check_takes(id)?;
        let packed = match r.u16()? {
            form @ (0 | 1) => form == 1,
            other => return Err(r.error(format!("form {other:#06x} is unknown"))),
        };
        let (scale, bound, shape) = (r.u32()?, r.u32()?, r.shape()?);
        let count: usize = shape.iter().product();
        let slots = match packed {
            false => None,
            true => Some(layout(key, r.u32()?, bound, &shape)?),
        };
        let ciphertexts = slots.as_ref().map_or(count, Slots::packs);
        let limbs = r.limbs(ciphertexts.saturating_mul(key.ring().modulus().width()))?;
        r.finish()?;
        let storage = Ciphertexts::from_limbs(key.clone(), limbs, slots)?;
        Self::from_storage(storage, &shape, scale, bound)
    }

    /// Bare ciphertexts for other software: big-endian, row-major, each as wide as N² in bytes,
    /// which comes back first.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a packed tensor.
    pub fn to_ciphertexts(&self) -> Result<(usize, Vec<u8>)> {
        let compact = self.compact()?;
        let residues = compact.storage().singles("writing bare ciphertexts")?;
        let each = ciphertext_bytes(self.key());
        let mut out = Vec::with_capacity(each * self.len());
        for i in 0..self.len() {
            let bytes: Vec<u8> = residues
                .row(i)
                .iter()
                .flat_map(|l| l.to_le_bytes())
                .collect();
            out.extend(bytes[..each].iter().rev());
        }
        Ok((each, out))
    }

    /// Bare ciphertexts of other software, as [`EncryptedTensor::to_ciphertexts`](Self::to_ciphertexts)
    /// writes them, `each` bytes a ciphertext. The bound is a promise.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Shape`], [`Error::InvalidArgument`].
    pub fn from_ciphertexts(
        bytes: &[u8],
        each: usize,
        shape: &[usize],
        scale: u32,
        bound: u32,
        key: &PublicKey,
    ) -> Result<Self> {
        let width = key.ring().modulus().width();
        if each == 0 || !bytes.len().is_multiple_of(each) {
            return Err(Error::invalid(format!(
                "{} bytes are not a whole number of ciphertexts of {each} bytes",
                bytes.len()
            )));
        }
        let mut limbs = Vec::with_capacity(bytes.len() / each * width);
        for (i, number) in bytes.chunks_exact(each).enumerate() {
            let (high, low) = number.split_at(each.saturating_sub(8 * width));
            if high.iter().any(|&b| b != 0) {
                return Err(Error::malformed(
                    "ciphertext",
                    format!("number {i} is not below the square of the modulus"),
                ));
            }
            let mut chunks = low.rchunks(8);
            limbs.extend((0..width).map(|_| {
                let chunk = chunks.next().unwrap_or(&[]);
                chunk.iter().fold(0u64, |l, &b| (l << 8) | u64::from(b))
            }));
        }
        let storage = Ciphertexts::from_limbs(key.clone(), limbs, None)?;
        Self::from_storage(storage, shape, scale, bound)
    }
}

impl Tensor<Integers> {
    /// The file format: header, scale (u32), bound (u32), shape, then the integers row-major, 16
    /// bytes each.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new(Kind::IntegerTensor);
        w.u32(self.scale());
        w.u32(self.bound());
        w.shape(self.shape());
        self.values().into_iter().for_each(|x| w.i128(x));
        w.finish()
    }

    /// Reads [`IntegerTensor::to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Limit`], [`Error::OutOfRange`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut r = Reader::new(Kind::IntegerTensor, bytes)?;
        let (scale, bound, shape) = (r.u32()?, r.u32()?, r.shape()?);
        let count: usize = shape.iter().product();
        let limbs = r.limbs(2 * count)?;
        r.finish()?;
        let values = limbs
            .chunks_exact(2)
            .map(|l| (u128::from(l[1]) << 64 | u128::from(l[0])) as i128)
            .collect();
        Self::from_i128(&shape, values, scale, bound)
    }
}

/// Two's complement of any width, if the number has at most 127 bits.
fn narrow(row: &[u64]) -> Option<i128> {
    let sign = ((row[row.len() - 1] as i64) >> 63) as u64;
    let second = row.get(1).copied().unwrap_or(sign);
    let fits = row.iter().skip(2).all(|&l| l == sign) && (second ^ sign) >> 63 == 0;
    let value = (u128::from(second) << 64 | u128::from(row[0])) as i128;
    fits.then_some(value)
}

/// Bytes of a ciphertext: those of N².
fn ciphertext_bytes(key: &PublicKey) -> usize {
    key.ring().modulus().bits().div_ceil(8) as usize
}

/// The representative in (−N/2, N/2) of a plaintext, if it has at most 127 bits.
fn signed(residue: &[u64], n: &[u64]) -> Option<i128> {
    let mut negated = n.to_vec();
    subtract(&mut negated, residue);
    let negative = less_than(&negated, residue);
    let mut magnitude = if negative { negated } else { residue.to_vec() };
    magnitude.resize(magnitude.len().max(2), 0);
    if magnitude[2..].iter().any(|&l| l != 0) || magnitude[1] >> 63 != 0 {
        return None;
    }
    let value = (u128::from(magnitude[1]) << 64 | u128::from(magnitude[0])) as i128;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paillier::Security;

    fn key() -> PrivateKey {
        PrivateKey::generate(256, Security::AllowInsecure).unwrap()
    }

    fn tensor(values: &[i64], shape: &[usize]) -> IntegerTensor {
        IntegerTensor::from_i64(shape, values, None).unwrap()
    }

    #[test]
    fn local_arithmetic_equals_the_twin() {
        let (key, random) = (key(), Random::os());
        let a = tensor(&[1, -2, 3, 40, -5, 6], &[2, 3]);
        let b = tensor(&[7, 0, -9], &[3]);
        let (ea, eb) = (
            EncryptedTensor::encrypt(&a, &key, &random).unwrap(),
            EncryptedTensor::encrypt(&b, key.public(), &random).unwrap(),
        );
        let same = |e: Result<EncryptedTensor>, c: Result<IntegerTensor>| {
            let (e, c) = (e.unwrap(), c.unwrap());
            assert_eq!(e.meta(), c.meta());
            assert_eq!(e.shape(), c.shape());
            assert_eq!(e.decrypt(&key).unwrap().values(), c.values());
        };
        same(ea.add(&eb), a.add(&b));
        same(ea.sub(&eb), a.sub(&b));
        same(ea.neg(), a.neg());
        same(ea.sum(None), a.sum(None));
        same(ea.sum(Some(0)), a.sum(Some(0)));
        same(ea.sum(Some(-1)), a.sum(Some(-1)));
        same(ea.add_plain(&b), a.add_plain(&b));
        same(ea.sub_plain(&b), a.sub_plain(&b));
        same(ea.mul_plain(&b), a.mul_plain(&b));
        same(ea.matmul_plain(&b), a.matmul_plain(&b));
        same(eb.rmatmul_plain(&a), b.rmatmul_plain(&a));
        same(ea.transpose().slice(&[]), a.transpose().slice(&[]));
    }

    #[test]
    fn bytes_come_back_and_every_truncation_is_refused() {
        let (key, random) = (key(), Random::os());
        let clear = tensor(&[1, -2, 3, 4], &[2, 2]);
        let encrypted = EncryptedTensor::encrypt(&clear, &key, &random).unwrap();
        let transposed = encrypted.transpose();
        let bytes = transposed.to_bytes().unwrap();
        let back = EncryptedTensor::from_bytes(&bytes, key.public()).unwrap();
        assert_eq!(
            back.decrypt(&key).unwrap().values(),
            clear.transpose().values()
        );
        for cut in 0..bytes.len() {
            assert!(EncryptedTensor::from_bytes(&bytes[..cut], key.public()).is_err());
        }
        let (each, raw) = encrypted.to_ciphertexts().unwrap();
        let foreign =
            EncryptedTensor::from_ciphertexts(&raw, each, &[4], 0, 56, key.public()).unwrap();
        assert!(!foreign.storage().is_refreshed());
        assert_eq!(foreign.decrypt(&key).unwrap().values(), clear.values());
        assert!(
            EncryptedTensor::from_ciphertexts(&vec![0; each], each, &[1], 0, 5, key.public())
                .is_err(),
            "zero is no ciphertext"
        );
        let clear_bytes = clear.to_bytes();
        assert_eq!(
            IntegerTensor::from_bytes(&clear_bytes).unwrap().values(),
            clear.values()
        );
        assert!(EncryptedTensor::from_bytes(&clear_bytes, key.public()).is_err());
        for cut in 0..clear_bytes.len() {
            assert!(IntegerTensor::from_bytes(&clear_bytes[..cut]).is_err());
        }
    }

    #[test]
    fn foreign_keys_and_broken_bounds_are_errors() {
        let (key, other, random) = (self::key(), self::key(), Random::os());
        let a = EncryptedTensor::encrypt(&tensor(&[200], &[1]), &key, &random).unwrap();
        let b = EncryptedTensor::encrypt(&tensor(&[1], &[1]), &other, &random).unwrap();
        assert!(matches!(a.add(&b), Err(Error::KeyMismatch { .. })));
        assert!(matches!(a.decrypt(&other), Err(Error::KeyMismatch { .. })));
        let promised = a.assume_bound(7).unwrap();
        assert!(matches!(
            promised.decrypt(&key),
            Err(Error::OutOfRange { .. })
        ));
    }
}
