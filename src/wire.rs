//! Bytes in and out, for files and messages: little-endian, versioned, length-checked.
//!
//! Everything starts with the same header: the four bytes `SMLP`, a `u16` version, a `u16` that
//! says what follows ([`Kind`]). Sizes are `u64`. A [`Reader`] checks every length before it
//! allocates and refuses what is left over at the end.

use crate::error::{Error, Result};
use crate::paillier::KeyId;
use sha2::{Digest, Sha256};
use std::ops::Range;
use zeroize::Zeroizing;

const MAGIC: &[u8; 4] = b"SMLP";

/// The version of all formats of this crate.
pub const FORMAT_VERSION: u16 = 1;

/// What a header announces. Numbers are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
#[allow(missing_docs)]
pub enum Kind {
    PublicKey = 0x0101,
    PrivateKey = 0x0102,
    EncryptedTensor = 0x0103,
    IntegerTensor = 0x0104,
    EncryptedNetwork = 0x0105,
    IntegerNetwork = 0x0106,
    /// With short exponents.
    ShortPrivateKey = 0x0107,
    /// Opens records.
    RecordKey = 0x0108,
    RecordPublicKey = 0x0109,
    Record = 0x010a,
    Request = 0x0201,
    Reply = 0x0202,
}

impl Kind {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Kind::PublicKey => "public key",
            Kind::PrivateKey | Kind::ShortPrivateKey => "private key",
            Kind::EncryptedTensor => "encrypted tensor",
            Kind::IntegerTensor => "integer tensor",
            Kind::EncryptedNetwork => "encrypted network",
            Kind::IntegerNetwork => "integer network",
            Kind::RecordKey => "record key",
            Kind::RecordPublicKey => "public record key",
            Kind::Record => "record",
            Kind::Request => "request",
            Kind::Reply => "reply",
        }
    }

    /// What `bytes` announce, if they have a header of ours.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let number = bytes.strip_prefix(MAGIC)?.get(2..4)?;
        Self::from_number(u16::from_le_bytes([number[0], number[1]]))
    }

    fn from_number(number: u16) -> Option<Self> {
        use Kind::*;
        [
            PublicKey,
            PrivateKey,
            EncryptedTensor,
            IntegerTensor,
            EncryptedNetwork,
            IntegerNetwork,
            ShortPrivateKey,
            RecordKey,
            RecordPublicKey,
            Record,
            Request,
            Reply,
        ]
        .into_iter()
        .find(|&k| k as u16 == number)
    }
}

/// SHA-256 over a kind and contents: what a file knows itself by.
pub fn fingerprint(kind: Kind, contents: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"smlp: fingerprint, version 1");
    hash.update((kind as u16).to_le_bytes());
    hash.update(contents);
    hash.finalize().into()
}

/// Collects bytes. Cleared on drop, since private keys pass through it.
#[derive(Default)]
pub struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    /// Starts with the header of `kind`.
    pub fn new(kind: Kind) -> Self {
        let mut w = Self::default();
        w.bytes(MAGIC);
        w.u16(FORMAT_VERSION);
        w.u16(kind as u16);
        w
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Makes room. A vector that grew by itself would leave its old buffer uncleared.
    fn reserve(&mut self, more: usize) {
        let needed = self.0.len() + more;
        if needed > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(2 * self.0.capacity())));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
    }

    pub fn u16(&mut self, value: u16) {
        self.bytes(&value.to_le_bytes());
    }

    pub fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    pub fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    pub fn i128(&mut self, value: i128) {
        self.bytes(&value.to_le_bytes());
    }

    pub fn key_id(&mut self, id: KeyId) {
        self.bytes(&id.0);
    }

    /// Limbs without their number: the reader knows it from what came before.
    pub fn limbs(&mut self, limbs: &[u64]) {
        self.reserve(8 * limbs.len());
        for l in limbs {
            self.u64(*l);
        }
    }

    /// Dimensions: their number, then each.
    pub fn shape(&mut self, shape: &[usize]) {
        self.u64(shape.len() as u64);
        for &d in shape {
            self.u64(d as u64);
        }
    }

    /// A length, then the bytes: for one format inside another.
    pub fn nested(&mut self, bytes: &[u8]) {
        self.u64(bytes.len() as u64);
        self.bytes(bytes);
    }

    /// All that another writer holds.
    pub fn append(&mut self, other: &Writer) {
        self.bytes(&other.0);
    }

    /// Keeps room for bytes that come later, see [`Writer::fill`].
    pub fn room(&mut self, count: usize) -> Range<usize> {
        let start = self.0.len();
        self.reserve(count);
        self.0.resize(start + count, 0);
        start..start + count
    }

    /// Fills the room with as many bytes.
    pub fn fill(&mut self, room: Range<usize>, bytes: &[u8]) {
        self.0[room].copy_from_slice(bytes);
    }

    /// What was written, without a header, as contents of `kind`: header, [`fingerprint`], contents.
    pub fn finish_with_fingerprint(self, kind: Kind) -> Vec<u8> {
        let mut w = Writer::new(kind);
        w.bytes(&self.fingerprint(kind));
        w.append(&self);
        w.finish()
    }

    /// The [`fingerprint`] of what was written, without a header.
    pub fn fingerprint(&self, kind: Kind) -> [u8; 32] {
        fingerprint(kind, &self.0)
    }

    pub fn finish(mut self) -> Vec<u8> {
        std::mem::take(&mut *self.0)
    }
}

