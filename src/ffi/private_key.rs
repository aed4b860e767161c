//! `smlp_private_key`: the key pair of the data owner and of P2.

use std::ffi::c_char;
use std::path::Path;

use super::arguments::{Out, borrow, free, key_flags, security, slice, string};
use super::{BytesHandle, PublicKeyHandle, Status, guard};
use crate::paillier::{Encrypt, PrivateKey};

/// A private key, and the public one with it. Belongs to the data owner and to P2, never to P1.
#[derive(Debug)]
pub struct PrivateKeyHandle(pub(super) PrivateKey);

/// Draws a key pair from the operating system's generator. Takes seconds at 3072 bits.
///
/// Args: bits: of the modulus N, even, 16 to 16384; 2048 at least unless `flags` has
/// SMLP_ALLOW_INSECURE, 64 at least with SMLP_SHORT_EXPONENTS. flags: 0, or a sum of
/// SMLP_ALLOW_INSECURE and SMLP_SHORT_EXPONENTS.
/// Errors: SMLP_INSECURE, SMLP_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_private_key_generate(
    bits: u32,
    flags: u32,
    out: *mut *mut PrivateKeyHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        let (exponents, security) = key_flags(flags)?;
        let key = PrivateKey::generate_as(bits, exponents, security)?;
        out.object(PrivateKeyHandle(key));
        Ok(())
    })
}

/// The key pair of other Paillier software (g = N + 1), from its prime factors. The same primes give the same
/// key, with the same id, wherever this is called; what was encrypted with the modulus alone, by that software or
/// with smlp_public_key_from_modulus(), is decrypted too.
///
/// Args: p, p_len, q, q_len: two primes, big-endian, of one length; their product has twice as many bits.
/// flags: 0 or SMLP_ALLOW_INSECURE.
/// Errors: SMLP_MALFORMED for other numbers and for primes that make N easy to factor, SMLP_LIMIT, SMLP_INSECURE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_private_key_from_primes(
    p: *const u8,
    p_len: usize,
    q: *const u8,
    q_len: usize,
    flags: u32,
    out: *mut *mut PrivateKeyHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (p, q) = unsafe { (slice(p, p_len, "p")?, slice(q, q_len, "q")?) };
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        let key = PrivateKey::from_primes(p, q, security(flags)?)?;
        out.object(PrivateKeyHandle(key));
        Ok(())
    })
}

/// The public key of a pair.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_private_key_public(
    key: *const PrivateKeyHandle,
    out: *mut *mut PublicKeyHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (key, out) = unsafe { (borrow(key, "key")?, Out::new(out, "out")?) };
        out.object(PublicKeyHandle(key.0.public().clone()));
        Ok(())
    })
}

/// The key as bytes, which are as secret as the key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_private_key_to_bytes(
    key: *const PrivateKeyHandle,
    out: *mut *mut BytesHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (key, out) = unsafe { (borrow(key, "key")?, Out::new(out, "out")?) };
        out.object(BytesHandle::new(key.0.to_bytes()));
        Ok(())
    })
}

/// Reads what smlp_private_key_to_bytes() wrote. A damaged key is refused, and so is one whose numbers do not
/// go together.
///
/// Args: flags: 0 or SMLP_ALLOW_INSECURE.
/// Errors: SMLP_MALFORMED, SMLP_LIMIT, SMLP_INSECURE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_private_key_from_bytes(
    data: *const u8,
    len: usize,
    flags: u32,
    out: *mut *mut PrivateKeyHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (data, out) = unsafe { (slice(data, len, "data")?, Out::new(out, "out")?) };
        let key = PrivateKey::from_bytes(data, security(flags)?)?;
        out.object(PrivateKeyHandle(key));
        Ok(())
    })
}

/// Writes the key to a new file that only its owner may read (mode 0600).
///
/// Args: path: UTF-8; the file may not exist yet.
/// Errors: SMLP_IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_private_key_save(
    key: *const PrivateKeyHandle,
    path: *const c_char,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (key, path) = unsafe { (borrow(key, "key")?, string(path, "path")?) };
        Ok(key.0.save(Path::new(path))?)
    })
}

/// Reads a file that smlp_private_key_save() wrote.
///
/// Args: path: UTF-8. flags: 0 or SMLP_ALLOW_INSECURE.
/// Errors: SMLP_IO, SMLP_MALFORMED, SMLP_LIMIT, SMLP_INSECURE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_private_key_load(
    path: *const c_char,
    flags: u32,
    out: *mut *mut PrivateKeyHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (path, out) = unsafe { (string(path, "path")?, Out::new(out, "out")?) };
        let key = PrivateKey::load(Path::new(path), security(flags)?)?;
        out.object(PrivateKeyHandle(key));
        Ok(())
    })
}

/// Frees a private key; its secrets are cleared once nothing else uses them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_private_key_free(key: *mut PrivateKeyHandle) {
    // SAFETY: the contract.
    unsafe { free(key) }
}
