//! What makes a key sound. Bases whose powers hide nothing are refused, and factors that do not go together.
//!
//! An encryption is (1 + mN)·h_s^α. If h_s is ±1 modulo N, or has another order that can be counted through, whoever
//! sees a ciphertext takes the random part off and reads m. Every order whose prime powers are at most 2^16 divides 2M,
//! M the least common multiple of 1 … 2^16; with gcd(h_s^(2M) − 1, N) = 1 the base has none of them modulo either factor.
//! That needs the public key alone. More cannot be told from it: whether h_s is an N-th residue at all is Paillier's
//! assumption. Whoever has the factors can tell, and does ([`super::PrivateKey::from_bytes`]).

use super::keygen::{Factor, is_prime};
use super::{KeyId, MIN_SECURE_KEY_BITS};
use crate::error::{Error, Result};
use rug::Integer;
use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Mutex, OnceLock, PoisonError};

/// No prime power up to this may be all that the order of h_s consists of.
const SMALL_ORDER: u32 = 1 << 16;

/// What random primes less one have in common is longer than that once in 2^63 keys.
const MAX_COMMON_BITS: u32 = 64;

/// The least common multiple of 1 … `most`: for every k the primes whose k-th power is not above it.
fn common_multiple(most: u32) -> Integer {
    let root = |k: u32| {
        Integer::from(most)
            .root(k)
            .to_u32()
            .expect("not above most")
    };
    (1..=most.ilog2())
        .map(|k| Integer::from(Integer::primorial(root(k))))
        .product()
}

/// 2M: the orders that are refused divide it.
///
/// The primes of toy keys are so short that p − 1 consists of such factors only. There M ends where 4M reaches
/// 2^(|p| − 1): then the squares modulo no p have orders that all divide 2M, and h, up to its sign a
/// square, can be drawn.
fn small_orders(key_bits: u32) -> Cow<'static, Integer> {
    static OF_REAL_KEYS: OnceLock<Integer> = OnceLock::new();
    if key_bits >= MIN_SECURE_KEY_BITS {
        return Cow::Borrowed(OF_REAL_KEYS.get_or_init(|| common_multiple(SMALL_ORDER) * 2u32));
    }
    let room = (key_bits / 2).saturating_sub(3);
    let fits = |multiple: &Integer| multiple.significant_bits() <= room;
    let multiples = (2..).scan(Integer::from(1), |multiple, i: u32| {
        multiple.lcm_u_mut(i);
        Some(multiple.clone())
    });
    let last = multiples.take_while(fits).last();
    Cow::Owned(last.unwrap_or_else(|| Integer::from(1)) * 2u32)
}

/// Ids of real keys whose base was found sound in this process, 32 bytes each: an id binds all that was checked.
fn known() -> std::sync::MutexGuard<'static, HashSet<KeyId>> {
    static KNOWN: OnceLock<Mutex<HashSet<KeyId>>> = OnceLock::new();
    let known = KNOWN.get_or_init(Mutex::default);
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Remembers that the base of a key is sound, where finding out again would cost something.
pub(super) fn remember(id: KeyId, key_bits: u32) {
    if key_bits >= MIN_SECURE_KEY_BITS {
        known().insert(id);
    }
}

/// Refuses a base of small order, and a modulus as [`check_modulus`] does, by the public key alone. The first time in a
/// process this takes an exponentiation with 94,500 bits modulo N.
pub(super) fn check_base(id: KeyId, h_s: &Integer, n: &Integer) -> Result<()> {
    if known().contains(&id) {
        return Ok(());
    }
    check_modulus(n)?;
    let orders = small_orders(n.significant_bits());
    let power = Integer::from(h_s % n)
        .pow_mod(&orders, n)
        .expect("positive exponent");
    if (power - 1u32).gcd(n) != 1 {
        return Err(small_order("public key"));
    }
    remember(id, n.significant_bits());
    Ok(())
}

/// The same by the factors, in milliseconds: exponents count modulo p − 1.
pub(super) fn check_base_with(h_s: &Integer, primes: [&Integer; 2]) -> Result<()> {
    match primes.iter().any(|prime| has_small_order(h_s, prime)) {
        true => Err(small_order("private key")),
        false => Ok(()),
    }
}

/// Whether the order of a base modulo a prime factor is one of those that are refused.
pub(super) fn has_small_order(base: &Integer, prime: &Integer) -> bool {
    let order = Integer::from(prime - 1u32);
    let exponent = small_orders(2 * prime.significant_bits()).into_owned() % &order + &order;
    Integer::from(base % prime).secure_pow_mod(&exponent, prime) == 1
}

