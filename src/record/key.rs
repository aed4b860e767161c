//! The key pair that records in files are encrypted to, with HPKE (RFC 9180: X25519, HKDF-SHA256,
//! ChaCha20-Poly1305, base mode).

use std::fmt;
use std::path::Path;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::paillier::secret_file;
use crate::random::Random;
use crate::wire::{Kind, Reader, Writer};

type Secret = <X25519HkdfSha256 as Kem>::PrivateKey;
type Public = <X25519HkdfSha256 as Kem>::PublicKey;

/// Bytes of either key, and of what a sealed line begins with.
pub(super) const KEY_BYTES: usize = 32;

/// Bytes that sealing adds.
pub(super) const OVERHEAD: usize = KEY_BYTES + 16;

const INFO: &[u8] = b"smlp record v1";

/// The data owner's half: opens records. Neither P1 nor P2 may have it.
#[derive(Clone)]
pub struct RecordKey(Secret);

/// P1's half: seals the lines of a record.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordPublicKey(Public);

impl RecordKey {
    /// A fresh key from the operating system's generator.
    ///
    /// # Errors
    /// [`Error::Backend`] when that has no randomness to give.
    pub fn generate() -> Result<Self> {
        let mut seed = Zeroizing::new([0; KEY_BYTES]);
        Random::os().fill(&mut *seed)?;
        Ok(Self(X25519HkdfSha256::derive_keypair(&*seed).0))
    }

    /// The half for P1.
    pub fn public(&self) -> RecordPublicKey {
        RecordPublicKey(X25519HkdfSha256::sk_to_pk(&self.0))
    }

    /// Header and 32 bytes.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut w = Writer::new(Kind::RecordKey);
        w.bytes(&Zeroizing::new(<[u8; KEY_BYTES]>::from(self.0.to_bytes()))[..]);
        Zeroizing::new(w.finish())
    }

    /// Reads [`RecordKey::to_bytes`].
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut r = Reader::new(Kind::RecordKey, bytes)?;
        let secret = Secret::from_bytes(r.take(KEY_BYTES)?);
        let secret = secret.map_err(|e| r.error(e.to_string()))?;
        r.finish()?;
        Ok(Self(secret))
    }

    /// Writes it to a new file that only its owner may read (mode 0600).
    ///
    /// # Errors
    /// [`Error::Io`]; also for a file that exists.
    pub fn save(&self, path: &Path) -> Result<()> {
        secret_file::write(path, &self.to_bytes())
    }

    /// Reads a file that [`RecordKey::save`] wrote.
    ///
    /// # Errors
    /// As [`RecordKey::from_bytes`]; [`Error::Io`], [`Error::Insecure`] for a file that others may read.
    pub fn load(path: &Path) -> Result<Self> {
        Self::from_bytes(&secret_file::read(path, 1 << 10)?)
    }

    /// What was sealed as line number `number`.
    pub(super) fn open(&self, number: u64, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let refused = || {
            Error::malformed(
                "record",
                format!("line {number} was changed, moved, or sealed for another record key"),
            )
        };
        let (sender, body) = sealed.split_at_checked(KEY_BYTES).ok_or_else(refused)?;
        let sender = Deserializable::from_bytes(sender).map_err(|_| refused())?;
        hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.0,
            &sender,
            INFO,
            body,
            &number.to_le_bytes(),
        )
        .map(Zeroizing::new)
        .map_err(|_| refused())
    }
}

impl RecordPublicKey {
    /// Header and 32 bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new(Kind::RecordPublicKey);
        w.bytes(&self.0.to_bytes());
        w.finish()
    }

    /// Reads [`RecordPublicKey::to_bytes`].
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut r = Reader::new(Kind::RecordPublicKey, bytes)?;
        let public = Public::from_bytes(r.take(KEY_BYTES)?);
        let public = public.map_err(|e| r.error(e.to_string()))?;
        r.finish()?;
        Ok(Self(public))
    }

    /// Seals line number `number`.
    pub(super) fn seal(&self, number: u64, line: &[u8]) -> Result<Vec<u8>> {
        let mut seed = Zeroizing::new([0; 32]);
        Random::os().fill(&mut *seed)?;
        let (sender, body) =
            hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
                &OpModeS::Base,
                &self.0,
                INFO,
                line,
                &number.to_le_bytes(),
                &mut ChaCha20Rng::from_seed(*seed),
            )
            .map_err(|e| Error::invalid(format!("the record key cannot seal: {e}")))?;
        Ok([&sender.to_bytes()[..], &body].concat())
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordKey(secret)")
    }
}

impl fmt::Debug for RecordPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordPublicKey(")?;
        let bytes = self.0.to_bytes();
        bytes[..8].iter().try_for_each(|b| write!(f, "{b:02x}"))?;
        f.write_str(")")
    }
}
