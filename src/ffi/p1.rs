//! `smlp_p1`: the compute server, for those who carry the bytes themselves.

use std::sync::Arc;

use super::arguments::{Out, borrow, free, security};
use super::{CallHandle, PublicKeyHandle, Status, TensorHandle, guard};
use crate::paillier::Security;
use crate::protocol::{P1, Promise};

/// The compute server: starts calls on encrypted tensors.
#[derive(Debug)]
pub struct P1Handle(pub(super) Arc<P1>);

/// P1 for one key, which promises that P2's advantage over guessing is at most 2^-security: over all trainings of a
/// network, and over all its other calls. The widths of its masks follow from that and from what P2 gets to see.
///
/// Args: security: 40 to 128 bits, SMLP_DEFAULT_SECURITY if in doubt. values: what calls other than trainings may show
/// P2, in values and ciphertexts, SMLP_DEFAULT_VALUES if in doubt; past that they fail with SMLP_INSECURE.
/// Errors: SMLP_INVALID_ARGUMENT, also for a key of other software, which no P2 has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_p1_new(
    key: *const PublicKeyHandle,
    security: u32,
    values: u64,
    out: *mut *mut P1Handle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (key, out) = unsafe { (borrow(key, "key")?, Out::new(out, "out")?) };
        let promise = Promise::of(security).values(values);
        out.object(P1Handle(Arc::new(P1::new(key.0.clone(), promise)?)));
        Ok(())
    })
}

/// P1 with masks of a chosen width. What that is too narrow for, to keep a promise of 2^-40, fails with
/// SMLP_INSECURE before anything is sent.
///
/// Args: sigma: statistical security of each mask in bits, 40 to 128. flags: 0, or SMLP_ALLOW_INSECURE to promise
/// nothing: for tests and for measuring, never for data.
/// Errors: SMLP_INVALID_ARGUMENT, also for a key of other software.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_p1_new_with_sigma(
    key: *const PublicKeyHandle,
    sigma: u32,
    flags: u32,
    out: *mut *mut P1Handle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (key, out) = unsafe { (borrow(key, "key")?, Out::new(out, "out")?) };
        let promise = match security(flags)? {
            Security::Required => Promise::default().with_sigma(sigma),
            Security::AllowInsecure => Promise::insecure(sigma),
        };
        out.object(P1Handle(Arc::new(P1::new(key.0.clone(), promise)?)));
        Ok(())
    })
}

/// The statistical security of P1's masks in bits, outside of trainings, which choose their own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_p1_sigma(p1: *const P1Handle, out: *mut u32) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (p1, out) = unsafe { (borrow(p1, "p1")?, Out::new(out, "out")?) };
        out.set(p1.0.sigma());
        Ok(())
    })
}

/// s of the promise that P2's advantage over guessing is at most 2^-s; 0 where nothing is promised.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_p1_security(p1: *const P1Handle, out: *mut u32) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (p1, out) = unsafe { (borrow(p1, "p1")?, Out::new(out, "out")?) };
        out.set(p1.0.promise().security());
        Ok(())
    })
}

/// Frees P1. Calls and sessions keep what they need.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_p1_free(p1: *mut P1Handle) {
    // SAFETY: the contract.
    unsafe { free(p1) }
}

/// Starts left · right, element by element, broadcasting as numpy does. Scales and bounds add up.
///
/// Args: left, right: encrypted under P1's key, not packed. So for all calls.
/// Errors: SMLP_SHAPE, SMLP_BOUND, SMLP_KEY_MISMATCH, SMLP_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_p1_multiply(
    p1: *const P1Handle,
    left: *const TensorHandle,
    right: *const TensorHandle,
    out: *mut *mut CallHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (p1, out) = unsafe { (borrow(p1, "p1")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let (left, right) = unsafe { (borrow(left, "left")?, borrow(right, "right")?) };
        let (left, right) = (left.encrypted("left")?, right.encrypted("right")?);
        out.object(CallHandle(p1.0.multiply(left, right)?));
        Ok(())
    })
}

