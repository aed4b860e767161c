//! The private key: both halves together, and its file format.

use super::half::{Half, recombine};
use super::keygen::Factor;
use super::public_key::Base;
use super::soundness::{check_base_with, check_factors, remember};
use super::{Encrypt, MAX_KEY_BITS, PublicKey, Security, secret_file};
use crate::error::{Error, Result};
use crate::modular::{Limbs, Residues, Ring, clear_freed_integers, integer_from_limbs, limbs_of};
use crate::parallel;
use crate::random::Random;
use crate::wire::{Kind, Reader, Writer};
use rug::Integer;
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A private key is far below that; whatever is longer is not one.
const MAX_FILE_BYTES: usize = 1 << 16;

/// The factors of N and what follows from them. Cheap to clone; cleared when the last clone goes.
#[derive(Clone)]
pub struct PrivateKey(Arc<Inner>);

struct Inner {
    public: PublicKey,
    p: Half,
    q: Half,
    /// p^−1 mod q and p^−2 mod q², for recombination.
    p_inverse: Residues,
    p2_inverse: Residues,
}

impl PrivateKey {
    /// From the two factors, which go together, and h_s.
    ///
    /// # Errors
    /// [`Error::Malformed`] for an h_s that does not belong to them or hides nothing; [`Error::Insecure`].
    pub(super) fn new(p: &Factor, q: &Factor, h_s: &Integer, security: Security) -> Result<Self> {
        clear_freed_integers();
        let bits = |f: &Factor| f.subgroup.as_ref().map(Integer::significant_bits);
        let short = match (bits(p), bits(q)) {
            (Some(p), Some(q)) => Some(p + q),
            _ => None,
        };
        let (half_p, half_q) = (Half::new(p, &q.prime)?, Half::new(q, &p.prime)?);
        let (p, q) = (&p.prime, &q.prime);
        let n = Integer::from(p * q);
        let public = PublicKey::new(&n, Some(Base { h_s, short }), security)?;
        let inverse = |of: &Integer, modulus: &Integer, ring: &Arc<dyn Ring>| -> Result<Residues> {
            let value = of
                .clone()
                .invert(modulus)
                .map_err(|_| Error::malformed("private key", "its two factors are not coprime"))?;
            Residues::from_limbs(ring, limbs_of(&value, ring.modulus().width()).to_vec())
        };
        let (p2, q2) = (Integer::from(p.square_ref()), Integer::from(q.square_ref()));
        check_base_with(h_s, [p, q])?;
        let base = public.h_s().expect("it was given");
        if !half_p.suits(base) || !half_q.suits(base) {
            return Err(Error::malformed(
                "private key",
                "its randomness base h_s is no N-th residue of the order that its factors say; what it encrypts \
                 could not be decrypted",
            ));
        }
        remember(public.id(), public.bits());
        Ok(Self(Arc::new(Inner {
            p_inverse: inverse(p, q, &half_q.ring)?,
            p2_inverse: inverse(&p2, &q2, &half_q.square_ring)?,
            public,
            p: half_p,
            q: half_q,
        })))
    }

    /// Plaintexts modulo N, in constant time. `ciphertexts` are below N².
    pub fn decrypt(&self, ciphertexts: &Residues) -> Result<Limbs> {
        let width = ciphertexts.ring().modulus().width();
        let rows = Limbs::from_words(ciphertexts.limbs().to_vec(), width);
        let (m_p, m_q) = parallel::join(|| self.0.p.decrypt(&rows), || self.0.q.decrypt(&rows));
        let width = self.0.public.modulus().width();
        Ok(recombine(&m_p, &m_q, &self.0.p_inverse, width))
    }

    /// 32 bytes that only holders of this key can make, different for every label.
    pub(crate) fn derive_secret(&self, label: &str) -> Zeroizing<[u8; 32]> {
        let mut hash = Sha256::new();
        hash.update(label.as_bytes());
        hash.update([0]);
        hash.update(&*self.to_bytes());
        Zeroizing::new(hash.finalize().into())
    }

    /// The prime factors of N.
    pub(crate) fn primes(&self) -> (Integer, Integer) {
        let prime = |half: &Half| integer_from_limbs(half.prime.limbs());
        (prime(&self.0.p), prime(&self.0.q))
    }

    /// Modular operations done with this key so far, modulo p, q and their squares.
    pub fn operations(&self) -> u64 {
        self.0.p.operations() + self.0.q.operations()
    }

