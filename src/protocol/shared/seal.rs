//! How P2 gives its halves of shared values into P1's keeping: authenticated encryption under a
//! key that follows from the private key, so that every replica of P2 can open them.

use crate::error::{Error, Result};
use crate::paillier::PrivateKey;
use crate::random::Random;
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

impl Sealer {
    /// For the holder of a private key.
    pub fn new(key: &PrivateKey) -> Self {
        let secret = key.derive_secret("smlp: P2's sealed halves, version 1");
        Self(XChaCha20Poly1305::new((&*secret).into()))
    }

    /// Nonce, ciphertext, tag. What is opened as another `purpose` is refused.
    pub fn seal(&self, purpose: &[u8], plain: &[u8], random: &Random) -> Result<Vec<u8>> {
        let mut sealed = vec![0; NONCE + plain.len()];
        random.fill(&mut sealed[..NONCE])?;
        let (nonce, body) = sealed.split_at_mut(NONCE);
        body.copy_from_slice(plain);
        let nonce = XNonce::try_from(&*nonce).expect("24 bytes");
        let tag = self
            .0
            .encrypt_inout_detached(&nonce, purpose, body.into())
            .expect("halves are far below the cipher's limit of 256 GB");
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    /// What was sealed for this purpose by a P2 with the same key.
    pub fn open(&self, purpose: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let refused = || {
            Error::malformed(
                "request",
                "what it quotes as sealed by P2 was sealed under another key or for another use, or was changed",
            )
        };
        if sealed.len() < OVERHEAD {
            return Err(refused());
        }
        let (nonce, rest) = sealed.split_at(NONCE);
        let (body, tag) = rest.split_at(rest.len() - TAG);
        let nonce = XNonce::try_from(nonce).expect("24 bytes");
        let tag = Tag::try_from(tag).expect("16 bytes");
        let mut plain = Zeroizing::new(body.to_vec());
        self.0
            .decrypt_inout_detached(&nonce, purpose, plain.as_mut_slice().into(), &tag)
            .map_err(|_| refused())?;
        Ok(plain)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paillier::Security;

    #[test]
    fn only_the_same_key_opens_for_the_same_purpose() {
        let key = || PrivateKey::generate(128, Security::AllowInsecure).unwrap();
        let (key, other, random) = (key(), key(), Random::os());
        let sealed = Sealer::new(&key)
            .seal(b"a", b"some bytes", &random)
            .unwrap();
        assert_eq!(sealed.len(), 10 + OVERHEAD);
        assert_eq!(
            *Sealer::new(&key).open(b"a", &sealed).unwrap(),
            b"some bytes"
        );
        assert!(Sealer::new(&key).open(b"b", &sealed).is_err());
        assert!(Sealer::new(&other).open(b"a", &sealed).is_err());
        for i in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[i] ^= 1;
            assert!(Sealer::new(&key).open(b"a", &changed).is_err());
            assert!(Sealer::new(&key).open(b"a", &sealed[..i]).is_err());
        }
    }
}
