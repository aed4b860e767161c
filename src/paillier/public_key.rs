//! The public key: encryption, re-randomisation, and its file format.

use super::{
    KeyId, MAX_KEY_BITS, MAX_SIGMA, MIN_SHORT_EXPONENT_KEY_BITS, Security, short_exponent_bits,
};
use crate::error::{Error, Result};
use crate::modular::exponentiation::{Exponents, power};
use crate::modular::{
    Comb, Limbs, Modulus, Residues, Ring, backend, get_or_make, integer_from_limbs, limbs_of,
    secret_product,
};
use crate::random::Random;
use crate::wire::{Kind, Reader, Writer};
use rug::Integer;
use rug::integer::Order;
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Encrypts and computes; cannot decrypt. Cheap to clone.
#[derive(Clone)]
pub struct PublicKey(Arc<Inner>);

struct Inner {
    n: Modulus,
    id: KeyId,
    /// Arithmetic modulo N².
    ring: Arc<dyn Ring>,
    /// h_s = h^N mod N²; absent in keys made by other software.
    h_s: Option<Residues>,
    /// Bits of the exponents of h_s, for keys with short ones.
    short: Option<u32>,
    comb: OnceLock<Comb>,
}

/// What the random parts of ciphertexts are powers of.
pub(super) struct Base<'a> {
    pub h_s: &'a Integer,
    /// For keys with short exponents: the bits of these; half the order of h_s is no longer.
    pub short: Option<u32>,
}

/// Makes ciphertexts: with the public key, or several times faster with the private one.
pub trait Encrypt {
    /// The key that the ciphertexts belong to.
    fn public(&self) -> &PublicKey;

    /// Fresh encryptions of plaintexts, each below N.
    fn encrypt(&self, plaintexts: &Limbs, random: &Random) -> Result<Residues>;
}

impl PublicKey {
    /// A key of other software, known by its modulus alone (big-endian), with g = 1 + N.
    ///
    /// Encryption then uses ϱ^N for a uniform ϱ, which is slower than with a key of ours.
    pub fn from_modulus(n_big_endian: &[u8], security: Security) -> Result<Self> {
        // Eight bytes of leading zeros are forgiven, absurd lengths are not handed to GMP.
        if n_big_endian.len() > MAX_KEY_BITS as usize / 8 + 8 {
            return Err(Error::Limit {
                what: "bytes of the modulus",
                value: n_big_endian.len() as u64,
                limit: u64::from(MAX_KEY_BITS) / 8,
            });
        }
        Self::new(
            &Integer::from_digits(n_big_endian, Order::Msf),
            None,
            security,
        )
    }

    pub(super) fn new(n: &Integer, base: Option<Base<'_>>, security: Security) -> Result<Self> {
        security.check(n.significant_bits())?;
        let modulus = Modulus::new(&limbs_of(n, n.significant_digits::<u64>()))?;
        let square = Integer::from(n.square_ref());
        let wide = square.significant_digits::<u64>();
        let ring = backend()?.square_ring(modulus.clone());
        let short = base.as_ref().and_then(|base| base.short);
        if let Some(exponents) = short {
            check_exponents(exponents, n.significant_bits(), security)?;
        }
        let h_s = match base.map(|base| base.h_s) {
            None => None,
            Some(h) if *h > 1 && Integer::from(h.gcd_ref(n)) == 1 && *h < square => {
                Some(Residues::from_limbs(&ring, limbs_of(h, wide).to_vec())?)
            }
            Some(_) => {
                return Err(Error::malformed(
                    "public key",
                    "its randomness base h_s is not a unit modulo N²",
                ));
            }
        };
        let id = KeyId(Sha256::digest(n.to_digits::<u8>(Order::Msf)).into());
        Ok(Self(Arc::new(Inner {
            n: modulus,
            id,
            ring,
            h_s,
            short,
            comb: OnceLock::new(),
        })))
    }

    /// Bits of N.
    pub fn bits(&self) -> u32 {
        self.0.n.bits()
    }

    /// SHA-256 of N.
    pub fn id(&self) -> KeyId {
        self.0.id
    }

