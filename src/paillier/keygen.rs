//! Key generation (Damgård, Jurik, Nielsen 2010, section 4).

use super::{MAX_KEY_BITS, MIN_KEY_BITS, PrivateKey, Security};
use crate::error::{Error, Result};
use crate::modular::{clear_freed_integers, integer_from_limbs};
use crate::random::Random;
use rug::Integer;
use rug::integer::{IsPrime, Order};

/// Rounds of GMP's test (Baillie–PSW first, then Miller–Rabin).
const PRIMALITY_ROUNDS: u32 = 40;

pub(super) fn is_prime(candidate: &Integer) -> bool {
    candidate.is_probably_prime(PRIMALITY_ROUNDS) != IsPrime::No
}

impl PrivateKey {
    /// A fresh key with a modulus of exactly `bits` bits (even), from the operating system's
    /// generator. See [`super::DEFAULT_KEY_BITS`].
    pub fn generate(bits: u32, security: Security) -> Result<Self> {
        Self::generate_with(bits, security, &Random::os())
    }

    /// As [`PrivateKey::generate`], from the given randomness.
    pub fn generate_with(bits: u32, security: Security, random: &Random) -> Result<Self> {
        security.check(bits)?;
        if !bits.is_multiple_of(2) {
            return Err(Error::invalid(format!(
                "a key has an even number of bits, not {bits}: its two primes are equally long"
            )));
        }
        clear_freed_integers();
        let half = bits / 2;
        loop {
            let (p, q) = rayon::join(|| prime(half, random), || prime(half, random));
            let (p, q) = (p?, q?);
            let gcd = Integer::from(&p - 1u32).gcd(&Integer::from(&q - 1u32));
            // Far apart, so that Fermat's method does not factor N. Toy keys cannot be.
            let distance = Integer::from(&p - &q).significant_bits();
            if gcd != 2 || distance <= half.saturating_sub(100) {
                continue;
            }
            let n = Integer::from(&p * &q);
            let h_s = base(&n, random)?;
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
        Self::new(&p, &q, &base(&n, &Random::os())?, security)
    }
}

/// A random prime of exactly `bits` bits, 3 mod 4, above 3/4 · 2^bits so that a product of two has
/// exactly twice as many bits.
fn prime(bits: u32, random: &Random) -> Result<Integer> {
    debug_assert!(bits >= MIN_KEY_BITS / 2);
    loop {
        let candidate = integer_from_limbs(random.limbs(1, bits as usize)?.row(0));
        let candidate = candidate | (Integer::from(3) << (bits - 2)) | 3u32;
        if is_prime(&candidate) {
            return Ok(candidate);
        }
    }
}

/// h_s = h^N mod N², h = −x² mod N for a random unit x.
fn base(n: &Integer, random: &Random) -> Result<Integer> {
    let bits = n.significant_bits() as usize;
    loop {
        let x = integer_from_limbs(random.limbs(1, bits + 128)?.row(0)) % n;
        if Integer::from(x.gcd_ref(n)) == 1 {
            let h = n - x.square() % n;
            let square = Integer::from(n.square_ref());
            return Ok(h.pow_mod(n, &square).expect("positive exponent"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modular::Limbs;
    use crate::paillier::{Encrypt, PublicKey};

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

    #[test]
    fn sizes_around_limb_borders_work() {
        for bits in [62, 64, 66, 126, 128, 130, 190, 192, 194, 256, 510, 512] {
            let key = toy(bits);
            let public = key.public();
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
                    .rerandomize(&public.embed(&m), bits + 40, &random)
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
        }
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