/// Largest number of dimensions of a tensor, in memory and in any format.
pub const MAX_DIMENSIONS: usize = 8;

/// Largest number of elements of a tensor, views included, in memory and in any format.
pub const MAX_ELEMENTS: usize = 1 << 28;

/// Reads what a [`Writer`] wrote, trusting nothing.
pub struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Checks the header; anything but `kind` is refused by name.
    pub fn new(kind: Kind, bytes: &'a [u8]) -> Result<Self> {
        let mut r = Self {
            what: kind.name(),
            rest: bytes,
        };
        if r.take(4)? != MAGIC {
            return Err(r.error("it does not start with 'SMLP'; these bytes are something else"));
        }
        let version = r.u16()?;
        if version != FORMAT_VERSION {
            return Err(r.error(format!(
                "it has format version {version}, this library reads version {FORMAT_VERSION}"
            )));
        }
        let number = r.u16()?;
        match Kind::from_number(number) {
            Some(found) if found == kind => Ok(r),
            Some(found) => Err(r.error(format!("these bytes hold a {}", found.name()))),
            None => Err(r.error(format!("unknown content type {number:#06x}"))),
        }
    }

    /// Reads a part of a format, which has no header of its own.
    pub fn headless(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes }
    }

    /// An error about what is being read.
    pub fn error(&self, why: impl Into<String>) -> Error {
        Error::malformed(self.what, why)
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        if self.rest.len() < count {
            return Err(self.error(format!(
                "truncated: {count} more bytes expected, {} left",
                self.rest.len()
            )));
        }
        let (head, tail) = self.rest.split_at(count);
        self.rest = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("N bytes"))
    }

    pub fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub fn key_id(&mut self) -> Result<KeyId> {
        Ok(KeyId(self.array()?))
    }

    /// Checks the [`fingerprint`] of all that follows it, so that damage is noticed before anything is made of it.
    pub fn fingerprint(&mut self, kind: Kind) -> Result<()> {
        match self.array()? == fingerprint(kind, self.rest) {
            true => Ok(()),
            false => Err(self.error(
                "it is damaged: its contents do not have the fingerprint that stands before them",
            )),
        }
    }

    /// A size that may not exceed `limit`.
    pub fn size(&mut self, what: &'static str, limit: usize) -> Result<usize> {
        let value = self.u64()?;
        match usize::try_from(value) {
            Ok(size) if size <= limit => Ok(size),
            _ => Err(Error::Limit {
                what,
                value,
                limit: limit as u64,
            }),
        }
    }

    pub fn limbs(&mut self, count: usize) -> Result<Vec<u64>> {
        let bytes = count
            .checked_mul(8)
            .ok_or_else(|| self.error("absurd length"))?;
        Ok(self
            .take(bytes)?
            .chunks_exact(8)
            .map(|b| u64::from_le_bytes(b.try_into().expect("eight bytes")))
            .collect())
    }

    /// Dimensions whose product is at most [`MAX_ELEMENTS`].
    pub fn shape(&mut self) -> Result<Vec<usize>> {
        let dimensions = self.size("number of dimensions", MAX_DIMENSIONS)?;
        let shape: Vec<usize> = (0..dimensions)
            .map(|_| self.size("dimension", MAX_ELEMENTS))
            .collect::<Result<_>>()?;
        // Zero-length axes do not excuse a product that would overflow elsewhere.
        let elements = shape
            .iter()
            .try_fold(1usize, |a, &d| a.checked_mul(d.max(1)))
            .filter(|&n| n <= MAX_ELEMENTS);
        elements
            .map(|_| shape.clone())
            .ok_or_else(|| self.error(format!("shape {shape:?} has too many elements")))
    }

    pub fn nested(&mut self) -> Result<&'a [u8]> {
        let length = self.size("nested length", self.rest.len())?;
        self.take(length)
    }

    /// Everything must have been read.
    pub fn finish(self) -> Result<()> {
        match self.rest.len() {
            0 => Ok(()),
            n => Err(self.error(format!("{n} bytes left over at the end"))),
        }
    }
}
