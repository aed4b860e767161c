//! The private key: decryption and fast encryption modulo p² and q², in constant time.

use super::keygen::Factor;
use super::public_key::Base;
use super::{Encrypt, MAX_KEY_BITS, PublicKey, Security, secret_file};
use crate::error::{Error, Result};
use crate::modular::exponentiation::{Exponents, power};
use crate::modular::{
    Comb, Limbs, Modulus, Residues, Ring, add_masked, backend, clear_freed_integers, get_or_make,
    integer_from_limbs, limbs_of, secret_product, secret_remainder, subtract,
};
use crate::random::Random;
use crate::wire::{Kind, Reader, Writer};
use rug::Integer;
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
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

/// What is needed modulo one prime factor.
struct Half {
    prime: Modulus,
    /// Arithmetic modulo the prime and modulo its square.
    ring: Arc<dyn Ring>,
    square_ring: Arc<dyn Ring>,
    /// prime^−1 mod 2^(64·width), for exact division by the prime.
    low_inverse: Zeroizing<Vec<u64>>,
    /// Decryption of any ciphertext.
    full: Opening,
    /// Decryption of those whose random parts are powers of h_s, for keys with short exponents.
    short: Option<Short>,
    /// Powers of h_s modulo prime².
    comb: OnceLock<Comb>,
}

/// An exponent e that takes the random part out of a ciphertext.
struct Opening {
    exponent: Limbs,
    bits: usize,
    /// L((1+N)^e mod prime²)^−1 mod prime.
    h: Residues,
}

struct Short {
    opening: Opening,
    /// f: the exponent is 2f, the order of h modulo the prime.
    subgroup: Zeroizing<Vec<u64>>,
}

impl Half {
    fn new(factor: &Factor, other: &Integer) -> Result<Self> {
        let prime = &factor.prime;
        let width = prime.significant_digits::<u64>();
        let limbs = limbs_of(prime, width);
        let modulus = Modulus::new(&limbs)?;
        let ring = backend()?.ring(modulus.clone());
        let square_ring = backend()?.square_ring(modulus.clone());
        let opening = |exponent: Integer| -> Result<Opening> {
            // (1+N)^e = 1 + eN mod p², so L gives e·q mod p.
            let h = Integer::from(&exponent * other)
                .invert(prime)
                .map_err(|_| Error::malformed("private key", "its two factors are not coprime"))?;
            Ok(Opening {
                bits: exponent.significant_bits() as usize,
                exponent: Limbs::from_words(limbs_of(&exponent, width).to_vec(), width),
                h: Residues::from_limbs(&ring, limbs_of(&h, width).to_vec())?,
            })
        };
        let short = |f: &Integer| -> Result<Short> {
            Ok(Short {
                opening: opening(Integer::from(f * 2u32))?,
                subgroup: limbs_of(f, f.significant_digits::<u64>()),
            })
        };
        let power_of_two = Integer::from(1) << (64 * width as u32);
        let low_inverse = Integer::from(prime.invert_ref(&power_of_two).expect("primes are odd"));
        Ok(Self {
            full: opening(Integer::from(prime - 1u32))?,
            short: factor.subgroup.as_ref().map(short).transpose()?,
            low_inverse: limbs_of(&low_inverse, width),
            prime: modulus,
            ring,
            square_ring,
            comb: OnceLock::new(),
        })
    }

    /// Rows modulo the square of the prime.
    fn reduce(&self, rows: &Limbs) -> Residues {
        let rest = secret_remainder(rows, self.square_ring.modulus().limbs());
        Residues::from_limbs(&self.square_ring, rest.words().to_vec())
            .expect("remainders are small")
    }

    /// Plaintexts modulo the prime.
    ///
    /// With a short exponent too, which random parts outside ⟨h_s⟩ survive: those of other software, under a
    /// key that it knows by its modulus. These are decrypted in full, which is no more secret than where a
    /// ciphertext comes from.
    fn decrypt(&self, ciphertexts: &Limbs) -> Residues {
        let rows = self.reduce(ciphertexts);
        let Some(short) = &self.short else {
            return self.plaintexts(&self.powers(&rows, &self.full), &self.full);
        };
        let powers = self.powers(&rows, &short.opening);
        let outside = self.with_random_part(&powers);
        let plaintexts = self.plaintexts(&powers, &short.opening);
        if outside.is_empty() {
            return plaintexts;
        }
        let again = self.powers(&rows.gather(&outside), &self.full);
        let again = self.plaintexts(&again, &self.full);
        let mut order: Vec<_> = (0..plaintexts.len()).collect();
        for (at, &i) in outside.iter().enumerate() {
            order[i] = plaintexts.len() + at;
        }
        Residues::concatenate(&[&plaintexts, &again]).gather(&order)
    }

