//! What the private key does modulo one prime factor and its square: decryption and fast encryption, in constant time.

use super::keygen::Factor;
use crate::error::{Error, Result};
use crate::modular::exponentiation::{Exponents, power};
use crate::modular::{
    Comb, Limbs, Modulus, Residues, Ring, add_masked, backend, get_or_make, limbs_of,
    secret_product, secret_remainder, subtract,
};
use rug::Integer;
use std::sync::{Arc, OnceLock};
use zeroize::Zeroizing;

/// What is needed modulo one prime factor.
pub(super) struct Half {
    pub prime: Modulus,
    /// Arithmetic modulo the prime and modulo its square.
    pub ring: Arc<dyn Ring>,
    pub square_ring: Arc<dyn Ring>,
    /// prime^−1 mod 2^(64·width), for exact division by the prime.
    low_inverse: Zeroizing<Vec<u64>>,
    /// Decryption of any ciphertext.
    full: Opening,
    /// Decryption of those whose random parts are powers of h_s, for keys with short exponents.
    pub short: Option<Short>,
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

pub(super) struct Short {
    opening: Opening,
    /// f: the exponent is 2f, the order of h modulo the prime.
    pub subgroup: Zeroizing<Vec<u64>>,
}

impl Half {
    pub fn new(factor: &Factor, other: &Integer) -> Result<Self> {
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
    pub fn reduce(&self, rows: &Limbs) -> Residues {
        let rest = secret_remainder(rows, self.square_ring.modulus().limbs());
        Residues::from_limbs(&self.square_ring, rest.words().to_vec())
            .expect("remainders are small")
    }

    /// Plaintexts modulo the prime.
    ///
    /// With a short exponent too, which random parts outside ⟨h_s⟩ survive: those of other software, under a
    /// key that it knows by its modulus. These are decrypted in full, which is no more secret than where a
    /// ciphertext comes from.
    pub fn decrypt(&self, ciphertexts: &Limbs) -> Residues {
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
        (0..rest.rows()).filter(|&i| !is_one(rest.row(i))).collect()
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

    /// Whether the exponent of decryption, prime − 1 or a short one, takes away powers of h_s without a trace:
    /// h_s^e = 1 mod prime². Decryption relies on it.
    pub fn suits(&self, h_s: &Residues) -> bool {
        let opening = self
            .short
            .as_ref()
            .map_or(&self.full, |short| &short.opening);
        let powers = self.powers(&self.reduce(&one_row(h_s)), opening);
        is_one(powers.row(0))
    }

    /// h_s^α modulo the square of the prime.
    pub fn power_of_base(&self, h_s: &Residues, alpha: &Limbs, bits: u32) -> Residues {
        let make = || Comb::new(&self.reduce(&one_row(h_s)), bits as usize);
        get_or_make(&self.comb, make).power(alpha, bits as usize)
    }

    pub fn operations(&self) -> u64 {
        self.ring.operations() + self.square_ring.operations()
    }
}

/// In constant time.
fn is_one(row: &[u64]) -> bool {
    row[1..].iter().fold(row[0] ^ 1, |all, limb| all | limb) == 0
}

fn one_row(number: &Residues) -> Limbs {
    Limbs::from_words(number.limbs().to_vec(), number.limbs().len())
}

/// x mod p·q from a = x mod p and b = x mod q: `a + p·((b − a)·p^−1 mod q)` (Garner), in constant
/// time, `width` limbs a row. p and q may also be the squares.
pub(super) fn recombine(a: &Residues, b: &Residues, p_inverse: &Residues, width: usize) -> Limbs {
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