/// Starts the matrix product of (m × p) and (p × q); vectors are promoted as numpy does. Scales
/// add up, and so do bounds, plus ⌈log2 p⌉ bits.
///
/// Errors: as smlp_p1_multiply().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_p1_matmul(
    p1: *const P1Handle,
    left: *const TensorHandle,
    right: *const TensorHandle,
    out: *mut *mut CallHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (p1, out) = unsafe { (borrow(p1, "p1")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let (left, right) = unsafe { (borrow(left, "left")?, borrow(right, "right")?) };
        let (left, right) = (left.encrypted("left")?, right.encrypted("right")?);
        out.object(CallHandle(p1.0.matmul(left, right)?));
        Ok(())
    })
}

/// Starts (x + r) // divisor, rounded down, with r uniform in [0, divisor): unbiased rounding of
/// x / divisor with an error below 1.
///
/// Args: divisor: at least 1. scale_drop: by how many bits the scale falls: f when the divisor is
/// 2^f and stands for a truncation, 0 for a plain quotient.
/// Errors: as smlp_p1_multiply().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_p1_divide(
    p1: *const P1Handle,
    tensor: *const TensorHandle,
    divisor: u64,
    scale_drop: u32,
    out: *mut *mut CallHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (p1, out) = unsafe { (borrow(p1, "p1")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let tensor = unsafe { borrow(tensor, "tensor")? }.encrypted("tensor")?;
        out.object(CallHandle(p1.0.divide(tensor, divisor, scale_drop, None)?));
        Ok(())
    })
}

/// Starts max(x, 0): result 0; result 1 is its derivative, 1 where x >= 0, else 0 (scale 0).
///
/// Errors: as smlp_p1_multiply().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_p1_relu(
    p1: *const P1Handle,
    tensor: *const TensorHandle,
    out: *mut *mut CallHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (p1, out) = unsafe { (borrow(p1, "p1")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let tensor = unsafe { borrow(tensor, "tensor")? }.encrypted("tensor")?;
        out.object(CallHandle(p1.0.relu(tensor)?));
        Ok(())
    })
}

/// Starts bits · x for a tensor of zeros and ones.
///
/// Args: bits: of scale 0 and a bound of 1 bit, as derivatives are; of the shape of `tensor`.
/// Errors: as smlp_p1_multiply().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_p1_select(
    p1: *const P1Handle,
    bits: *const TensorHandle,
    tensor: *const TensorHandle,
    out: *mut *mut CallHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (p1, out) = unsafe { (borrow(p1, "p1")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let (bits, tensor) = unsafe { (borrow(bits, "bits")?, borrow(tensor, "tensor")?) };
        let (bits, tensor) = (bits.encrypted("bits")?, tensor.encrypted("tensor")?);
        out.object(CallHandle(p1.0.select(bits, tensor)?));
        Ok(())
    })
}

/// Starts the element-wise maximum, broadcasting as numpy does.
///
/// Errors: as smlp_p1_multiply(); SMLP_SCALE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_p1_maximum(
    p1: *const P1Handle,
    left: *const TensorHandle,
    right: *const TensorHandle,
    out: *mut *mut CallHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (p1, out) = unsafe { (borrow(p1, "p1")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let (left, right) = unsafe { (borrow(left, "left")?, borrow(right, "right")?) };
        let (left, right) = (left.encrypted("left")?, right.encrypted("right")?);
        out.object(CallHandle(p1.0.maximum(left, right)?));
        Ok(())
    })
}

/// Starts fresh encryptions of the same values by P2, packed where they were. Tensors that were encrypted with the
/// modulus of P1's key alone need this before anything else. Others do not: ciphertexts that anybody may have made, those
/// of files and of other software, are hidden as such wherever P2 gets to see them.
///
/// Errors: SMLP_BOUND, SMLP_KEY_MISMATCH, SMLP_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_p1_refresh(
    p1: *const P1Handle,
    tensor: *const TensorHandle,
    out: *mut *mut CallHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (p1, out) = unsafe { (borrow(p1, "p1")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let tensor = unsafe { borrow(tensor, "tensor")? }.encrypted("tensor")?;
        out.object(CallHandle(p1.0.refresh(tensor)?));
        Ok(())
    })
}
