//! `smlp_tensor`: one C type for encrypted tensors and for clear ones. Life cycle and properties;
//! the other `tensor_*` files have what it does.

use super::arguments::{Out, borrow, free, write_all};
use super::{Failure, Status, guard};
use crate::tensor::{EncryptedTensor, IntegerTensor};

/// A tensor of encrypted or of clear fixed-point integers, row-major, of up to 8 dimensions. It
/// never changes; what operates on it makes a new one.
#[derive(Debug, Clone)]
pub enum TensorHandle {
    /// Ciphertexts under one key.
    Encrypted(EncryptedTensor),
    /// Clear integers: what goes into encryption and comes out of decryption, and the twin.
    Clear(IntegerTensor),
}

impl From<EncryptedTensor> for TensorHandle {
    fn from(tensor: EncryptedTensor) -> Self {
        Self::Encrypted(tensor)
    }
}

impl From<IntegerTensor> for TensorHandle {
    fn from(tensor: IntegerTensor) -> Self {
        Self::Clear(tensor)
    }
}

impl TensorHandle {
    /// The clear tensor, or a failure that says what to do.
    pub(super) fn clear(&self, argument: &str) -> Result<&IntegerTensor, Failure> {
        match self {
            Self::Clear(tensor) => Ok(tensor),
            Self::Encrypted(_) => Err(Failure::invalid(format!(
                "argument '{argument}' is encrypted where a clear tensor is needed; decrypt it"
            ))),
        }
    }

    /// The encrypted tensor, or a failure that says what to do.
    pub(super) fn encrypted(&self, argument: &str) -> Result<&EncryptedTensor, Failure> {
        match self {
            Self::Encrypted(tensor) => Ok(tensor),
            Self::Clear(_) => Err(Failure::invalid(format!(
                "argument '{argument}' is clear where an encrypted tensor is needed; encrypt it"
            ))),
        }
    }
}

/// The same expression for both kinds of tensor.
macro_rules! each_kind {
    ($handle:expr, $tensor:ident => $body:expr) => {
        match $handle {
            TensorHandle::Encrypted($tensor) => $body,
            TensorHandle::Clear($tensor) => $body,
        }
    };
}
pub(super) use each_kind;

/// Whether the elements are ciphertexts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_is_encrypted(
    tensor: *const TensorHandle,
    out: *mut bool,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, out) = unsafe { (borrow(tensor, "tensor")?, Out::new(out, "out")?) };
        out.set(matches!(tensor, TensorHandle::Encrypted(_)));
        Ok(())
    })
}

/// How many values share a ciphertext at most: 1 unless the tensor is packed.
///
/// Errors: SMLP_INVALID_ARGUMENT for a clear tensor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_values_per_ciphertext(
    tensor: *const TensorHandle,
    out: *mut usize,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, out) = unsafe { (borrow(tensor, "tensor")?, Out::new(out, "out")?) };
        out.set(tensor.encrypted("tensor")?.values_per_ciphertext());
        Ok(())
    })
}

/// The key of an encrypted tensor, as smlp_public_key_id() names it.
///
/// Args: out: room for 32 bytes.
/// Errors: SMLP_INVALID_ARGUMENT for a clear tensor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_key_id(tensor: *const TensorHandle, out: *mut u8) -> Status {
    guard(|| {
        // SAFETY: the contract; `out` has room for 32 bytes.
        unsafe {
            let tensor = borrow(tensor, "tensor")?.encrypted("tensor")?;
            write_all(&tensor.key().id().0, out, 32, "out")
        }
    })
}

/// Number of axes; 0 for a single number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_ndim(tensor: *const TensorHandle, out: *mut usize) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, out) = unsafe { (borrow(tensor, "tensor")?, Out::new(out, "out")?) };
        out.set(each_kind!(tensor, t => t.ndim()));
        Ok(())
    })
}

/// Number of elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_len(tensor: *const TensorHandle, out: *mut usize) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, out) = unsafe { (borrow(tensor, "tensor")?, Out::new(out, "out")?) };
        out.set(each_kind!(tensor, t => t.len()));
        Ok(())
    })
}

/// Lengths of the axes.
///
/// Args: out, capacity: room for `capacity` lengths, of which the first smlp_tensor_ndim() are
/// written; 8 always suffice.
/// Errors: SMLP_INVALID_ARGUMENT if the capacity is too small.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_shape(
    tensor: *const TensorHandle,
    out: *mut usize,
    capacity: usize,
) -> Status {
    guard(|| {
        // SAFETY: the contract; `out` has room for `capacity` lengths.
        unsafe {
            let tensor = borrow(tensor, "tensor")?;
            write_all(each_kind!(tensor, t => t.shape()), out, capacity, "out")
        }
    })
}

/// Fraction bits: the tensor stands for its integers divided by 2^scale.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_scale(tensor: *const TensorHandle, out: *mut u32) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, out) = unsafe { (borrow(tensor, "tensor")?, Out::new(out, "out")?) };
        out.set(each_kind!(tensor, t => t.scale()));
        Ok(())
    })
}

/// Bits of the largest possible integer, scale included: every |integer| < 2^bound.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_bound(tensor: *const TensorHandle, out: *mut u32) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, out) = unsafe { (borrow(tensor, "tensor")?, Out::new(out, "out")?) };
        out.set(each_kind!(tensor, t => t.bound()));
        Ok(())
    })
}

/// The same tensor once more. Cheap: the elements are shared.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_clone(
    tensor: *const TensorHandle,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, out) = unsafe { (borrow(tensor, "tensor")?, Out::new(out, "out")?) };
        out.object(tensor.clone());
        Ok(())
    })
}

/// Frees a tensor; elements go when no other tensor shares them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_free(tensor: *mut TensorHandle) {
    // SAFETY: the contract.
    unsafe { free(tensor) }
}
