//! `smlp_p1`: the compute server, for those who carry the bytes themselves.

use std::sync::Arc;

use super::arguments::{Out, borrow, free, write_all};
use super::{CallHandle, PublicKeyHandle, Status, TensorHandle, guard};
use crate::protocol::{DEFAULT_SIGMA, P1};

/// The compute server: starts calls on encrypted tensors.
#[derive(Debug)]
pub struct P1Handle(pub(super) Arc<P1>);

/// P1 for one key.
///
/// Args: sigma: statistical security in bits of each mask, 40 to 128; 0 means
/// SMLP_DEFAULT_SIGMA. m masked values give P2 an advantage of at most m · 2^-sigma.
/// Errors: SMLP_INVALID_ARGUMENT, also for a key of other software, which no P2 has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_p1_new(
    key: *const PublicKeyHandle,
    sigma: u32,
    out: *mut *mut P1Handle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (key, out) = unsafe { (borrow(key, "key")?, Out::new(out, "out")?) };
        let sigma = if sigma == 0 { DEFAULT_SIGMA } else { sigma };
        out.object(P1Handle(Arc::new(P1::new(key.0.clone(), sigma)?)));
        Ok(())
    })
}

/// Where the rounding of P1's divisions comes from: to compare with the clear twin only. Who knows
/// it learns x mod d of every division; it is a secret of P1.
///
/// Args: out: room for 32 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_p1_rounding_seed(p1: *const P1Handle, out: *mut u8) -> Status {
    guard(|| {
        // SAFETY: the contract; `out` has room for 32 bytes.
        unsafe { write_all(borrow(p1, "p1")?.0.rounding().seed(), out, 32, "out") }
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
/// Args: left, right: encrypted under P1's key; ciphertexts of other software have to be refreshed
/// first. So for all calls.
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

/// Starts fresh encryptions of the same values: what ciphertexts of other software, and tensors that were
/// encrypted with the modulus of P1's key alone, need before anything else.
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