    /// Whether this key has no h_s: it was made by other software.
    pub fn is_foreign(&self) -> bool {
        self.0.h_s.is_none()
    }

    /// Bits of the random exponent of an encryption: half of N's; fewer for a key with short exponents;
    /// those of N for a key of other software, which has ϱ^N.
    pub fn exponent_bits(&self) -> u32 {
        match (self.is_foreign(), self.0.short) {
            (true, _) => self.bits(),
            (false, None) => self.bits() / 2,
            (false, Some(bits)) => bits,
        }
    }

    /// Whether this key has short exponents; see [`super::ExponentLength::Short`].
    pub fn has_short_exponents(&self) -> bool {
        self.0.short.is_some()
    }

    /// The order of h_s is below 2 to that: powers with exponents of σ bits more are statistically
    /// uniform.
    pub fn order_bits(&self) -> u32 {
        self.0.short.map_or(self.bits(), |bits| bits + 1)
    }

    /// N, big-endian, without leading zeros.
    pub fn modulus_bytes(&self) -> Vec<u8> {
        integer_from_limbs(self.0.n.limbs()).to_digits::<u8>(Order::Msf)
    }

    /// N.
    pub fn modulus(&self) -> &Modulus {
        &self.0.n
    }

    /// Arithmetic modulo N², where ciphertexts live.
    pub fn ring(&self) -> &Arc<dyn Ring> {
        &self.0.ring
    }

    /// h_s, one number.
    pub(super) fn h_s(&self) -> Option<&Residues> {
        self.0.h_s.as_ref()
    }

    /// Both or neither side belong to this key.
    pub fn check_same(&self, other: &PublicKey) -> Result<()> {
        if self.id() == other.id() {
            return Ok(());
        }
        Err(Error::KeyMismatch {
            left: self.id(),
            right: other.id(),
        })
    }

    /// `1 + m·N` for plaintexts m below N: encryptions without randomness, to be multiplied with
    /// something that has some.
    pub fn embed(&self, plaintexts: &Limbs) -> Residues {
        let width = self.0.ring.modulus().width();
        let mut out = Vec::with_capacity(plaintexts.rows() * width);
        for i in 0..plaintexts.rows() {
            let mut product = secret_product(plaintexts.row(i), self.0.n.limbs());
            // m·N is a multiple of N below N² − N, so 1 + m·N stays below N².
            let mut carry = 1u64;
            for limb in product.iter_mut() {
                let (sum, over) = limb.overflowing_add(carry);
                *limb = sum;
                carry = u64::from(over);
            }
            out.extend(
                product
                    .iter()
                    .copied()
                    .chain(std::iter::repeat(0))
                    .take(width),
            );
        }
        Residues::from_limbs(&self.0.ring, out).expect("1 + mN is below N²")
    }

    fn comb(&self, h_s: &Residues) -> &Comb {
        // One table serves encryption and re-randomisation, whose exponents are longest.
        get_or_make(&self.0.comb, || {
            Comb::new(h_s, (self.order_bits() + MAX_SIGMA) as usize)
        })
    }

    /// `count` random encryptions of zero, h_s^α with α of `bits` bits. (ϱ^N for a foreign key.)
    fn zeros(&self, count: usize, bits: u32, random: &Random) -> Result<Residues> {
        match self.h_s() {
            Some(h_s) => {
                // More bits would hide nothing more.
                let bits = bits.min(self.order_bits() + MAX_SIGMA);
                let alpha = random.limbs(count, bits as usize)?;
                Ok(self.comb(h_s).power(&alpha, bits as usize))
            }
            None => self.uniform_zeros(count, random),
        }
    }

    /// `count` uniformly random encryptions of zero, ϱ^N with ϱ uniform modulo N.
    pub(crate) fn uniform_zeros(&self, count: usize, random: &Random) -> Result<Residues> {
        let width = self.0.ring.modulus().width();
        let n = integer_from_limbs(self.0.n.limbs());
        // 128 bits more than N make the remainder uniform up to 2^−128.
        let wide = random.limbs(count, self.bits() as usize + 128)?;
        let mut rho = Vec::with_capacity(count * width);
        for i in 0..count {
            let r = integer_from_limbs(wide.row(i)) % &n;
            rho.extend_from_slice(&limbs_of(&r, width));
        }
        let rho = Residues::from_limbs(&self.0.ring, rho)?;
        let n = Limbs::from_words(self.0.n.limbs().to_vec(), self.0.n.width());
        Ok(power(&rho, &Exponents::new(&n, self.bits() as usize)))
    }

