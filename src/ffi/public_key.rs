//! `smlp_public_key`: what encrypts and computes.

use std::ffi::c_char;
use std::io::Read;
use std::path::Path;

use super::arguments::{Out, borrow, free, security, slice, string, write_all};
use super::{BytesHandle, Status, guard};
use crate::error::Error;
use crate::paillier::PublicKey;

/// A public key: encrypts and computes, cannot decrypt. Anybody may have it.
#[derive(Debug)]
pub struct PublicKeyHandle(pub(super) PublicKey);

/// Larger files are no public keys: two numbers of N and N² at 16384 bits take 6 KiB.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A key of other Paillier software (g = N + 1), known by its modulus alone. Encrypting with it is
/// slower than with a key of this library.
///
/// Args: modulus, len: N, big-endian. flags: 0 or SMLP_ALLOW_INSECURE.
/// Errors: SMLP_INVALID_ARGUMENT, SMLP_LIMIT, SMLP_INSECURE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_public_key_from_modulus(
    modulus: *const u8,
    len: usize,
    flags: u32,
    out: *mut *mut PublicKeyHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (modulus, out) = unsafe { (slice(modulus, len, "modulus")?, Out::new(out, "out")?) };
        let key = PublicKey::from_modulus(modulus, security(flags)?)?;
        out.object(PublicKeyHandle(key));
        Ok(())
    })
}

/// N, big-endian, without leading zeros: for other Paillier software.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_public_key_modulus(
    key: *const PublicKeyHandle,
    out: *mut *mut BytesHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (key, out) = unsafe { (borrow(key, "key")?, Out::new(out, "out")?) };
        out.object(BytesHandle::new(key.0.modulus_bytes()));
        Ok(())
    })
}

/// Bits of N.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_public_key_bits(
    key: *const PublicKeyHandle,
    out: *mut u32,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (key, out) = unsafe { (borrow(key, "key")?, Out::new(out, "out")?) };
        out.set(key.0.bits());
        Ok(())
    })
}

/// Bits of the random exponent of an encryption: half of N's; fewer for a key with
/// SMLP_SHORT_EXPONENTS; those of N for a key of other software.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_public_key_exponent_bits(
    key: *const PublicKeyHandle,
    out: *mut u32,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (key, out) = unsafe { (borrow(key, "key")?, Out::new(out, "out")?) };
        out.set(key.0.exponent_bits());
        Ok(())
    })
}

/// What tensors, messages and files name the key by: a digest of all that encryption uses, so that keys
/// with one id are equal. A key of smlp_public_key_from_modulus() has the id of its modulus; a key of this
/// library with the same N has another one, and takes what was encrypted with the former.
///
/// Args: out: room for 32 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_public_key_id(key: *const PublicKeyHandle, out: *mut u8) -> Status {
    guard(|| {
        // SAFETY: the contract; `out` has room for 32 bytes.
        unsafe { write_all(&borrow(key, "key")?.0.id().0, out, 32, "out") }
    })
}

/// Whether the key came from other software, by smlp_public_key_from_modulus().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_public_key_is_foreign(
    key: *const PublicKeyHandle,
    out: *mut bool,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (key, out) = unsafe { (borrow(key, "key")?, Out::new(out, "out")?) };
        out.set(key.0.is_foreign());
        Ok(())
    })
}

/// The key as bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_public_key_to_bytes(
    key: *const PublicKeyHandle,
    out: *mut *mut BytesHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (key, out) = unsafe { (borrow(key, "key")?, Out::new(out, "out")?) };
        out.object(BytesHandle::new(key.0.to_bytes()));
        Ok(())
    })
}

/// Reads what smlp_public_key_to_bytes() wrote. A damaged key is refused, and so is one whose encryptions
/// anybody could read. The first time in a process a key takes a tenth of a second at 2048 bits, a quarter at 3072.
///
/// Args: flags: 0 or SMLP_ALLOW_INSECURE.
/// Errors: SMLP_MALFORMED, SMLP_LIMIT, SMLP_INSECURE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_public_key_from_bytes(
    data: *const u8,
    len: usize,
    flags: u32,
    out: *mut *mut PublicKeyHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (data, out) = unsafe { (slice(data, len, "data")?, Out::new(out, "out")?) };
        let key = PublicKey::from_bytes(data, security(flags)?)?;
        out.object(PublicKeyHandle(key));
        Ok(())
    })
}

/// Writes the key to a file, replacing what was there.
///
/// Args: path: UTF-8.
/// Errors: SMLP_IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_public_key_save(
    key: *const PublicKeyHandle,
    path: *const c_char,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (key, path) = unsafe { (borrow(key, "key")?, string(path, "path")?) };
        let path = Path::new(path);
        std::fs::write(path, key.0.to_bytes()).map_err(|error| Error::io(path, error))?;
        Ok(())
    })
}

/// Reads a file that smlp_public_key_save() wrote.
///
/// Args: path: UTF-8. flags: 0 or SMLP_ALLOW_INSECURE.
/// Errors: SMLP_IO, SMLP_MALFORMED, SMLP_LIMIT, SMLP_INSECURE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_public_key_load(
    path: *const c_char,
    flags: u32,
    out: *mut *mut PublicKeyHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (path, out) = unsafe { (string(path, "path")?, Out::new(out, "out")?) };
        let (path, security) = (Path::new(path), security(flags)?);
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes))
            .map_err(|error| Error::io(path, error))?;
        out.object(PublicKeyHandle(PublicKey::from_bytes(&bytes, security)?));
        Ok(())
    })
}

/// Frees a public key. Tensors and sessions made with it keep what they need.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_public_key_free(key: *mut PublicKeyHandle) {
    // SAFETY: the contract.
    unsafe { free(key) }
}
