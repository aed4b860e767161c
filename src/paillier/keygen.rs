//! Key generation (Damgård, Jurik, Nielsen 2010, section 4; with short exponents Ma, Han, Lei 2021).

use super::soundness::{check_factors, common_factor, far_apart, has_small_order};
use super::{MAX_KEY_BITS, MIN_KEY_BITS, PrivateKey, Security};
use crate::error::{Error, Result};
use crate::modular::{clear_freed_integers, integer_from_limbs};
use crate::parallel;
use crate::random::Random;
use rug::Integer;
use rug::integer::{IsPrime, Order};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The smallest key with short exponents; for tests.
pub const MIN_SHORT_EXPONENT_KEY_BITS: u32 = 64;

/// Rounds of GMP's test (Baillie–PSW first, then Miller–Rabin).
const PRIMALITY_ROUNDS: u32 = 40;

pub(super) fn is_prime(candidate: &Integer) -> bool {
    candidate.is_probably_prime(PRIMALITY_ROUNDS) != IsPrime::No
}

/// How long the random exponents of a key's encryptions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExponentLength {
    /// Half as long as N (Damgård, Jurik, Nielsen 2010).
    #[default]
    Half,
    /// [`short_exponent_bits`], 448 at 2048 bits and 512 at 3072: the random parts of ciphertexts lie in a
    /// subgroup of that size, so that decryption is about four (2048) to five (3072) times, encryption
    /// twice and re-randomisation four times as fast (Ma, Han, Lei: Optimized Paillier's cryptosystem with fast
    /// encryption and decryption, ACSAC 2021).
    ///
    /// It rests on one more assumption: that random elements of the subgroup look like random residues
    /// to those who do not know the factors of N. `SECURITY.md` says more.
    Short,
}

/// A prime factor of N, and how the random parts of ciphertexts behave modulo it.
pub(super) struct Factor {
    pub prime: Integer,
    /// For keys with short exponents the odd prime f | prime − 1 such that h has the order 2f.
    pub subgroup: Option<Integer>,
}

impl Factor {
    fn of_full_order(prime: Integer) -> Self {
        Self {
            prime,
            subgroup: None,
        }
    }

    /// Whether there is a prime f that divides prime − 1 once, and the prime is 3 mod 4.
    pub fn has_subgroup(&self) -> bool {
        self.subgroup.as_ref().is_some_and(|f| {
            let order = Integer::from(&self.prime - 1u32);
            self.is_3_mod_4()
                && *f > 2
                && is_prime(f)
                && order.is_divisible(f)
                && !(order / f).is_divisible(f)
        })
    }

    fn is_3_mod_4(&self) -> bool {
        self.prime.mod_u(4) == 3
    }

    /// (prime − 1) / 2f; 1 without a subgroup, whose order then is all of (prime − 1) / 2.
    fn cofactor(&self) -> Integer {
        match &self.subgroup {
            None => Integer::from(1),
            Some(f) => Integer::from(&self.prime - 1u32) / f / 2u32,
        }
    }
}

/// Bits of the random exponents of a key with short exponents: twice the length of the primes whose
/// product is the order of h, four times the security level that a modulus of `key_bits` bits has: 112
/// bits at 2048, 128 at 3072, 192 at 7680 (so far Ma, Han, Lei 2021), 256 at 15360. Toy keys get a quarter
/// of N.
pub fn short_exponent_bits(key_bits: u32) -> u32 {
    match key_bits {
        15360.. => 1024,
        7680.. => 768,
        3072.. => 512,
        2048.. => 448,
        toy => toy / 8 * 2,
    }
}

impl PrivateKey {
    /// A fresh key with a modulus of exactly `bits` bits (even), from the operating system's
    /// generator. See [`super::DEFAULT_KEY_BITS`].
    pub fn generate(bits: u32, security: Security) -> Result<Self> {
        Self::generate_with(bits, security, &Random::os())
    }

    /// As [`PrivateKey::generate`], from the given randomness.
    pub fn generate_with(bits: u32, security: Security, random: &Random) -> Result<Self> {
        Self::draw(bits, security, random, |half| {
            Ok(Factor::of_full_order(prime(half, random)?))
        })
    }

    /// As [`PrivateKey::generate`], with exponents of the given length.
    ///
    /// # Errors
    /// As [`PrivateKey::generate`]; [`Error::InvalidArgument`] for short exponents below
    /// [`MIN_SHORT_EXPONENT_KEY_BITS`] bits.
    pub fn generate_as(bits: u32, exponents: ExponentLength, security: Security) -> Result<Self> {
        if exponents == ExponentLength::Half {
            return Self::generate(bits, security);
        }
        security.check(bits)?;
        if bits < MIN_SHORT_EXPONENT_KEY_BITS {
            return Err(Error::invalid(format!(
                "a key with short exponents has {MIN_SHORT_EXPONENT_KEY_BITS} bits at least, not {bits}"
            )));
        }
        let (random, subgroup) = (Random::os(), short_exponent_bits(bits) / 2);
        Self::draw(bits, security, &random, |half| {
            prime_with_subgroup(half, subgroup, &random)
        })
    }

    fn draw(
        bits: u32,
        security: Security,
        random: &Random,
        factor: impl Fn(u32) -> Result<Factor> + Sync,
    ) -> Result<Self> {
        security.check(bits)?;
        if !bits.is_multiple_of(2) {
            return Err(Error::invalid(format!(
                "a key has an even number of bits, not {bits}: its two primes are equally long"
            )));
        }
        clear_freed_integers();
        let half = bits / 2;
        loop {
            let (p, q) = parallel::join(|| factor(half), || factor(half));
            let (p, q) = (p?, q?);
            if common_factor(&p.prime, &q.prime) == 2 && far_apart(&p.prime, &q.prime) {
                let draw = |bytes: &mut [u8]| random.fill(bytes);
                let h_s = base(&p, &q, draw)?;
                return Self::new(&p, &q, &h_s, security);
            }
        }
    }

