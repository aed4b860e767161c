//! How P2 gives its halves of shared values into P1's keeping: authenticated encryption under a
//! key that follows from the private key, so that every replica of P2 can open them.
//!
//! What is sealed names what it is for ([`Purpose`]), for which job, and for which client. Only where all
//! of this is the same does it open again: P1 cannot quote a bit as a value, nor what another client carries.

use super::open::Place;
use crate::error::{Error, Result};
use crate::paillier::PrivateKey;
use crate::random::Random;
use crate::tensor::JobLabel;
use crate::wire::Writer;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use std::fmt;
use zeroize::Zeroizing;

const NONCE: usize = 24;
const TAG: usize = 16;

/// Bytes that sealing adds.
pub const OVERHEAD: usize = NONCE + TAG;

/// Seals and opens what only P2 may read.
pub struct Sealer(XChaCha20Poly1305);

/// Seals and opens what only P2 may read, for one job of one client.
#[derive(Debug, Clone, Copy)]
pub struct Seals<'a> {
    pub sealer: &'a Sealer,
    pub job: JobLabel,
    /// As whoever calls P2 names it, and authenticates it.
    pub client: &'a [u8],
}

/// What something is sealed for: its kind and shape.
#[derive(Debug, Clone, Copy)]
pub enum Purpose {
    /// Halves of the values of a line.
    Halves { per_line: usize, limbs: usize },
    /// Halves of the bits of a line.
    Bits { per_line: usize },
    /// P2's seeds of oblivious transfers.
    Seeds,
    /// A part of a term, opened ahead of the request that it belongs to.
    Opened {
        place: Place,
        dimensions: [usize; 2],
        slot_bits: usize,
    },
}

impl Purpose {
    /// Numbers are never reused.
    fn write(&self, w: &mut Writer) {
        match *self {
            Self::Halves { per_line, limbs } => {
                w.u16(1);
                w.u64(per_line as u64);
                w.u64(limbs as u64);
            }
            Self::Bits { per_line } => {
                w.u16(2);
                w.u64(per_line as u64);
            }
            Self::Seeds => w.u16(3),
            Self::Opened {
                place,
                dimensions: [lines, per_line],
                slot_bits,
            } => {
                w.u16(4);
                place.write(w);
                w.u32(place.first);
                w.u64(lines as u64);
                w.u64(per_line as u64);
                w.u64(slot_bits as u64);
            }
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Halves { per_line, limbs } => {
                write!(f, "halves of {per_line} values in a line of {limbs} limbs")
            }
            Self::Bits { per_line } => write!(f, "halves of {per_line} bits in a line"),
            Self::Seeds => f.write_str("transfer seeds"),
            Self::Opened { .. } => f.write_str("a part of a term for this place"),
        }
    }
}

impl Seals<'_> {
    /// Nonce, ciphertext, tag.
    pub fn seal(&self, purpose: Purpose, plain: &[u8], random: &Random) -> Result<Vec<u8>> {
        self.sealer.seal(&self.use_of(purpose), plain, random)
    }

    /// What a P2 with the same key sealed for this purpose, job and client.
    pub fn open(&self, purpose: Purpose, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        self.sealer
            .open(&self.use_of(purpose), sealed)
            .ok_or_else(|| {
                Error::malformed(
                    "request",
                    format!(
                        "it quotes as {purpose} what P2 sealed under another key, for another job or client or for another use, or what was changed; a new P1 starts afresh"
                    ),
                )
            })
    }

    fn use_of(&self, purpose: Purpose) -> Vec<u8> {
        let mut w = Writer::default();
        w.bytes(&self.job);
        w.nested(self.client);
        purpose.write(&mut w);
        w.finish()
    }
}

impl Sealer {
    /// For the holder of a private key.
    pub fn new(key: &PrivateKey) -> Self {
        let secret = key.derive_secret("smlp: P2's sealed halves, version 2");
        Self(XChaCha20Poly1305::new((&*secret).into()))
    }