    /// c^e mod prime².
    fn powers(&self, rows: &Residues, opening: &Opening) -> Limbs {
        let exponents = Exponents::new(&opening.exponent, opening.bits);
        let powers = power(rows, &exponents);
        Limbs::from_words(
            powers.limbs().to_vec(),
            self.square_ring.modulus().limbs().len(),
        )
    }

    /// Those that are not 1 modulo the prime.
    fn with_random_part(&self, powers: &Limbs) -> Vec<usize> {
        let rest = secret_remainder(powers, self.prime.limbs());
        let differs = |row: &[u64]| row[1..].iter().fold(row[0] ^ 1, |all, limb| all | limb) != 0;
        (0..rest.rows()).filter(|&i| differs(rest.row(i))).collect()
    }

    /// L(c^e mod prime²)·h mod prime, L(x) = (x − 1)/prime.
    fn plaintexts(&self, powers: &Limbs, opening: &Opening) -> Residues {
        let (n, width) = (powers.rows(), self.prime.width());
        let mut quotients = Vec::with_capacity(n * width);
        let mut one = vec![0; width];
        one[0] = 1;
        for i in 0..n {
            // Exact division needs the low limbs alone.
            let mut low = Zeroizing::new(powers.row(i)[..width].to_vec());
            subtract(&mut low, &one);
            quotients.extend_from_slice(&secret_product(&low, &self.low_inverse)[..width]);
        }
        let quotients = Limbs::from_words(quotients, width);
        // A true ciphertext's quotient is below the prime already; a multiple of the prime, which
        // only hostile input contains, must not leave the range of the ring.
        let quotients = secret_remainder(&quotients, self.prime.limbs());
        Residues::from_limbs(&self.ring, quotients.words().to_vec())
            .expect("remainders are small")
            .multiply(&opening.h.gather(&vec![0; n]))
    }

    /// h_s^α modulo the square of the prime.
    fn power_of_base(&self, h_s: &Residues, alpha: &Limbs, bits: u32) -> Residues {
        let make = || Comb::new(&self.reduce(&one_row(h_s)), bits as usize);
        get_or_make(&self.comb, make).power(alpha, bits as usize)
    }

    fn operations(&self) -> u64 {
        self.ring.operations() + self.square_ring.operations()
    }
}

fn one_row(number: &Residues) -> Limbs {
    Limbs::from_words(number.limbs().to_vec(), number.limbs().len())
}

/// x mod p·q from a = x mod p and b = x mod q: `a + p·((b − a)·p^−1 mod q)` (Garner), in constant
/// time, `width` limbs a row. p and q may also be the squares.
fn recombine(a: &Residues, b: &Residues, p_inverse: &Residues, width: usize) -> Limbs {
    let (p, q) = (a.ring().modulus().limbs(), b.ring().modulus().limbs());
    // a may be above q: p and q have the same length, but either may be the larger.
    let a_rows = Limbs::from_words(a.limbs().to_vec(), p.len());
    let a_mod_q = match p.len() < q.len() {
        true => a_rows.clone(),
        false => secret_remainder(&a_rows, q),
    };
    let mut differences = Vec::with_capacity(b.limbs().len());
    for i in 0..b.len() {
        let mut d = Zeroizing::new(b.row(i).to_vec());
        let mut a = Zeroizing::new(a_mod_q.row(i).to_vec());
        a.resize(q.len(), 0);
        let borrow = subtract(&mut d, &a);
        add_masked(&mut d, q, borrow.wrapping_neg());
        differences.extend_from_slice(&d);
    }
    let h = Residues::from_limbs(b.ring(), differences)
        .expect("differences are reduced")
        .multiply(&p_inverse.gather(&vec![0; b.len()]));
    let mut out = Limbs::zeros(b.len(), width);
    for i in 0..b.len() {
        let mut x = secret_product(h.row(i), p);
        let mut a = Zeroizing::new(a_rows.row(i).to_vec());
        a.resize(x.len(), 0);
        add_masked(&mut x, &a, u64::MAX);
        let used = width.min(x.len());
        out.row_mut(i)[..used].copy_from_slice(&x[..used]);
    }
    out
}

