//! `smlp_tensor`: from numbers and bytes, to numbers and bytes, encryption and decryption.

use super::arguments::{Out, borrow, borrow_optional, slice, write_all};
use super::{BytesHandle, Failure, PrivateKeyHandle, PublicKeyHandle, Status, TensorHandle, guard};
use crate::fixed::DEFAULT_INTEGER_BOUND;
use crate::random::Random;
use crate::tensor::{EncryptedTensor, IntegerTensor};
use crate::wire::Kind;

/// 0 stands for the default.
fn bound(bits: u32) -> Option<u32> {
    (bits != 0).then_some(bits)
}

/// Encodes numbers as integers: x becomes x · 2^fraction_bits, rounded to the nearest (ties to
/// even). Nothing saturates.
///
/// Args: data, len: the numbers, row-major. shape, ndim: lengths of the axes, up to 8; their
/// product is `len`; ndim 0 is a single number. fraction_bits: 0 to 64, usually
/// SMLP_DEFAULT_FRACTION_BITS. bound_bits: every |integer| < 2^bound_bits, scale included; 1 to
/// 126, 0 means 40. Tight bounds make encrypted work cheaper.
/// Errors: SMLP_SHAPE, SMLP_NOT_FINITE, SMLP_OUT_OF_RANGE, SMLP_INVALID_ARGUMENT, SMLP_LIMIT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_from_f64(
    data: *const f64,
    len: usize,
    shape: *const usize,
    ndim: usize,
    fraction_bits: u32,
    bound_bits: u32,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (data, shape) = unsafe { (slice(data, len, "data")?, slice(shape, ndim, "shape")?) };
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        let tensor = IntegerTensor::from_f64(shape, data, fraction_bits, bound(bound_bits))?;
        out.object(tensor.into());
        Ok(())
    })
}

/// As smlp_tensor_from_f64() for single precision.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_from_f32(
    data: *const f32,
    len: usize,
    shape: *const usize,
    ndim: usize,
    fraction_bits: u32,
    bound_bits: u32,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (data, shape) = unsafe { (slice(data, len, "data")?, slice(shape, ndim, "shape")?) };
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        let tensor = IntegerTensor::from_f32(shape, data, fraction_bits, bound(bound_bits))?;
        out.object(tensor.into());
        Ok(())
    })
}

/// Integers of scale 0.
///
/// Args: as smlp_tensor_from_f64(); bound_bits: 0 means 56.
/// Errors: SMLP_SHAPE, SMLP_OUT_OF_RANGE, SMLP_INVALID_ARGUMENT, SMLP_LIMIT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_from_i64(
    data: *const i64,
    len: usize,
    shape: *const usize,
    ndim: usize,
    bound_bits: u32,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (data, shape) = unsafe { (slice(data, len, "data")?, slice(shape, ndim, "shape")?) };
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        out.object(IntegerTensor::from_i64(shape, data, bound(bound_bits))?.into());
        Ok(())
    })
}

/// Fixed-point integers as they are: each stands for integer / 2^scale.
///
/// Args: as smlp_tensor_from_f64(); scale: fraction bits that the integers have already.
/// bound_bits: 0 means 56.
/// Errors: SMLP_SHAPE, SMLP_OUT_OF_RANGE, SMLP_BOUND, SMLP_INVALID_ARGUMENT, SMLP_LIMIT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_from_raw(
    data: *const i64,
    len: usize,
    shape: *const usize,
    ndim: usize,
    scale: u32,
    bound_bits: u32,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (data, shape) = unsafe { (slice(data, len, "data")?, slice(shape, ndim, "shape")?) };
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        let values = data.iter().map(|&x| i128::from(x)).collect();
        let bits = bound(bound_bits).unwrap_or(DEFAULT_INTEGER_BOUND);
        out.object(IntegerTensor::from_i128(shape, values, scale, bits)?.into());
        Ok(())
    })
}

