//! [`StoreKey`]: a key of any size, with or without its private half.

use super::small::{MAX_BITS, MIN_BITS, SmallKey};
use crate::error::{Error, Result};
use crate::modular::{Modulus, integer_from_limbs};
use crate::paillier::{Encrypt, KeyId, PrivateKey, PublicKey, Security};
use crate::random::Random;
use rug::Integer;
use rug::integer::Order;
use std::fmt;

/// A key under which words are computed with; with the private half it also decrypts. Cheap to clone.
#[derive(Clone)]
pub struct StoreKey {
    pub(super) kind: Kind,
    /// That of the modulus alone: hosts pass keys as numbers, among which there is no h_s.
    pub(super) id: KeyId,
}

#[derive(Clone)]
pub(super) enum Kind {
    Small(SmallKey),
    Public(PublicKey),
    Private(PrivateKey),
}

/// The numbers that a key consists of, as other Paillier software lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyNumber {
    /// N = p·q; the generator is N + 1.
    Modulus,
    /// The first prime factor.
    P,
    /// The second prime factor.
    Q,
    /// L_p((N+1)^(p−1) mod p²)^−1 mod p, L_p(x) = (x − 1)/p.
    HP,
    /// The same modulo q.
    HQ,
    /// λ^−1 mod N.
    Mu,
    /// λ = lcm(p − 1, q − 1).
    Lambda,
}

impl StoreKey {
    /// A new key pair: `bits` from 6 to 31 give a small key, even numbers from 32 on one of ours.
    ///
    /// # Errors
    /// [`Error::Insecure`], [`Error::InvalidArgument`].
    pub fn generate(bits: u32, security: Security) -> Result<Self> {
        if bits > MAX_BITS {
            return PrivateKey::generate(bits, security).map(Self::from);
        }
        if bits < MIN_BITS {
            return Err(Error::invalid(format!(
                "a key has {MIN_BITS} bits at least, not {bits}"
            )));
        }
        small_is_allowed(bits, security)?;
        SmallKey::generate(bits, &Random::os()).map(Self::from)
    }

    /// The public key of other software with this modulus (big-endian); encrypts more slowly.
    ///
    /// # Errors
    /// [`Error::Insecure`], [`Error::InvalidArgument`], [`Error::Limit`].
    pub fn from_modulus(n: &[u8], security: Security) -> Result<Self> {
        match small(n) {
            Some(n) => {
                small_is_allowed(u64::BITS - n.leading_zeros(), security)?;
                SmallKey::from_modulus(n).map(Self::from)
            }
            None => {
                let key = PublicKey::from_modulus(n, security)?;
                let id = key.modulus_id();
                let kind = Kind::Public(key);
                Ok(Self { kind, id })
            }
        }
    }

    /// The key pair with these prime factors (big-endian), of one length.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Insecure`], [`Error::Limit`].
    pub fn from_primes(p: &[u8], q: &[u8], security: Security) -> Result<Self> {
        if let (Some(p), Some(q)) = (small(p), small(q))
            && (p * q) >> MAX_BITS == 0
        {
            small_is_allowed(MAX_BITS, security)?;
            return SmallKey::from_primes(p, q).map(Self::from);
        }
        PrivateKey::from_primes(p, q, security).map(Self::from)
    }

    /// Without the private half.
    pub fn public(&self) -> Self {
        let kind = match &self.kind {
            Kind::Small(key) => Kind::Small(SmallKey {
                factors: None,
                ..*key
            }),
            Kind::Public(key) => Kind::Public(key.clone()),
            Kind::Private(key) => Kind::Public(key.public().clone()),
        };
        Self { kind, id: self.id }
    }

    /// One of its numbers, big-endian without leading zeros.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a secret one of a public key.
    pub fn number(&self, which: KeyNumber) -> Result<Vec<u8>> {
        let n = self.modulus();
        if which == KeyNumber::Modulus {
            return Ok(bytes(&n));
        }
        let (p, q) = match &self.kind {
            Kind::Small(key) => {
                let (p, q) = key.factors.ok_or_else(no_private_key)?;
                (Integer::from(p), Integer::from(q))
            }
            Kind::Public(_) => return Err(no_private_key()),
            Kind::Private(key) => key.primes(),
        };
        // (1+N)^(p−1) = 1 + (p−1)·N mod p², so L_p gives −q mod p.
        let h = |p: &Integer, q: &Integer| {
            let minus_q = p - Integer::from(q % p);
            minus_q.invert(p).expect("p and q are coprime")
        };
        let lambda = || Integer::from(&p - 1u32).lcm(&Integer::from(&q - 1u32));
        Ok(bytes(&match which {
            KeyNumber::Modulus => n,
            KeyNumber::HP => h(&p, &q),
            KeyNumber::HQ => h(&q, &p),
            KeyNumber::P => p,
            KeyNumber::Q => q,
            KeyNumber::Mu => lambda().invert(&n).expect("N has no factor of λ"),
            KeyNumber::Lambda => lambda(),
        }))
    }