fn small_order(what: &'static str) -> Error {
    Error::malformed(
        what,
        "its randomness base h_s has a small order modulo a factor of N: anybody could read what it encrypts",
    )
}

/// Refuses moduli that are no product of large primes, as far as that can be told at once.
pub(super) fn check_modulus(n: &Integer) -> Result<()> {
    if n.significant_bits() < MIN_SECURE_KEY_BITS {
        return Ok(());
    }
    let small = Integer::from(Integer::primorial(SMALL_ORDER)).gcd(n) != 1;
    match small || is_prime(n) {
        false => Ok(()),
        true => Err(Error::malformed(
            "public key",
            "its modulus is a prime or has a factor below 2^16: anybody could read what it encrypts",
        )),
    }
}

/// Whether two factors of `half` bits differ early enough that Fermat's method does not find them. Toy keys' cannot.
pub(super) fn far_apart(p: &Integer, q: &Integer) -> bool {
    let least = p.significant_bits().saturating_sub(100);
    Integer::from(p - q).significant_bits() > least
}

/// gcd(p − 1, q − 1).
pub(super) fn common_factor(p: &Integer, q: &Integer) -> Integer {
    Integer::from(p - 1u32).gcd(&Integer::from(q - 1u32))
}

/// Refuses factors that do not make a sound key.
///
/// They need not be those that a key of ours gets (3 mod 4, gcd(p − 1, q − 1) = 2): decryption raises to p − 1, whatever
/// the prime is, and squares still have orders of up to (p − 1)(q − 1)/(2·gcd(p − 1, q − 1)). A long common divisor makes
/// these small, and as it divides N − 1 it helps to factor N. Short exponents, which only keys of ours have, need all
/// that their primes are made for.
pub(super) fn check_factors(p: &Factor, q: &Factor) -> Result<()> {
    let refuse = |why: String| Err(Error::malformed("private key", why));
    let (a, b) = (&p.prime, &q.prime);
    let half = a.significant_bits();
    let bits = Integer::from(a * b).significant_bits();
    if a == b || b.significant_bits() != half || bits != 2 * half || a.is_even() || b.is_even() {
        return refuse(format!(
            "its factors of {half} and {} bits are not two different odd numbers of one length with a product of twice as many bits",
            b.significant_bits()
        ));
    }
    if !is_prime(a) || !is_prime(b) {
        return refuse("its factors are not both prime".into());
    }
    if !far_apart(a, b) {
        return refuse(format!(
            "its factors differ in their last {} bits only: N can be factored by Fermat's method",
            Integer::from(a - b).significant_bits()
        ));
    }
    if bits >= MIN_SECURE_KEY_BITS {
        let orders = Integer::from(&*small_orders(bits) * 2u32);
        if [a, b]
            .iter()
            .any(|p| orders.is_divisible(&Integer::from(*p - 1u32)))
        {
            return refuse(
                "a factor less one is a product of prime powers below 2^16: N can be factored by Pollard's p - 1 method".into(),
            );
        }
    }
    let common = common_factor(a, b);
    if bits >= MIN_SECURE_KEY_BITS && common.significant_bits() > MAX_COMMON_BITS {
        return refuse(format!(
            "its factors less one have a common divisor of {} bits, which helps to factor N; at most {MAX_COMMON_BITS} are accepted",
            common.significant_bits()
        ));
    }
    match (&p.subgroup, &q.subgroup) {
        (None, None) => Ok(()),
        (Some(_), Some(_)) if common == 2 && p.has_subgroup() && q.has_subgroup() => Ok(()),
        _ => refuse(
            "the orders of its subgroups are no prime factors of p - 1 and q - 1, or these have more in common than 2".into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_multiple_is_what_it_says() {
        let mut multiple = Integer::from(1);
        for i in 2..600 {
            multiple.lcm_u_mut(i);
            assert_eq!(common_multiple(i), multiple, "{i}");
        }
        let orders = small_orders(MIN_SECURE_KEY_BITS);
        assert!((94_000..95_000).contains(&orders.significant_bits()));
        for (order, divides) in [
            (2 << 16, true),
            (65521, true),
            (4 << 16, false),
            (65537, false),
        ] {
            assert_eq!(orders.is_divisible_u(order), divides, "{order}");
        }
    }

    #[test]
    fn toy_primes_always_have_elements_of_larger_order() {
        for bits in (16..MIN_SECURE_KEY_BITS).step_by(2) {
            let orders = small_orders(bits);
            assert!(
                Integer::from(&*orders * 2u32).significant_bits() < bits / 2,
                "{bits}"
            );
            assert!(bits < 32 || orders.is_divisible_u(5040), "{bits}");
        }
    }
}