impl PrivateKey {
    /// From the two factors and h_s.
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
        let (m_p, m_q) = rayon::join(|| self.0.p.decrypt(&rows), || self.0.q.decrypt(&rows));
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

    /// The file format: header, bits of N (u64), p, q (each ⌈bits/128⌉ limbs), h_s. Keys with short
    /// exponents have a header of their own, and then the bits of these (u64) and the orders of the
    /// subgroups, primes that divide p − 1 and q − 1, of half as many bits. Keep it secret; the buffer is
    /// cleared on drop.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let inner = &*self.0;
        let mut w = Writer::new(match inner.public.has_short_exponents() {
            true => Kind::ShortPrivateKey,
            false => Kind::PrivateKey,
        });
        w.u64(inner.public.bits().into());
        w.limbs(inner.p.prime.limbs());
        w.limbs(inner.q.prime.limbs());
        w.limbs(inner.public.h_s().expect("private keys are ours").row(0));
        if let (Some(p), Some(q)) = (&inner.p.short, &inner.q.short) {
            w.u64(inner.public.exponent_bits().into());
            w.limbs(&p.subgroup);
            w.limbs(&q.subgroup);
        }
        Zeroizing::new(w.finish())
    }

    /// Reads [`PrivateKey::to_bytes`].
    pub fn from_bytes(bytes: &[u8], security: Security) -> Result<Self> {
        clear_freed_integers();
        let short = Kind::of(bytes) == Some(Kind::ShortPrivateKey);
        let mut r = match short {
            true => Reader::new(Kind::ShortPrivateKey, bytes)?,
            false => Reader::new(Kind::PrivateKey, bytes)?,
        };
        let bits = r.size("key bits", MAX_KEY_BITS as usize)?;
        let (p, q) = (secret(&mut r, bits / 2)?, secret(&mut r, bits / 2)?);
        let n = Integer::from(&p * &q);
        if p.is_even()
            || q.is_even()
            || p == q
            || p.significant_bits() as usize != bits / 2
            || q.significant_bits() as usize != bits / 2
            || n.significant_bits() as usize != bits
        {
            return Err(r.error(format!(
                "its factors are not two odd numbers of {} bits with a product of {bits}",
                bits / 2
            )));
        }
        let h_s = integer_from_limbs(
            &r.limbs(Integer::from(n.square_ref()).significant_digits::<u64>())?,
        );
        let subgroups = match short {
            false => [None, None],
            true => {
                let each = r.size("bits of short exponents", bits)? / 2;
                [Some(secret(&mut r, each)?), Some(secret(&mut r, each)?)]
            }
        };
        r.finish()?;
        let [f_p, f_q] = subgroups;
        let factors = [(p, f_p), (q, f_q)].map(|(prime, subgroup)| Factor { prime, subgroup });
        if !factors.iter().all(Factor::is_sound) {
            return Err(Error::malformed(
                "private key",
                "its factors are not prime, or the orders of its subgroups are no prime factors of p - 1 and q - 1",
            ));
        }
        let key = Self::new(&factors[0], &factors[1], &h_s, security)?;
        key.check_subgroups()?;
        Ok(key)
    }

    /// With short exponents, decryption relies on the order of h_s.
    fn check_subgroups(&self) -> Result<()> {
        let inner = &*self.0;
        let h_s = one_row(inner.public.h_s().expect("private keys are ours"));
        let has_order = |half: &Half| {
            half.short.as_ref().is_none_or(|short| {
                let powers = half.powers(&half.reduce(&h_s), &short.opening);
                half.with_random_part(&powers).is_empty()
            })
        };
        match has_order(&inner.p) && has_order(&inner.q) {
            true => Ok(()),
            false => Err(Error::malformed(
                "private key",
                "its randomness base h_s does not have the order that its subgroups have",
            )),
        }
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
        let (c_p, c_q) = rayon::join(|| half(&inner.p), || half(&inner.q));
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