/// What a clear tensor stands for: integer / 2^scale, row-major.
///
/// Args: out, capacity: room for `capacity` numbers, of which the first smlp_tensor_len() are
/// written.
/// Errors: SMLP_INVALID_ARGUMENT for an encrypted tensor or too small a capacity.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_to_f64(
    tensor: *const TensorHandle,
    out: *mut f64,
    capacity: usize,
) -> Status {
    guard(|| {
        // SAFETY: the contract; `out` has room for `capacity` numbers.
        unsafe {
            let tensor = borrow(tensor, "tensor")?.clear("tensor")?;
            write_all(&tensor.to_f64(), out, capacity, "out")
        }
    })
}

/// The integers of a clear tensor, the scale not applied, row-major.
///
/// Args: as smlp_tensor_to_f64().
/// Errors: SMLP_OUT_OF_RANGE for an integer of more than 63 bits; SMLP_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_to_i64(
    tensor: *const TensorHandle,
    out: *mut i64,
    capacity: usize,
) -> Status {
    guard(|| {
        // SAFETY: the contract; `out` has room for `capacity` numbers.
        unsafe {
            let tensor = borrow(tensor, "tensor")?.clear("tensor")?;
            write_all(&tensor.to_i64()?, out, capacity, "out")
        }
    })
}

/// Encrypts every element of a clear tensor; shape, scale and bound stay readable.
///
/// Errors: SMLP_BOUND if the key is too small for the bound; SMLP_INVALID_ARGUMENT for an
/// encrypted tensor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_encrypt(
    tensor: *const TensorHandle,
    key: *const PublicKeyHandle,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, key) = unsafe { (borrow(tensor, "tensor")?, borrow(key, "key")?) };
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        let tensor = tensor.clear("tensor")?;
        out.object(EncryptedTensor::encrypt(tensor, &key.0, &Random::os())?.into());
        Ok(())
    })
}

/// As smlp_tensor_encrypt(), several times faster: for the data owner, who has the private key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_encrypt_with_private_key(
    tensor: *const TensorHandle,
    key: *const PrivateKeyHandle,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, key) = unsafe { (borrow(tensor, "tensor")?, borrow(key, "key")?) };
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        let tensor = tensor.clear("tensor")?;
        out.object(EncryptedTensor::encrypt(tensor, &key.0, &Random::os())?.into());
        Ok(())
    })
}

/// Encrypts many values a ciphertext: (bits of N - 2) / (bound + sigma + 2) along the last axis, 21
/// of 15 bits under 2048 bits with sigma 80. What a data owner uploads for training. Packed
/// tensors are decrypted, stored, cut into rows and used in sessions as others are; sums within
/// them, products with clear values and the calls of a P1 need smlp_session_unpack() first.
///
/// Args: sigma: bits of the widest masks that P1 will use on them, which follow from its promise; SMLP_UPLOAD_SIGMA if
/// in doubt.
/// Errors: as smlp_tensor_encrypt().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_encrypt_packed(
    tensor: *const TensorHandle,
    key: *const PublicKeyHandle,
    sigma: u32,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, key) = unsafe { (borrow(tensor, "tensor")?, borrow(key, "key")?) };
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        let tensor = tensor.clear("tensor")?;
        out.object(EncryptedTensor::encrypt_packed(tensor, &key.0, sigma, &Random::os())?.into());
        Ok(())
    })
}

/// As smlp_tensor_encrypt_packed(), several times faster: for the data owner, who has the private
/// key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_encrypt_packed_with_private_key(
    tensor: *const TensorHandle,
    key: *const PrivateKeyHandle,
    sigma: u32,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, key) = unsafe { (borrow(tensor, "tensor")?, borrow(key, "key")?) };
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        let tensor = tensor.clear("tensor")?;
        out.object(EncryptedTensor::encrypt_packed(tensor, &key.0, sigma, &Random::os())?.into());
        Ok(())
    })
}

