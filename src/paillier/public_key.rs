//! The public key: encryption, re-randomisation, and its file format.

use super::soundness::{check_base, check_modulus};
use super::{
    KeyId, MAX_KEY_BITS, MAX_SIGMA, MIN_SHORT_EXPONENT_KEY_BITS, Security, short_exponent_bits,
};
use crate::error::{Error, Result};
use crate::modular::exponentiation::{Exponents, power};
use crate::modular::{
    Comb, Limbs, Modulus, Residues, Ring, backend, get_or_make, integer_from_limbs, limbs_of,
    secret_product, secret_remainder,
};
use crate::random::Random;
use crate::wire::{Kind, Reader, Writer};
use rug::Integer;
use rug::integer::Order;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Encrypts and computes; cannot decrypt. Cheap to clone.
#[derive(Clone)]
pub struct PublicKey(Arc<Inner>);

struct Inner {
    n: Modulus,
    id: KeyId,
    /// The id that N alone has.
    modulus_id: KeyId,
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
        let n = Integer::from_digits(n_big_endian, Order::Msf);
        let key = Self::new(&n, None, security)?;
        check_modulus(&n)?;
        Ok(key)
    }

    /// Whether the base hides anything is for the caller to check, with the factors where there are any.
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
        let base = h_s.as_ref().map(|h_s| (h_s.row(0), short));
        Ok(Self(Arc::new(Inner {
            id: KeyId(contents(&modulus, base).fingerprint(Kind::PublicKey)),
            modulus_id: KeyId::of_modulus(&modulus),
            n: modulus,
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

    /// What tensors, messages and files name this key by. Keys with one id are equal.
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

    /// Refuses ciphertexts of other keys than those that this one takes: its own, and those that were made with
    /// the modulus alone ([`PublicKey::from_modulus`]) of a key with this N. They decrypt alike, but the
    /// random parts of the latter lie outside ⟨h_s⟩: what a protocol uses has to be refreshed first. A key that
    /// is known by its modulus does not take those of a key with h_s.
    ///
    /// # Errors
    /// [`Error::KeyMismatch`].
    pub fn check_takes(&self, ciphertexts_of: KeyId) -> Result<()> {
        if [self.id(), self.modulus_id()].contains(&ciphertexts_of) {
            return Ok(());
        }
        Err(Error::KeyMismatch {
            left: ciphertexts_of,
            right: self.id(),
        })
    }

    /// The id of the key that is known by this N alone.
    pub(crate) fn modulus_id(&self) -> KeyId {
        self.0.modulus_id
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
        // 128 bits more than N make the remainder uniform up to 2^−128.
        let wide = random.limbs(count, self.bits() as usize + 128)?;
        let narrow = secret_remainder(&wide, self.0.n.limbs());
        let mut rho = Limbs::zeros(count, width);
        for i in 0..count {
            rho.row_mut(i)[..narrow.width()].copy_from_slice(narrow.row(i));
        }
        let rho = Residues::from_limbs(&self.0.ring, rho.words().to_vec())?;
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

    /// The file format: header, id (32 bytes), bits of N (u64), N, then u16 0 without h_s, 1 and h_s, or 2, the
    /// bits of short exponents (u64) and h_s.
    pub fn to_bytes(&self) -> Vec<u8> {
        let base = self.h_s().map(|h_s| (h_s.row(0), self.0.short));
        contents(&self.0.n, base).finish_with_fingerprint(Kind::PublicKey)
    }

    /// Reads [`PublicKey::to_bytes`].
    ///
    /// That h_s hides anything is checked once for each key in a process, in a tenth of a second with 2048 bits and
    /// in a quarter with 3072.
    ///
    /// # Errors
    /// [`Error::Malformed`] for damaged files, for an h_s of small order and a modulus that is easily factored;
    /// [`Error::Limit`], [`Error::Insecure`].
    pub fn from_bytes(bytes: &[u8], security: Security) -> Result<Self> {
        let mut r = Reader::new(Kind::PublicKey, bytes)?;
        r.fingerprint(Kind::PublicKey)?;
        let bits = r.size("key bits", MAX_KEY_BITS as usize)?;
        let n = integer_from_limbs(&r.limbs(bits.div_ceil(64))?);
        if n.significant_bits() as usize != bits || n.is_even() {
            return Err(r.error(format!("its modulus is not an odd number of {bits} bits")));
        }
        let short = match r.u16()? {
            0 => {
                r.finish()?;
                let key = Self::new(&n, None, security)?;
                check_modulus(&n)?;
                return Ok(key);
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
        let key = Self::new(&n, Some(Base { h_s, short }), security)?;
        check_base(key.id(), h_s, &n)?;
        Ok(key)
    }
}

/// What encryption uses, as [`PublicKey::to_bytes`] writes it: the modulus, h_s and the bits of short exponents.
fn contents(n: &Modulus, base: Option<(&[u64], Option<u32>)>) -> Writer {
    let mut w = Writer::default();
    w.u64(n.bits().into());
    w.limbs(n.limbs());
    match base {
        None => w.u16(0),
        Some((h_s, None)) => {
            w.u16(1);
            w.limbs(h_s);
        }
        Some((h_s, Some(bits))) => {
            w.u16(2);
            w.u64(bits.into());
            w.limbs(h_s);
        }
    }
    w
}

impl KeyId {
    /// The id of a key that is known by its modulus alone.
    pub(crate) fn of_modulus(n: &Modulus) -> Self {
        Self(contents(n, None).fingerprint(Kind::PublicKey))
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
