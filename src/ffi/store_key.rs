//! `smlp_store_key`: what words are encrypted, computed with and decrypted under.

use super::arguments::{Out, borrow, free, security, slice};
use super::{BytesHandle, Failure, Status, guard};
use crate::store::{KeyNumber, StoreKey};

/// A key of any size, with or without its private half, made of numbers.
///
/// Up to 31 bits it is a small key: ciphertexts fit 62 bits, and whoever has one decrypts it in
/// microseconds.
#[derive(Debug)]
pub struct StoreKeyHandle(pub(super) StoreKey);

/// The numbers of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
#[allow(non_camel_case_types)]
pub enum KeyNumberName {
    /// N = p·q; the generator is N + 1.
    SMLP_KEY_MODULUS = 0,
    /// The first prime factor.
    SMLP_KEY_P = 1,
    /// The second prime factor.
    SMLP_KEY_Q = 2,
    /// L_p((N+1)^(p−1) mod p²)^−1 mod p, with L_p(x) = (x − 1)/p.
    SMLP_KEY_HP = 3,
    /// The same modulo q.
    SMLP_KEY_HQ = 4,
    /// lambda^−1 mod N.
    SMLP_KEY_MU = 5,
    /// lcm(p − 1, q − 1).
    SMLP_KEY_LAMBDA = 6,
}

/// [`KeyNumberName`] as C passes it: any number.
pub type KeyNumberNumber = i32;

/// Draws a key pair from the operating system's generator.
///
/// Args: bits: of the modulus N: 6 to 31 for a small key, or even from 32 to 16384. flags: 0 or
/// SMLP_ALLOW_INSECURE, without which 2048 bits are the least.
/// Errors: SMLP_INSECURE, SMLP_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_key_generate(
    bits: u32,
    flags: u32,
    out: *mut *mut StoreKeyHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        out.object(StoreKeyHandle(StoreKey::generate(bits, security(flags)?)?));
        Ok(())
    })
}

/// A public key (g = N + 1), known by its modulus alone. Encrypting with it is slower than with a key
/// of this library.
///
/// Args: modulus, len: N, big-endian. flags: 0 or SMLP_ALLOW_INSECURE.
/// Errors: SMLP_INVALID_ARGUMENT, SMLP_LIMIT, SMLP_INSECURE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_key_from_modulus(
    modulus: *const u8,
    len: usize,
    flags: u32,
    out: *mut *mut StoreKeyHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (modulus, out) = unsafe { (slice(modulus, len, "modulus")?, Out::new(out, "out")?) };
        let key = StoreKey::from_modulus(modulus, security(flags)?)?;
        out.object(StoreKeyHandle(key));
        Ok(())
    })
}

/// A key pair, known by its prime factors.
///
/// Args: p, p_len, q, q_len: two primes, big-endian; above 31 bits of N they are of one length, and
/// their product has twice as many bits. flags: 0 or SMLP_ALLOW_INSECURE.
/// Errors: SMLP_MALFORMED for other numbers, SMLP_LIMIT, SMLP_INSECURE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_key_from_primes(
    p: *const u8,
    p_len: usize,
    q: *const u8,
    q_len: usize,
    flags: u32,
    out: *mut *mut StoreKeyHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (p, q) = unsafe { (slice(p, p_len, "p")?, slice(q, q_len, "q")?) };
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        let key = StoreKey::from_primes(p, q, security(flags)?)?;
        out.object(StoreKeyHandle(key));
        Ok(())
    })
}

/// The public half.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_key_public(
    key: *const StoreKeyHandle,
    out: *mut *mut StoreKeyHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (key, out) = unsafe { (borrow(key, "key")?, Out::new(out, "out")?) };
        out.object(StoreKeyHandle(key.0.public()));
        Ok(())
    })
}

/// A number of the key, big-endian, without leading zeros. All but the modulus are secret.
///
/// Args: which: an enumerator of smlp_key_number.
/// Errors: SMLP_INVALID_ARGUMENT for other numbers, and for a secret one of a public key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_key_number(
    key: *const StoreKeyHandle,
    which: KeyNumberNumber,
    out: *mut *mut BytesHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (key, out) = unsafe { (borrow(key, "key")?, Out::new(out, "out")?) };
        let which = match which {
            0 => KeyNumber::Modulus,
            1 => KeyNumber::P,
            2 => KeyNumber::Q,
            3 => KeyNumber::HP,
            4 => KeyNumber::HQ,
            5 => KeyNumber::Mu,
            6 => KeyNumber::Lambda,
            other => {
                return Err(Failure::invalid(format!(
                    "unknown number of a key: {other}"
                )));
            }
        };
        out.object(BytesHandle::new(key.0.number(which)?));
        Ok(())
    })
}

/// Frees a key; its secrets are cleared once nothing else uses them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_key_free(key: *mut StoreKeyHandle) {
    // SAFETY: the contract.
    unsafe { free(key) }
}
