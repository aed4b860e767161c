//! Keys whose N² is below 2^62, so that a ciphertext fits a signed 64-bit integer. They protect
//! nothing: such an N is factored in microseconds. They exist because programs were written for them.

use crate::error::{Error, Result};
use crate::modular::integer_from_limbs;
use crate::random::Random;
use rug::Integer;
use rug::integer::IsPrime;
use rug::ops::RemRounding;

/// The smallest modulus: 5 · 7.
pub(super) const MIN_BITS: u32 = 6;
/// The largest modulus whose square is below 2^62.
pub(super) const MAX_BITS: u32 = 31;

/// A modulus, and its factors for who holds the private key.
#[derive(Clone, Copy)]
pub(super) struct SmallKey {
    pub(super) n: u64,
    pub(super) factors: Option<(u64, u64)>,
}

impl SmallKey {
    /// Two primes with a product of exactly `bits` bits, from 6 to 31.
    pub(super) fn generate(bits: u32, random: &Random) -> Result<Self> {
        let prime = |bits: u32| -> Result<u64> {
            loop {
                let candidate = random.limbs(1, bits as usize)?.row(0)[0] | 1 << (bits - 1) | 1;
                if is_prime(candidate) {
                    return Ok(candidate);
                }
            }
        };
        loop {
            let (p, q) = (prime(bits.div_ceil(2))?, prime(bits / 2)?);
            if let Ok(key) = Self::from_primes(p, q)
                && u64::BITS - key.n.leading_zeros() == bits
            {
                return Ok(key);
            }
        }
    }

    pub(super) fn from_primes(p: u64, q: u64) -> Result<Self> {
        let n = u128::from(p) * u128::from(q);
        let totient = u128::from(p.wrapping_sub(1)) * u128::from(q.wrapping_sub(1));
        let fits = is_prime(p) && is_prime(q) && p != q && p.min(q) > 2;
        if !fits || n >> MAX_BITS != 0 || Integer::from(n).gcd(&Integer::from(totient)) != 1 {
            return Err(Error::malformed(
                "private key",
                format!("{p} and {q} are no two primes of a Paillier key"),
            ));
        }
        Self::from_modulus(n as u64).map(|key| Self {
            factors: Some((p, q)),
            ..key
        })
    }

    pub(super) fn from_modulus(n: u64) -> Result<Self> {
        if n.is_multiple_of(2) || n >> (MIN_BITS - 1) == 0 || n >> MAX_BITS != 0 {
            return Err(Error::invalid(format!(
                "{n} is no odd modulus of {MIN_BITS} to {MAX_BITS} bits"
            )));
        }
        Ok(Self { n, factors: None })
    }

    pub(super) fn square(self) -> u64 {
        self.n * self.n
    }

    pub(super) fn reduce(self, word: i64) -> u64 {
        i128::from(word).rem_euclid(i128::from(self.square())) as u64
    }

    pub(super) fn multiply(self, a: u64, b: u64) -> u64 {
        (u128::from(a) * u128::from(b) % u128::from(self.square())) as u64
    }

    /// c^e, for any integer e.
    pub(super) fn power(self, c: u64, e: &Integer) -> Result<u64> {
        match Integer::from(c).pow_mod(e, &Integer::from(self.square())) {
            Ok(power) => Ok(power.to_u64().expect("below the modulus")),
            Err(_) => Err(Error::malformed(
                "ciphertext",
                format!("{c} has no inverse modulo N²"),
            )),
        }
    }

    /// 1 + m·N: an encryption without randomness.
    pub(super) fn embed(self, m: &Integer) -> u64 {
        let m = self.residue(m);
        ((1 + u128::from(m) * u128::from(self.n)) % u128::from(self.square())) as u64
    }

    pub(super) fn encrypt(self, m: &Integer, random: &Random) -> Result<u64> {
        let n = Integer::from(self.n);
        loop {
            let r = random.below(self.n)?;
            if Integer::from(r).gcd(&n) == 1 {
                return Ok(self.multiply(self.embed(m), self.power(r, &n)?));
            }
        }
    }

    /// The plaintext in [0, N); the private key is there.
    pub(super) fn decrypt(self, c: u64) -> Result<u64> {
        let (lambda, mu) = self.exponents()?;
        let power = self.power(c, &Integer::from(lambda))?;
        let quotient = power.wrapping_sub(1) / self.n;
        Ok((u128::from(quotient) * u128::from(mu) % u128::from(self.n)) as u64)
    }

    /// λ = lcm(p − 1, q − 1) and μ = λ^−1 mod N.
    pub(super) fn exponents(self) -> Result<(u64, u64)> {
        let (p, q) = self.factors.ok_or_else(super::key::no_private_key)?;
        let lambda = Integer::from(p - 1).lcm(&Integer::from(q - 1));
        let mu = Integer::from(lambda.invert_ref(&Integer::from(self.n)).expect("coprime"));
        let small = |x: &Integer| x.to_u64().expect("below N");
        Ok((small(&lambda), small(&mu)))
    }

    /// m mod N.
    fn residue(self, m: &Integer) -> u64 {
        let residue = Integer::from(m.rem_euc(&Integer::from(self.n)));
        residue.to_u64().expect("below N")
    }
}

fn is_prime(candidate: u64) -> bool {
    let limbs = [candidate];
    integer_from_limbs(&limbs).is_probably_prime(30) != IsPrime::No
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plaintext_of_every_size_comes_back() {
        let random = Random::os();
        for bits in MIN_BITS..=MAX_BITS {
            let key = SmallKey::generate(bits, &random).unwrap();
            assert_eq!(u64::BITS - key.n.leading_zeros(), bits);
            assert!(key.square() < 1 << 62);
            for m in (0..key.n)
                .step_by(1 + key.n as usize / 200)
                .chain([key.n - 1])
            {
                let m = Integer::from(m);
                let c = key.encrypt(&m, &random).unwrap();
                assert_eq!(key.decrypt(c).unwrap(), m, "{bits} bits");
                let negative = key.power(c, &Integer::from(-3)).unwrap();
                let tripled: Integer = -3 * m;
                let expected = tripled.rem_euc(Integer::from(key.n));
                assert_eq!(key.decrypt(negative).unwrap(), expected);
            }
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for (p, q) in [
            (7, 7),
            (7, 9),
            (3, 7),
            (2, 11),
            (0, 0),
            (1 << 20, 3),
            (65537, 65539),
        ] {
            assert!(SmallKey::from_primes(p, q).is_err(), "{p} {q}");
        }
        for n in [0, 1, 31, 36, 1 << 31, u64::MAX] {
            assert!(SmallKey::from_modulus(n).is_err(), "{n}");
        }
        let public = SmallKey::from_modulus(35).unwrap();
        assert!(public.decrypt(1).is_err(), "no private key");
        assert!(public.power(0, &Integer::from(-1)).is_err());
    }
}