    fn seal(&self, use_of: &[u8], plain: &[u8], random: &Random) -> Result<Vec<u8>> {
        let mut sealed = vec![0; NONCE + plain.len()];
        random.fill(&mut sealed[..NONCE])?;
        let (nonce, body) = sealed.split_at_mut(NONCE);
        body.copy_from_slice(plain);
        let nonce = XNonce::try_from(&*nonce).expect("24 bytes");
        let tag = self
            .0
            .encrypt_inout_detached(&nonce, use_of, body.into())
            .expect("halves are far below the cipher's limit of 256 GB");
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    fn open(&self, use_of: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, rest) = sealed.split_at_checked(NONCE)?;
        let (body, tag) = rest.split_at_checked(rest.len().checked_sub(TAG)?)?;
        let nonce = XNonce::try_from(nonce).expect("24 bytes");
        let tag = Tag::try_from(tag).expect("16 bytes");
        let mut plain = Zeroizing::new(body.to_vec());
        self.0
            .decrypt_inout_detached(&nonce, use_of, plain.as_mut_slice().into(), &tag)
            .ok()?;
        Some(plain)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

#[cfg(test)]
mod tests {
    use super::super::open::Which;
    use super::*;
    use crate::paillier::Security;

    fn sealer() -> Sealer {
        Sealer::new(&PrivateKey::generate(128, Security::AllowInsecure).unwrap())
    }

    fn seals<'a>(sealer: &'a Sealer, job: u8, client: &'a [u8]) -> Seals<'a> {
        Seals {
            sealer,
            job: [job; 16],
            client,
        }
    }

    #[test]
    fn only_the_same_key_job_client_and_purpose_open() {
        let (own, other, random) = (sealer(), sealer(), Random::os());
        let place = Place {
            label: [7; 16],
            item: 1,
            which: Which::U,
            first: 2,
        };
        let opened = |place, dimensions, slot_bits| Purpose::Opened {
            place,
            dimensions,
            slot_bits,
        };
        let halves = |per_line, limbs| Purpose::Halves { per_line, limbs };
        let purposes = [
            halves(1, 2),
            halves(2, 1),
            halves(1, 1),
            Purpose::Bits { per_line: 1 },
            Purpose::Bits { per_line: 2 },
            Purpose::Seeds,
            opened(place, [1, 2], 3),
            opened(place, [2, 1], 3),
            opened(place, [1, 2], 4),
            opened(Place { item: 2, ..place }, [1, 2], 3),
            opened(Place { first: 3, ..place }, [1, 2], 3),
            opened(
                Place {
                    which: Which::V,
                    ..place
                },
                [1, 2],
                3,
            ),
            opened(
                Place {
                    label: [8; 16],
                    ..place
                },
                [1, 2],
                3,
            ),
        ];
        for (i, &purpose) in purposes.iter().enumerate() {
            let sealed = seals(&own, 1, b"client").seal(purpose, b"some bytes", &random);
            let sealed = sealed.unwrap();
            assert_eq!(sealed.len(), 10 + OVERHEAD);
            for (j, &asked) in purposes.iter().enumerate() {
                let opened = seals(&own, 1, b"client").open(asked, &sealed);
                assert_eq!(opened.is_ok(), i == j, "{purpose:?} as {asked:?}");
            }
            for refused in [
                seals(&other, 1, b"client"),
                seals(&own, 2, b"client"),
                seals(&own, 1, b"clienu"),
                seals(&own, 1, b""),
            ] {
                let error = refused.open(purpose, &sealed).unwrap_err().to_string();
                assert!(error.contains(&purpose.to_string()), "{error}");
            }
        }
    }

    #[test]
    fn changed_and_shortened_bytes_do_not_open() {
        let (sealer, random) = (sealer(), Random::os());
        let seals = seals(&sealer, 1, b"");
        let sealed = seals.seal(Purpose::Seeds, b"seeds", &random).unwrap();
        assert_eq!(*seals.open(Purpose::Seeds, &sealed).unwrap(), b"seeds");
        for i in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[i] ^= 1;
            assert!(seals.open(Purpose::Seeds, &changed).is_err());
            assert!(seals.open(Purpose::Seeds, &sealed[..i]).is_err());
        }
    }
}