/// Decrypts every element of an encrypted tensor: one of the key itself, or of the key that is known by its
/// modulus alone.
///
/// Errors: SMLP_KEY_MISMATCH; SMLP_OUT_OF_RANGE for a value that breaks the tensor's bound: a
/// promise about bounds was wrong, and what was computed since cannot be trusted;
/// SMLP_INVALID_ARGUMENT for a clear tensor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_decrypt(
    tensor: *const TensorHandle,
    key: *const PrivateKeyHandle,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, key) = unsafe { (borrow(tensor, "tensor")?, borrow(key, "key")?) };
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        out.object(tensor.encrypted("tensor")?.decrypt(&key.0)?.into());
        Ok(())
    })
}

/// The tensor as bytes, for files and for the wire. Encrypted ones name their key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_to_bytes(
    tensor: *const TensorHandle,
    out: *mut *mut BytesHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, out) = unsafe { (borrow(tensor, "tensor")?, Out::new(out, "out")?) };
        out.object(BytesHandle::new(match tensor {
            TensorHandle::Encrypted(tensor) => tensor.to_bytes()?,
            TensorHandle::Clear(tensor) => tensor.to_bytes(),
        }));
        Ok(())
    })
}

/// Reads what smlp_tensor_to_bytes() wrote.
///
/// Args: key_or_null: the key of an encrypted tensor, which also takes tensors of its modulus alone; not looked
/// at for a clear one.
/// Errors: SMLP_MALFORMED, SMLP_LIMIT, SMLP_KEY_MISMATCH; SMLP_NULL_POINTER if the tensor is
/// encrypted and there is no key; for a clear one SMLP_OUT_OF_RANGE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_from_bytes(
    data: *const u8,
    len: usize,
    key_or_null: *const PublicKeyHandle,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (data, out) = unsafe { (slice(data, len, "data")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let key = unsafe { borrow_optional(key_or_null) };
        let tensor = match (Kind::of(data), key) {
            (Some(Kind::EncryptedTensor), None) => return Err(Failure::null("key_or_null")),
            (Some(Kind::EncryptedTensor), Some(key)) => {
                EncryptedTensor::from_bytes(data, &key.0)?.into()
            }
            _ => IntegerTensor::from_bytes(data)?.into(),
        };
        out.object(tensor);
        Ok(())
    })
}

/// Raw ciphertexts for other Paillier software (g = N + 1), row-major, big-endian, each padded to
/// the width of N².
///
/// Args: bytes_each: gets that width in bytes. out: gets all of them, one after another.
/// Errors: SMLP_INVALID_ARGUMENT for a clear tensor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_to_ciphertexts(
    tensor: *const TensorHandle,
    bytes_each: *mut usize,
    out: *mut *mut BytesHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, out) = unsafe { (borrow(tensor, "tensor")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let bytes_each = unsafe { Out::new(bytes_each, "bytes_each")? };
        let (each, bytes) = tensor.encrypted("tensor")?.to_ciphertexts()?;
        bytes_each.set(each);
        out.object(BytesHandle::new(bytes));
        Ok(())
    })
}

/// Raw ciphertexts of other Paillier software (g = N + 1).
///
/// Args: data, len: the ciphertexts, row-major, big-endian. bytes_each: of each; their number is
/// len / bytes_each. shape, ndim: lengths of the axes. scale: fraction bits of the plaintexts.
/// bound_bits: every |plaintext| < 2^bound_bits, a promise; 0 means 56.
/// Errors: SMLP_MALFORMED, SMLP_SHAPE, SMLP_BOUND, SMLP_INVALID_ARGUMENT, SMLP_LIMIT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_from_ciphertexts(
    data: *const u8,
    len: usize,
    bytes_each: usize,
    shape: *const usize,
    ndim: usize,
    scale: u32,
    bound_bits: u32,
    key: *const PublicKeyHandle,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (data, shape) = unsafe { (slice(data, len, "data")?, slice(shape, ndim, "shape")?) };
        // SAFETY: the contract.
        let (key, out) = unsafe { (borrow(key, "key")?, Out::new(out, "out")?) };
        let bits = bound(bound_bits).unwrap_or(DEFAULT_INTEGER_BOUND);
        let tensor =
            EncryptedTensor::from_ciphertexts(data, bytes_each, shape, scale, bits, &key.0)?;
        out.object(tensor.into());
        Ok(())
    })
}
