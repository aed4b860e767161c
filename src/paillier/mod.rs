//! The Paillier cryptosystem (Paillier 1999) in the variant of Damgård, Jurik and Nielsen (2010).
//!
//! Plaintexts are residues modulo N as rows of [`crate::modular::Limbs`]; the signed view of them,
//! integers in (−N/2, N/2), is what [`crate::tensor`] offers. N has two primes that are 3 mod 4 (other software's
//! may be others), g = 1 + N, h = −x² mod N, and h_s = h^N mod N² is part of the public key: an encryption is
//! (1 + mN)·h_s^α with α half as long as N, by a fixed-base table. A key goes by its [`KeyId`], which binds all of this. Keys with *short exponents*
//! (Ma, Han, Lei 2021; [`ExponentLength::Short`]) have an h of small order and an α as short.

#![forbid(unsafe_code)]

mod half;
mod key_id;
mod keygen;
mod private_key;
mod public_key;
pub mod secret_file;
mod slots;
mod soundness;

pub use key_id::KeyId;
pub use keygen::{ExponentLength, MIN_SHORT_EXPONENT_KEY_BITS, short_exponent_bits};
pub use private_key::PrivateKey;
pub use public_key::{Encrypt, PublicKey};
pub use slots::Slots;

/// Key size in bits when the caller does not choose: 128-bit security.
pub const DEFAULT_KEY_BITS: u32 = 3072;

/// Smaller keys are refused unless the caller allows insecure ones by name.
pub const MIN_SECURE_KEY_BITS: u32 = 2048;

/// The smallest key that works at all; for tests.
pub const MIN_KEY_BITS: u32 = 16;

/// The largest key.
pub const MAX_KEY_BITS: u32 = 16384;

/// The largest statistical security parameter σ, in bits.
pub const MAX_SIGMA: u32 = 128;

use crate::error::{Error, Result};

/// Whether keys too small to be secure may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Security {
    /// Keys below [`MIN_SECURE_KEY_BITS`] are refused.
    #[default]
    Required,
    /// Any size from [`MIN_KEY_BITS`] on: for tests and teaching, never for data.
    AllowInsecure,
}

impl Security {
    /// Refuses key sizes that this policy does not allow.
    pub(crate) fn check(self, bits: u32) -> Result<()> {
        if !(MIN_KEY_BITS..=MAX_KEY_BITS).contains(&bits) {
            return Err(Error::invalid(format!(
                "a key has {MIN_KEY_BITS} to {MAX_KEY_BITS} bits, not {bits}"
            )));
        }
        if self == Security::Required && bits < MIN_SECURE_KEY_BITS {
            return Err(Error::Insecure(format!(
                "a key of {bits} bits can be broken; use at least {MIN_SECURE_KEY_BITS}, \
                 or allow insecure keys by name in a test"
            )));
        }
        Ok(())
    }
}