    /// The key of other software with these factors, big-endian: two primes of one length whose
    /// product has twice as many bits.
    ///
    /// Its randomness base follows from the primes, in whatever order they come, so that everybody who has
    /// them gets the same key with the same id.
    ///
    /// # Errors
    /// [`Error::Malformed`], also for primes that make N easy to factor; [`Error::Limit`], [`Error::Insecure`].
    pub fn from_primes(p: &[u8], q: &[u8], security: Security) -> Result<Self> {
        let most = MAX_KEY_BITS as usize / 8;
        Error::check_limit("bytes of a prime", p.len().max(q.len()), most)?;
        clear_freed_integers();
        let mut primes = [p, q].map(|prime| Integer::from_digits(prime, Order::Msf));
        primes.sort();
        let [p, q] = primes.map(Factor::of_full_order);
        check_factors(&p, &q)?;
        security.check(2 * p.prime.significant_bits())?;
        let mut stream = Expansion::of(&p.prime, &q.prime);
        let h_s = base(&p, &q, |bytes: &mut [u8]| {
            stream.fill(bytes);
            Ok(())
        })?;
        Self::new(&p, &q, &h_s, security)
    }
}

/// The lowest number of the range that factors of N come from: a product of two has exactly twice as
/// many bits.
fn least(bits: u32) -> Integer {
    Integer::from(3) << (bits - 2)
}

/// A random prime of exactly `bits` bits, 3 mod 4, above 3/4 · 2^bits.
fn prime(bits: u32, random: &Random) -> Result<Integer> {
    debug_assert!(bits >= MIN_KEY_BITS / 2);
    loop {
        let candidate = integer_from_limbs(random.limbs(1, bits as usize)?.row(0));
        let candidate = candidate | least(bits) | 3u32;
        if is_prime(&candidate) {
            return Ok(candidate);
        }
    }
}

/// As [`prime`], 2fr + 1 with a random prime f of `subgroup` bits and a random odd r that f does not
/// divide.
fn prime_with_subgroup(bits: u32, subgroup: u32, random: &Random) -> Result<Factor> {
    loop {
        let f = integer_from_limbs(random.limbs(1, subgroup as usize)?.row(0));
        let f = f | (Integer::from(1) << (subgroup - 1)) | 1u32;
        if !is_prime(&f) {
            continue;
        }
        // One in bits·ln 2 / 4 is a prime. A tiny f may have no prime at all, so give up some time.
        for _ in 0..4 * bits {
            let about = integer_from_limbs(random.limbs(1, bits as usize)?.row(0)) | least(bits);
            let r = (about / &f / 2u32) | 1u32;
            let prime = Integer::from(&f * &r) * 2u32 + 1u32;
            let in_range = prime.significant_bits() == bits && prime >= least(bits);
            if in_range && !r.is_divisible(&f) && is_prime(&prime) {
                let subgroup = Some(f);
                return Ok(Factor { prime, subgroup });
            }
        }
    }
}

/// h_s = h^N mod N², h = ±x^(2c) mod N for a random unit x and the product c of the cofactors: up to its
/// sign a square of the full order's group, or of its subgroup.
///
/// The sign is negative where both primes are 3 mod 4: h then has the Jacobi symbol 1, as all its powers. With
/// one prime that is 1 mod 4, which primes of other software may be, the symbol of −x² would be −1, and that of a
/// ciphertext would show whether its exponent is even.
fn base(p: &Factor, q: &Factor, mut fill: impl FnMut(&mut [u8]) -> Result<()>) -> Result<Integer> {
    let n = Integer::from(&p.prime * &q.prime);
    let exponent = Integer::from(2) * p.cofactor() * q.cofactor();
    let negative = p.is_3_mod_4() && q.is_3_mod_4();
    // 128 bits more than N make the remainder uniform up to 2^−128.
    let mut bytes = Zeroizing::new(vec![0; n.significant_bits().div_ceil(8) as usize + 16]);
    loop {
        fill(&mut bytes)?;
        let x = Integer::from_digits(&bytes, Order::Lsf) % &n;
        if Integer::from(x.gcd_ref(&n)) != 1 {
            continue;
        }
        let power = x.secure_pow_mod(&exponent, &n);
        if [p, q].iter().any(|f| has_small_order(&power, &f.prime)) {
            continue;
        }
        let square = Integer::from(n.square_ref());
        let h = if negative {
            Integer::from(&n - &power)
        } else {
            power
        };
        return Ok(h.pow_mod(&n, &square).expect("positive exponent"));
    }
}

/// Bytes that follow from two primes, and look random to whoever does not have these: SHA-256 in counter mode.
struct Expansion {
    seed: Zeroizing<[u8; 32]>,
    next: u64,
}

impl Expansion {
    fn of(p: &Integer, q: &Integer) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"smlp: randomness base of two primes, version 1");
        for prime in [p, q] {
            hash.update(&*Zeroizing::new(prime.to_digits::<u8>(Order::Msf)));
        }
        Self {
            seed: Zeroizing::new(hash.finalize().into()),
            next: 0,
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let mut hash = Sha256::new();
            hash.update(self.seed.as_slice());
            hash.update(self.next.to_le_bytes());
            self.next += 1;
            let block: Zeroizing<[u8; 32]> = Zeroizing::new(hash.finalize().into());
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests;
