//! `smlp_tensor`: arithmetic that needs no second party.

use super::TensorHandle::{Clear, Encrypted};
use super::arguments::{Out, borrow, signed_size};
use super::tensor::each_kind;
use super::{Failure, Status, TensorHandle, guard};

/// left + right, broadcasting as numpy does.
///
/// Args: left, right: encrypted under one key, clear, or one of each; of equal scale.
/// Errors: SMLP_SHAPE, SMLP_SCALE, SMLP_BOUND, SMLP_KEY_MISMATCH.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_add(
    left: *const TensorHandle,
    right: *const TensorHandle,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (left, right) = unsafe { (borrow(left, "left")?, borrow(right, "right")?) };
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        out.object(match (left, right) {
            (Encrypted(a), Encrypted(b)) => a.add(b)?.into(),
            (Encrypted(a), Clear(b)) => a.add_plain(b)?.into(),
            (Clear(a), Encrypted(b)) => b.add_plain(a)?.into(),
            (Clear(a), Clear(b)) => a.add(b)?.into(),
        });
        Ok(())
    })
}

/// left - right. Args and errors as smlp_tensor_add().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_sub(
    left: *const TensorHandle,
    right: *const TensorHandle,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (left, right) = unsafe { (borrow(left, "left")?, borrow(right, "right")?) };
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        out.object(match (left, right) {
            (Encrypted(a), Encrypted(b)) => a.sub(b)?.into(),
            (Encrypted(a), Clear(b)) => a.sub_plain(b)?.into(),
            (Clear(a), Encrypted(b)) => b.neg()?.add_plain(a)?.into(),
            (Clear(a), Clear(b)) => a.sub(b)?.into(),
        });
        Ok(())
    })
}

/// -tensor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_neg(
    tensor: *const TensorHandle,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, out) = unsafe { (borrow(tensor, "tensor")?, Out::new(out, "out")?) };
        out.object(each_kind!(tensor, t => t.neg()?.into()));
        Ok(())
    })
}

/// What two ciphertexts cannot do without P2.
fn needs_session(operation: &str) -> Failure {
    Failure::invalid(format!(
        "both operands are encrypted; use smlp_session_{operation}, or make one of them clear"
    ))
}

/// left · right, element by element, broadcasting as numpy does. Scales and bounds add up.
///
/// Args: left, right: at most one encrypted; two need smlp_session_multiply(). Declared bounds
/// count, not values: lower them with smlp_tensor_assume_bound() where values are small.
/// Errors: SMLP_SHAPE, SMLP_BOUND, SMLP_INVALID_ARGUMENT if both are encrypted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_mul(
    left: *const TensorHandle,
    right: *const TensorHandle,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (left, right) = unsafe { (borrow(left, "left")?, borrow(right, "right")?) };
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        out.object(match (left, right) {
            (Encrypted(_), Encrypted(_)) => return Err(needs_session("multiply")),
            (Encrypted(a), Clear(b)) => a.mul_plain(b)?.into(),
            (Clear(a), Encrypted(b)) => b.mul_plain(a)?.into(),
            (Clear(a), Clear(b)) => a.mul_plain(b)?.into(),
        });
        Ok(())
    })
}

/// The matrix product of (m × p) and (p × q); vectors are promoted as numpy does. Scales add up,
/// and so do bounds, plus ⌈log2 p⌉ bits.
///
/// Args: left, right: at most one encrypted; two need smlp_session_matmul().
/// Errors: as smlp_tensor_mul().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_matmul(
    left: *const TensorHandle,
    right: *const TensorHandle,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (left, right) = unsafe { (borrow(left, "left")?, borrow(right, "right")?) };
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        out.object(match (left, right) {
            (Encrypted(_), Encrypted(_)) => return Err(needs_session("matmul")),
            (Encrypted(a), Clear(b)) => a.matmul_plain(b)?.into(),
            (Clear(a), Encrypted(b)) => b.rmatmul_plain(a)?.into(),
            (Clear(a), Clear(b)) => a.matmul_plain(b)?.into(),
        });
        Ok(())
    })
}

/// The sum along an axis, which disappears. Negative axes count from the end.
///
/// Errors: SMLP_SHAPE for an axis of length 0; SMLP_BOUND; SMLP_INVALID_ARGUMENT if there is no
/// such axis.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_sum(
    tensor: *const TensorHandle,
    axis: i64,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, out) = unsafe { (borrow(tensor, "tensor")?, Out::new(out, "out")?) };
        let axis = signed_size(axis, "axis")?;
        out.object(each_kind!(tensor, t => t.sum(Some(axis))?.into()));
        Ok(())
    })
}

/// The sum of all elements, a single number.
///
/// Errors: SMLP_SHAPE if there is none; SMLP_BOUND.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_sum_all(
    tensor: *const TensorHandle,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, out) = unsafe { (borrow(tensor, "tensor")?, Out::new(out, "out")?) };
        out.object(each_kind!(tensor, t => t.sum(None)?.into()));
        Ok(())
    })
}

/// The same tensor with another declared bound. Lowering it is checked on a clear tensor and a
/// promise on an encrypted one: broken, it corrupts neighbouring values and weakens masks.
///
/// Args: bits: every |integer| < 2^bits, scale included; at least 1.
/// Errors: SMLP_OUT_OF_RANGE, SMLP_BOUND, SMLP_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_assume_bound(
    tensor: *const TensorHandle,
    bits: u32,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, out) = unsafe { (borrow(tensor, "tensor")?, Out::new(out, "out")?) };
        out.object(each_kind!(tensor, t => t.assume_bound(bits)?.into()));
        Ok(())
    })
}

/// The same integers with another scale: they stand for integer / 2^scale from now on.
///
/// Errors: SMLP_INVALID_ARGUMENT for too large a scale.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_as_scale(
    tensor: *const TensorHandle,
    scale: u32,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, out) = unsafe { (borrow(tensor, "tensor")?, Out::new(out, "out")?) };
        out.object(each_kind!(tensor, t => t.as_scale(scale)?.into()));
        Ok(())
    })
}
