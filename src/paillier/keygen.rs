//! Key generation (Damgård, Jurik, Nielsen 2010, section 4; with short exponents Ma, Han, Lei 2021, section 3).

use super::{MAX_KEY_BITS, MIN_KEY_BITS, PrivateKey, Security};
use crate::error::{Error, Result};
use crate::modular::{clear_freed_integers, integer_from_limbs};
use crate::random::Random;
use rug::Integer;
use rug::integer::{IsPrime, Order};

/// The smallest key with short exponents; for tests.
pub const MIN_SHORT_EXPONENT_KEY_BITS: u32 = 64;

/// Rounds of GMP's test (Baillie–PSW first, then Miller–Rabin).
const PRIMALITY_ROUNDS: u32 = 40;

fn is_prime(candidate: &Integer) -> bool {
    candidate.is_probably_prime(PRIMALITY_ROUNDS) != IsPrime::No
}

/// How long the random exponents of a key's encryptions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExponentLength {
    /// Half as long as N: what Damgård, Jurik and Nielsen prove from the usual assumptions.
    #[default]
    Half,
    /// [`short_exponent_bits`], 448 at 2048 bits and 512 at 3072: the random parts of ciphertexts lie in a
    /// subgroup of that size, so that decryption is four to five times, encryption twice and
    /// re-randomisation four times as fast (Ma, Han, Lei: Optimized Paillier's cryptosystem with fast
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

    /// Whether these are primes, and f divides prime − 1 once.
    pub fn is_sound(&self) -> bool {
        is_prime(&self.prime)
            && self.subgroup.as_ref().is_none_or(|f| {
                let order = Integer::from(&self.prime - 1u32);
                *f > 2 && is_prime(f) && order.is_divisible(f) && !(order / f).is_divisible(f)
            })
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
/// product is the order of h, four times the security level that a modulus of `key_bits` bits has
/// (112 bits at 2048, 128 at 3072, 192 at 7680, 256 at 15360; Ma et al. 2021, table 1). Toy keys get a
/// quarter of N.
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
            let (p, q) = rayon::join(|| factor(half), || factor(half));
            let (p, q) = (p?, q?);
            let gcd = Integer::from(&p.prime - 1u32).gcd(&Integer::from(&q.prime - 1u32));
            // Far apart, so that Fermat's method does not factor N. Toy keys cannot be.
            let distance = Integer::from(&p.prime - &q.prime).significant_bits();
            if gcd != 2 || distance <= half.saturating_sub(100) {
                continue;
            }
            let h_s = base(&p, &q, random)?;
            // In a tiny group h may happen to be 1.
            if h_s > 1 {
                return Self::new(&p, &q, &h_s, security);
            }
        }
    }

    /// The key of other software with these factors, big-endian: two primes of one length whose
    /// product has twice as many bits. Its randomness base is drawn anew.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Limit`], [`Error::Insecure`].
    pub fn from_primes(p: &[u8], q: &[u8], security: Security) -> Result<Self> {
        let most = MAX_KEY_BITS as usize / 8;
        Error::check_limit("bytes of a prime", p.len().max(q.len()), most)?;
        clear_freed_integers();
        let [p, q] = [p, q].map(|prime| Integer::from_digits(prime, Order::Msf));
        let (n, half) = (Integer::from(&p * &q), p.significant_bits());
        if p == q
            || q.significant_bits() != half
            || n.significant_bits() != 2 * half
            || !is_prime(&p)
            || !is_prime(&q)
        {
            return Err(Error::malformed(
                "private key",
                "its factors are not two primes of one length with a product of twice as many bits",
            ));
        }
        security.check(n.significant_bits())?;
        let [p, q] = [p, q].map(Factor::of_full_order);
        Self::new(&p, &q, &base(&p, &q, &Random::os())?, security)
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
            let r = Integer::from(about / &f / 2u32) | 1u32;
            let prime = Integer::from(&f * &r) * 2u32 + 1u32;
            let in_range = prime.significant_bits() == bits && prime >= least(bits);
            if in_range && !r.is_divisible(&f) && is_prime(&prime) {
                let subgroup = Some(f);
                return Ok(Factor { prime, subgroup });
            }
        }
    }
}