    /// N.
    pub(super) fn modulus(&self) -> Integer {
        match &self.kind {
            Kind::Small(key) => Integer::from(key.n),
            Kind::Public(key) => integer_from_limbs(key.modulus().limbs()),
            Kind::Private(key) => integer_from_limbs(key.public().modulus().limbs()),
        }
    }
}

impl From<PrivateKey> for StoreKey {
    fn from(key: PrivateKey) -> Self {
        Self {
            id: key.public().modulus_id(),
            kind: Kind::Private(key),
        }
    }
}

impl From<SmallKey> for StoreKey {
    fn from(key: SmallKey) -> Self {
        Self {
            id: KeyId::of_modulus(&Modulus::new(&[key.n]).expect("odd and above 1")),
            kind: Kind::Small(key),
        }
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreKey({})", self.id)
    }
}

pub(super) fn no_private_key() -> Error {
    Error::invalid("this needs the private key, and the given one is public")
}

fn small_is_allowed(bits: u32, security: Security) -> Result<()> {
    match security {
        Security::AllowInsecure => Ok(()),
        Security::Required => Err(Error::Insecure(format!(
            "a key of {bits} bits is factored in microseconds; use at least 2048"
        ))),
    }
}

/// A number of at most 31 bits.
fn small(big_endian: &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for &byte in big_endian {
        value = value << 8 | u64::from(byte);
        if value >> MAX_BITS != 0 {
            return None;
        }
    }
    Some(value)
}

fn bytes(value: &Integer) -> Vec<u8> {
    value.to_digits::<u8>(Order::Msf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_textbook_and_make_the_key_again() {
        for bits in [12, 30, 31, 32, 64, 256] {
            let key = StoreKey::generate(bits, Security::AllowInsecure).unwrap();
            let number = |which| Integer::from_digits(&key.number(which).unwrap(), Order::Msf);
            let [n, p, q] = [KeyNumber::Modulus, KeyNumber::P, KeyNumber::Q].map(number);
            assert_eq!(
                (Integer::from(&p * &q), n.significant_bits()),
                (n.clone(), bits)
            );
            let (lambda, mu) = (number(KeyNumber::Lambda), number(KeyNumber::Mu));
            assert_eq!(lambda.clone() * mu % &n, 1);
            for (h, p) in [(KeyNumber::HP, &p), (KeyNumber::HQ, &q)] {
                let square = Integer::from(p * p);
                let power = Integer::from(&n + 1u32)
                    .pow_mod(&Integer::from(p - 1u32), &square)
                    .unwrap();
                assert_eq!((power - 1u32) / p * number(h) % p, 1);
            }
            let bytes = |which| key.number(which).unwrap();
            let [n, p, q] = [KeyNumber::Modulus, KeyNumber::P, KeyNumber::Q].map(bytes);
            let again = StoreKey::from_primes(&p, &q, Security::AllowInsecure).unwrap();
            let public = StoreKey::from_modulus(&n, Security::AllowInsecure).unwrap();
            assert_eq!(
                (again.id, public.id, key.public().id),
                (key.id, key.id, key.id)
            );
            assert!(public.number(KeyNumber::P).is_err());
            assert!(key.public().number(KeyNumber::Lambda).is_err());
            assert!(StoreKey::from_primes(&p, &q, Security::Required).is_err());
            assert!(StoreKey::from_modulus(&n, Security::Required).is_err());
            assert!(StoreKey::from_primes(&p, &p, Security::AllowInsecure).is_err());
        }
    }

    #[test]
    fn absurd_sizes_are_refused() {
        for bits in [0, 5, 33, 1 << 20] {
            assert!(StoreKey::generate(bits, Security::AllowInsecure).is_err());
        }
        assert!(StoreKey::generate(30, Security::Required).is_err());
        assert!(StoreKey::from_modulus(&[], Security::AllowInsecure).is_err());
        assert!(StoreKey::from_primes(&[], &[9; 3000], Security::AllowInsecure).is_err());
    }
}