    /// Multiplies each ciphertext by h_s^α, α uniform of `bits` bits, at most [`MAX_SIGMA`] more than
    /// [`PublicKey::order_bits`].
    ///
    /// P2 knows the factors of N, so it could read out of a random part how a ciphertext was made;
    /// what P1 sends to P2 goes through here. α of σ bits more than the order of h_s makes the random part
    /// statistically independent of everything; where it is h_s^e with e known to be below 2^b, b + σ
    /// bits hide e.
    pub fn rerandomize(
        &self,
        ciphertexts: &Residues,
        bits: u32,
        random: &Random,
    ) -> Result<Residues> {
        let zeros = self.zeros(ciphertexts.len(), bits, random)?;
        Ok(ciphertexts.multiply(&zeros))
    }

    /// The file format: header, bits of N (u64), N, then u16 0 without h_s, 1 and h_s, or 2, the bits of
    /// short exponents (u64) and h_s.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new(Kind::PublicKey);
        w.u64(self.bits().into());
        w.limbs(self.0.n.limbs());
        match (self.h_s(), self.0.short) {
            (None, _) => w.u16(0),
            (Some(_), None) => w.u16(1),
            (Some(_), Some(bits)) => {
                w.u16(2);
                w.u64(bits.into());
            }
        }
        if let Some(h_s) = self.h_s() {
            w.limbs(h_s.row(0));
        }
        w.finish()
    }

    /// Reads [`PublicKey::to_bytes`].
    pub fn from_bytes(bytes: &[u8], security: Security) -> Result<Self> {
        let mut r = Reader::new(Kind::PublicKey, bytes)?;
        let bits = r.size("key bits", MAX_KEY_BITS as usize)?;
        let n = integer_from_limbs(&r.limbs(bits.div_ceil(64))?);
        if n.significant_bits() as usize != bits || n.is_even() {
            return Err(r.error(format!("its modulus is not an odd number of {bits} bits")));
        }
        let short = match r.u16()? {
            0 => {
                r.finish()?;
                return Self::new(&n, None, security);
            }
            1 => None,
            2 => Some(r.size("bits of short exponents", bits)? as u32),
            other => {
                return Err(r.error(format!(
                    "{other} is neither 0 (no h_s), 1 nor 2 (short exponents)"
                )));
            }
        };
        let width = Integer::from(n.square_ref()).significant_digits::<u64>();
        let h_s = &integer_from_limbs(&r.limbs(width)?);
        r.finish()?;
        Self::new(&n, Some(Base { h_s, short }), security)
    }
}

/// Refuses exponents that are shorter than what hides a plaintext, or longer than usual ones.
fn check_exponents(bits: u32, key_bits: u32, security: Security) -> Result<()> {
    let least = match security {
        Security::Required => short_exponent_bits(key_bits),
        Security::AllowInsecure => short_exponent_bits(MIN_SHORT_EXPONENT_KEY_BITS),
    };
    if !bits.is_multiple_of(2) || bits > key_bits / 2 {
        return Err(Error::malformed(
            "key",
            format!(
                "short exponents of {bits} bits; an even number of at most {} is usual with {key_bits} bits of N",
                key_bits / 2
            ),
        ));
    }
    match bits < least {
        false => Ok(()),
        true => Err(Error::Insecure(format!(
            "random exponents of {bits} bits can be found; a key of {key_bits} bits needs {least}"
        ))),
    }
}

impl Encrypt for PublicKey {
    fn public(&self) -> &PublicKey {
        self
    }

    fn encrypt(&self, plaintexts: &Limbs, random: &Random) -> Result<Residues> {
        let zeros = self.zeros(plaintexts.rows(), self.exponent_bits(), random)?;
        Ok(self.embed(plaintexts).multiply(&zeros))
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} bits, {})", self.bits(), self.id())
    }
}