    /// The file format: header, SHA-256 of what follows and of its kind (32 bytes), bits of N (u64), p, q (each
    /// ⌈bits/128⌉ limbs), h_s. Keys with short exponents have a header of their own, and then the bits of these
    /// (u64) and the orders of the subgroups, primes that divide p − 1 and q − 1, of half as many bits. Keep it
    /// secret; the buffer is cleared on drop.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let inner = &*self.0;
        let mut w = Writer::default();
        w.u64(inner.public.bits().into());
        w.limbs(inner.p.prime.limbs());
        w.limbs(inner.q.prime.limbs());
        w.limbs(inner.public.h_s().expect("private keys are ours").row(0));
        if let (Some(p), Some(q)) = (&inner.p.short, &inner.q.short) {
            w.u64(inner.public.exponent_bits().into());
            w.limbs(&p.subgroup);
            w.limbs(&q.subgroup);
        }
        Zeroizing::new(w.finish_with_fingerprint(kind(inner.public.has_short_exponents())))
    }

    /// Reads [`PrivateKey::to_bytes`].
    ///
    /// # Errors
    /// [`Error::Malformed`] for damaged files, and for factors and an h_s that do not go together or make a weak
    /// key; [`Error::Limit`], [`Error::Insecure`].
    pub fn from_bytes(bytes: &[u8], security: Security) -> Result<Self> {
        clear_freed_integers();
        let short = Kind::of(bytes) == Some(Kind::ShortPrivateKey);
        let kind = kind(short);
        let mut r = Reader::new(kind, bytes)?;
        r.fingerprint(kind)?;
        let bits = r.size("key bits", MAX_KEY_BITS as usize)?;
        let (p, q) = (secret(&mut r, bits / 2)?, secret(&mut r, bits / 2)?);
        let n = Integer::from(&p * &q);
        if n.significant_bits() as usize != bits {
            return Err(r.error(format!("its factors do not have a product of {bits} bits")));
        }
        let h_s = integer_from_limbs(
            &r.limbs(Integer::from(n.square_ref()).significant_digits::<u64>())?,
        );
        let exponents = match short {
            false => None,
            true => Some(r.size("bits of short exponents", bits)?),
        };
        let mut subgroup = || exponents.map(|bits| secret(&mut r, bits / 2)).transpose();
        let factors = [(p, subgroup()?), (q, subgroup()?)];
        r.finish()?;
        let factors = factors.map(|(prime, subgroup)| Factor { prime, subgroup });
        let as_long = |f: &Integer| Some(2 * f.significant_bits() as usize) == exponents;
        if !factors
            .iter()
            .all(|f| f.subgroup.as_ref().is_none_or(as_long))
        {
            return Err(Error::malformed(
                "private key",
                "the orders of its subgroups are not half as long as its exponents",
            ));
        }
        let [p, q] = &factors;
        check_factors(p, q)?;
        Self::new(p, q, &h_s, security)
    }

    /// Writes the key to a new file that only its owner may read (mode 0600). An existing file is
    /// not overwritten.
    pub fn save(&self, path: &Path) -> Result<()> {
        secret_file::write(path, &self.to_bytes())
    }

    /// Reads a file that [`PrivateKey::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Insecure`] for a file that others than its owner may read or write; [`Error::Io`]; those of
    /// [`PrivateKey::from_bytes`].
    pub fn load(path: &Path, security: Security) -> Result<Self> {
        Self::from_bytes(&secret_file::read(path, MAX_FILE_BYTES)?, security)
    }
}

/// What the header of a key with or without short exponents announces.
fn kind(short: bool) -> Kind {
    match short {
        true => Kind::ShortPrivateKey,
        false => Kind::PrivateKey,
    }
}

/// A secret number of `bits` bits at most, limbs of which are written in full.
fn secret(r: &mut Reader<'_>, bits: usize) -> Result<Integer> {
    let limbs = Zeroizing::new(r.limbs(bits.div_ceil(64))?);
    Ok(integer_from_limbs(&limbs))
}

impl Encrypt for PrivateKey {
    fn public(&self) -> &PublicKey {
        &self.0.public
    }

    fn encrypt(&self, plaintexts: &Limbs, random: &Random) -> Result<Residues> {
        let inner = &*self.0;
        let (public, bits) = (&inner.public, inner.public.exponent_bits());
        let h_s = public.h_s().expect("private keys are ours");
        let alpha = random.limbs(plaintexts.rows(), bits as usize)?;
        let embedded = public.embed(plaintexts);
        let rows = Limbs::from_words(embedded.limbs().to_vec(), public.ring().modulus().width());
        let half = |half: &Half| {
            half.reduce(&rows)
                .multiply(&half.power_of_base(h_s, &alpha, bits))
        };
        let (c_p, c_q) = parallel::join(|| half(&inner.p), || half(&inner.q));
        let width = public.ring().modulus().width();
        let c = recombine(&c_p, &c_q, &inner.p2_inverse, width);
        Residues::from_limbs(public.ring(), c.words().to_vec())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "PrivateKey({} bits, {})",
            self.0.public.bits(),
            self.0.public.id()
        )
    }
}