/// h_s = h^N mod N², h = −x^(2c) mod N for a random unit x and the product c of the cofactors: a
/// square of the full order's group, or of its subgroup.
fn base(p: &Factor, q: &Factor, random: &Random) -> Result<Integer> {
    let n = Integer::from(&p.prime * &q.prime);
    let exponent = Integer::from(2) * p.cofactor() * q.cofactor();
    let bits = n.significant_bits() as usize;
    loop {
        let x = integer_from_limbs(random.limbs(1, bits + 128)?.row(0)) % &n;
        if Integer::from(x.gcd_ref(&n)) != 1 {
            continue;
        }
        let power = x.secure_pow_mod(&exponent, &n);
        let generates = |f: &Factor| f.subgroup.is_none() || Integer::from(&power % &f.prime) != 1;
        if generates(p) && generates(q) {
            let square = Integer::from(n.square_ref());
            let h = Integer::from(&n - &power);
            return Ok(h.pow_mod(&n, &square).expect("positive exponent"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modular::Limbs;
    use crate::paillier::{Encrypt, PublicKey};
    use crate::wire::{Kind, Reader};

    fn toy(bits: u32) -> PrivateKey {
        PrivateKey::generate(bits, Security::AllowInsecure).unwrap()
    }

    fn rows(values: &[u64], width: usize) -> Limbs {
        let mut out = Limbs::zeros(values.len(), width);
        for (i, &v) in values.iter().enumerate() {
            out.row_mut(i)[0] = v;
        }
        out
    }

    #[test]
    fn every_plaintext_of_a_tiny_key_comes_back_from_both_keys() {
        for bits in [16, 18] {
            for _ in 0..3 {
                let key = toy(bits);
                let n = key.public().modulus().limbs()[0];
                assert_eq!(key.public().bits(), bits);
                let all: Vec<u64> = (0..n).step_by(7).chain([n - 1]).collect();
                let random = Random::os();
                for encrypted in [
                    key.encrypt(&rows(&all, 1), &random).unwrap(),
                    key.public().encrypt(&rows(&all, 1), &random).unwrap(),
                ] {
                    assert_eq!(key.decrypt(&encrypted).unwrap().words(), &all[..]);
                }
            }
        }
    }

    fn little_endian(limbs: &[u64]) -> Vec<u8> {
        limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect()
    }

    fn short(bits: u32) -> PrivateKey {
        PrivateKey::generate_as(bits, ExponentLength::Short, Security::AllowInsecure).unwrap()
    }

    #[test]
    fn sizes_around_limb_borders_work() {
        let sizes = [62, 64, 66, 126, 128, 130, 190, 192, 194, 256, 510, 512];
        let long_enough = |bits: &&u32| **bits >= MIN_SHORT_EXPONENT_KEY_BITS;
        let keys = sizes.iter().map(|&bits| toy(bits));
        let short = sizes.iter().filter(long_enough).map(|&bits| short(bits));
        for key in keys.chain(short) {
            let public = key.public();
            let bits = public.bits();
            let foreign =
                PublicKey::from_modulus(&public.modulus_bytes(), Security::AllowInsecure).unwrap();
            assert_eq!(foreign.id(), public.id());
            let random = Random::os();
            let n = integer_from_limbs(public.modulus().limbs());
            let width = public.modulus().width();
            let mut m = rows(&[0, 1, 12345, 0], width);
            m.row_mut(3)
                .copy_from_slice(&crate::modular::limbs_of(&Integer::from(&n - 1u32), width));
            for encrypted in [
                key.encrypt(&m, &random).unwrap(),
                public.encrypt(&m, &random).unwrap(),
                public
                    .rerandomize(&public.embed(&m), public.order_bits() + 40, &random)
                    .unwrap(),
                foreign.encrypt(&m, &random).unwrap(),
            ] {
                assert_eq!(key.decrypt(&encrypted).unwrap(), m);
            }
            let again = PrivateKey::from_bytes(&key.to_bytes(), Security::AllowInsecure).unwrap();
            assert_eq!(
                again.decrypt(&key.encrypt(&m, &random).unwrap()).unwrap(),
                m
            );
            assert_eq!((again.public().bits(), n.significant_bits()), (bits, bits));
            let copy = PublicKey::from_bytes(&public.to_bytes(), Security::AllowInsecure).unwrap();
            assert_eq!(copy.exponent_bits(), public.exponent_bits());
            assert_eq!(again.public().exponent_bits(), public.exponent_bits());
        }
    }

    /// The order of h_s is twice the product of the subgroups' orders, no less.
    #[test]
    fn short_exponents_generate_a_subgroup_of_the_promised_order() {
        for bits in [64, 128, 256] {
            let key = short(bits);
            let exponents = key.public().exponent_bits();
            assert_eq!(exponents, bits / 8 * 2);
            assert!(
                key.public().has_short_exponents() && !toy(bits).public().has_short_exponents()
            );
            let bytes = key.to_bytes();
            let mut r = Reader::new(Kind::ShortPrivateKey, &bytes).unwrap();
            let mut number =
                |bits: u32| integer_from_limbs(&r.limbs(bits.div_ceil(64) as usize).unwrap());
            number(64);
            let (p, q) = (number(bits / 2), number(bits / 2));
            let n = Integer::from(&p * &q);
            let square = Integer::from(n.square_ref());
            let h_s = number(square.significant_bits());
            number(64);
            let (f, g) = (number(exponents / 2), number(exponents / 2));
            let power = |e: Integer| h_s.clone().pow_mod(&e, &square).unwrap();
            let order = Integer::from(2) * &f * &g;
            assert_eq!(power(order.clone()), 1);
            for divisor in [Integer::from(2), f, g] {
                assert_ne!(power(Integer::from(&order / &divisor)), 1, "{divisor}");
            }
        }
    }

    #[test]
    fn short_exponents_cost_less_and_take_foreign_ciphertexts_too() {
        let (full, key) = (toy(512), short(512));
        let random = Random::os();
        let m = rows(&[0, 1, 2, 3, 4, 5, 6, 7], 8);
        let cost = |key: &PrivateKey, c: &crate::modular::Residues| {
            let before = key.operations();
            assert_eq!(key.decrypt(c).unwrap(), m);
            key.operations() - before
        };
        let own = key.encrypt(&m, &random).unwrap();
        let cheap = cost(&key, &own);
        assert!(3 * cheap < cost(&full, &full.encrypt(&m, &random).unwrap()));
        let public = key.public();
        let foreign = public.uniform_zeros(8, &random).unwrap();
        let foreign = public.embed(&m).multiply(&foreign);
        assert!(cost(&key, &foreign) > 3 * cheap);
        // Ours and others' in one batch, in whatever order.
        let order = [0, 9, 2, 11, 12, 5, 14, 7];
        let mixed = crate::modular::Residues::concatenate(&[&own, &foreign]).gather(&order);
        cost(&key, &mixed);
    }

    /// What P2 sees of a re-randomised ciphertext: which power of h_s it is, in the part of the group that
    /// has the order f.
    #[test]
    fn rerandomised_ciphertexts_are_uniform_in_the_subgroup() {
        let key = short(64);
        let public = key.public();
        let p = key.primes().0;
        let h_s = integer_from_limbs(public.h_s().unwrap().row(0)) % &p;
        let is_order = |f: &u32| {
            let order = Integer::from(&p - 1u32);
            order.is_divisible_u(*f) && h_s.clone().pow_mod(&(order / f), &p).unwrap() != 1
        };
        let f = (128..256).find(|f| is_prime(&Integer::from(*f)) && is_order(f));
        let f = f.expect("the order of the subgroup has eight bits");
        let random = Random::os();
        let samples = 100 * f as usize;
        let one = public.embed(&Limbs::zeros(samples, 1));
        // Pearson's statistic has the mean f − 1 and the deviation √(2(f − 1)).
        let deviation = |bits: u32| {
            let hidden = public.rerandomize(&one, bits, &random).unwrap();
            let mut counts = std::collections::HashMap::new();
            let exponent = Integer::from(&p - 1u32) / f;
            for i in 0..samples {
                let c = integer_from_limbs(hidden.row(i)) % &p;
                *counts
                    .entry(c.pow_mod(&exponent, &p).unwrap())
                    .or_insert(0.0) += 1.0;
            }
            assert!(counts.len() <= f as usize);
            let expected = samples as f64 / f64::from(f);
            let missing = (f as usize - counts.len()) as f64 * expected;
            let found: f64 = counts.values().map(|c: &f64| (c - expected).powi(2)).sum();
            let statistic = found / expected + missing;
            (statistic - f64::from(f - 1)) / (2.0 * f64::from(f - 1)).sqrt()
        };
        let wide = deviation(public.order_bits() + 40);
        assert!(wide.abs() < 6.0, "{wide}");
        // The test would notice exponents that are not longer than the order.
        let narrow = deviation(8);
        assert!(narrow > 6.0, "{narrow}");
    }

    #[test]
    fn keys_with_wrong_short_exponents_are_refused() {
        let (key, other) = (short(256), short(256));
        let (bytes, other) = (key.to_bytes(), other.to_bytes());
        let read = |bytes: &[u8]| PrivateKey::from_bytes(bytes, Security::AllowInsecure);
        assert!(read(&bytes).is_ok());
        // The subgroups of another key; those of this one exchanged; none.
        let tail = bytes.len() - 16;
        for orders in [
            &other[tail..],
            &[&bytes[tail + 8..], &bytes[tail..tail + 8]].concat(),
            &[0; 16],
        ] {
            assert!(read(&[&bytes[..tail], orders].concat()).is_err());
        }
        // A randomness base outside the subgroup.
        let h_s = 8 + 8 + 2 * 16;
        let mut wrong = bytes.to_vec();
        let n = integer_from_limbs(key.public().modulus().limbs());
        let base = crate::modular::limbs_of(&(n.square() - 4u32), 8);
        wrong[h_s..h_s + 64].copy_from_slice(&little_endian(&base));
        assert!(read(&wrong).unwrap_err().to_string().contains("h_s"));
        // Exponents that are too short, too long or odd, in a public key.
        let public = key.public().to_bytes();
        let at = 8 + 8 + 32 + 2;
        for bits in [0u64, 14, 63, 130, 1 << 40] {
            let mut wrong = public.clone();
            wrong[at..at + 8].copy_from_slice(&bits.to_le_bytes());
            let error = PublicKey::from_bytes(&wrong, Security::AllowInsecure).unwrap_err();
            assert!(error.to_string().contains(&bits.to_string()), "{error}");
        }
    }

    #[test]
    fn real_keys_have_the_exponents_of_their_security_level() {
        for (bits, exponents) in [(2048, 448), (3072, 512), (7680, 768), (15360, 1024)] {
            assert_eq!(short_exponent_bits(bits), exponents);
        }
        let generate =
            |bits, security| PrivateKey::generate_as(bits, ExponentLength::Short, security);
        let key = generate(2048, Security::Required).unwrap();
        assert_eq!(key.public().exponent_bits(), 448);
        let mut public = key.public().to_bytes();
        assert!(PublicKey::from_bytes(&public, Security::Required).is_ok());
        let at = 8 + 8 + 256 + 2;
        public[at..at + 8].copy_from_slice(&446u64.to_le_bytes());
        let error = PublicKey::from_bytes(&public, Security::Required).unwrap_err();
        assert!(matches!(error, Error::Insecure(_)), "{error}");
        for bits in [0, 62, 65, 1 << 20] {
            assert!(generate(bits, Security::AllowInsecure).is_err());
        }
        assert!(generate(1024, Security::Required).is_err());
    }

    #[test]
    fn factors_make_the_key_again() {
        let key = toy(128);
        let [p, q] = [key.primes().0, key.primes().1].map(|p| p.to_digits::<u8>(Order::Msf));
        let again = PrivateKey::from_primes(&p, &q, Security::AllowInsecure).unwrap();
        assert_eq!(again.public().id(), key.public().id());
        let encrypted = again.encrypt(&rows(&[7], 2), &Random::os()).unwrap();
        assert_eq!(key.decrypt(&encrypted).unwrap().row(0), [7, 0]);
        for (p, q) in [(&p[..], &p[..]), (&p, &q[1..]), (&[], &[]), (&p, &[255; 8])] {
            assert!(PrivateKey::from_primes(p, q, Security::AllowInsecure).is_err());
        }
        assert!(PrivateKey::from_primes(&p, &q, Security::Required).is_err());
        assert!(PrivateKey::from_primes(&p, &[1; 3000], Security::AllowInsecure).is_err());
    }

    #[test]
    fn small_odd_and_absurd_sizes_are_refused() {
        for bits in [0, 15, 17, 1024, 2047, 1 << 20, u32::MAX] {
            assert!(PrivateKey::generate(bits, Security::Required).is_err());
        }
        for bits in [0, 14, 17, 1 << 20] {
            assert!(PrivateKey::generate(bits, Security::AllowInsecure).is_err());
        }
        let key = toy(256);
        assert!(PrivateKey::from_bytes(&key.to_bytes(), Security::Required).is_err());
        assert!(PublicKey::from_bytes(&key.public().to_bytes(), Security::Required).is_err());
    }

    #[test]
    fn keys_do_not_pass_for_each_other_and_debug_shows_no_secret() {
        let key = toy(128);
        let (private, public) = (key.to_bytes(), key.public().to_bytes());
        let error = PublicKey::from_bytes(&private, Security::AllowInsecure).unwrap_err();
        assert!(error.to_string().contains("private key"), "{error}");
        assert!(PrivateKey::from_bytes(&public, Security::AllowInsecure).is_err());
        for key in [key, short(128)] {
            let (private, public) = (key.to_bytes(), key.public().to_bytes());
            for cut in 0..private.len() {
                assert!(PrivateKey::from_bytes(&private[..cut], Security::AllowInsecure).is_err());
            }
            for cut in 0..public.len() {
                assert!(PublicKey::from_bytes(&public[..cut], Security::AllowInsecure).is_err());
            }
            let text = format!("{key:?}");
            assert!(text.len() < 60, "{text}");
        }
    }
}
