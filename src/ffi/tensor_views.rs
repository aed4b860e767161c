//! `smlp_tensor`: views, which rearrange indices and neither copy nor touch an element.

use super::arguments::{Out, borrow, signed_size, slice};
use super::failure::Outcome;
use super::tensor::each_kind;
use super::{Failure, Status, TensorHandle, guard};
use crate::tensor::Tensor;

fn signed_sizes(values: &[i64], argument: &str) -> Outcome<Vec<isize>> {
    values.iter().map(|&x| signed_size(x, argument)).collect()
}

/// The same elements in row-major order under another shape.
///
/// Args: shape, ndim: the new lengths; one may be -1 and is worked out.
/// Errors: SMLP_SHAPE if the numbers of elements differ; SMLP_LIMIT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_reshape(
    tensor: *const TensorHandle,
    shape: *const i64,
    ndim: usize,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, shape) = unsafe { (borrow(tensor, "tensor")?, slice(shape, ndim, "shape")?) };
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        let shape = signed_sizes(shape, "shape")?;
        out.object(each_kind!(tensor, t => t.reshape(&shape)?.into()));
        Ok(())
    })
}

/// Axis i of the result is axis `axes[i]` of the tensor; negative axes count from the end.
///
/// Errors: SMLP_INVALID_ARGUMENT unless every axis is named once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_permute(
    tensor: *const TensorHandle,
    axes: *const i64,
    ndim: usize,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, axes) = unsafe { (borrow(tensor, "tensor")?, slice(axes, ndim, "axes")?) };
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        let axes = signed_sizes(axes, "axes")?;
        out.object(each_kind!(tensor, t => t.permute(&axes)?.into()));
        Ok(())
    })
}

/// All axes in reverse order.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_transpose(
    tensor: *const TensorHandle,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, out) = unsafe { (borrow(tensor, "tensor")?, Out::new(out, "out")?) };
        out.object(each_kind!(tensor, t => t.transpose().into()));
        Ok(())
    })
}

/// Some positions of an axis: start, start + step, ...
///
/// Args: axis: negative ones count from the end. start: counts from 0. count: how many positions;
/// may be 0. step: may be negative, not 0.
/// Errors: SMLP_INVALID_ARGUMENT for a position that does not exist.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_slice(
    tensor: *const TensorHandle,
    axis: i64,
    start: i64,
    count: usize,
    step: i64,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, out) = unsafe { (borrow(tensor, "tensor")?, Out::new(out, "out")?) };
        let shape = each_kind!(tensor, t => t.shape());
        let axis = signed_size(axis, "axis")?;
        let resolved = if axis < 0 {
            axis.saturating_add_unsigned(shape.len())
        } else {
            axis
        };
        let length = usize::try_from(resolved)
            .ok()
            .and_then(|axis| shape.get(axis));
        let &length = length.ok_or_else(|| {
            Failure::invalid(format!(
                "axis {axis} of a tensor with {} dimensions",
                shape.len()
            ))
        })?;
        let positions = positions(length, start, count, step)?;
        out.object(each_kind!(tensor, t => t.take(axis, &positions)?.into()));
        Ok(())
    })
}

/// start, start + step, ..., all of which an axis of that length has.
fn positions(length: usize, start: i64, count: usize, step: i64) -> Outcome<Vec<usize>> {
    if step == 0 {
        return Err(Failure::invalid("a slice with a step of 0"));
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    let last = i128::from(start) + i128::from(step) * (count as i128 - 1);
    let fits = |position: i128| (0..length as i128).contains(&position);
    if !fits(start.into()) || !fits(last) {
        return Err(Failure::invalid(format!(
            "a slice of {count} positions from {start} by {step} of an axis of length {length}"
        )));
    }
    // Between two positions that exist every other one does, and fits an i64.
    let position = |i: usize| (start + step * i as i64) as usize;
    Ok((0..count).map(position).collect())
}

/// One position of an axis, which disappears. Negative axes and positions count from the end.
///
/// Errors: SMLP_INVALID_ARGUMENT for an axis or a position that does not exist.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_index(
    tensor: *const TensorHandle,
    axis: i64,
    index: i64,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, out) = unsafe { (borrow(tensor, "tensor")?, Out::new(out, "out")?) };
        let (axis, index) = (signed_size(axis, "axis")?, signed_size(index, "index")?);
        out.object(each_kind!(tensor, t => t.index(axis, index)?.into()));
        Ok(())
    })
}

/// The named positions of an axis, in that order, repeats allowed: the rows of a mini-batch.
///
/// Errors: SMLP_INVALID_ARGUMENT for a position that does not exist; SMLP_LIMIT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_take(
    tensor: *const TensorHandle,
    axis: i64,
    indices: *const usize,
    len: usize,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, out) = unsafe { (borrow(tensor, "tensor")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let indices = unsafe { slice(indices, len, "indices")? };
        let axis = signed_size(axis, "axis")?;
        out.object(each_kind!(tensor, t => t.take(axis, indices)?.into()));
        Ok(())
    })
}

/// Without an axis of length 1.
///
/// Errors: SMLP_SHAPE if it is longer; SMLP_INVALID_ARGUMENT if there is no such axis.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_squeeze(
    tensor: *const TensorHandle,
    axis: i64,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, out) = unsafe { (borrow(tensor, "tensor")?, Out::new(out, "out")?) };
        let axis = signed_size(axis, "axis")?;
        out.object(each_kind!(tensor, t => t.squeeze(Some(axis))?.into()));
        Ok(())
    })
}

/// Without all axes of length 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_squeeze_all(
    tensor: *const TensorHandle,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, out) = unsafe { (borrow(tensor, "tensor")?, Out::new(out, "out")?) };
        out.object(each_kind!(tensor, t => t.squeeze(None)?.into()));
        Ok(())
    })
}

/// With a new axis of length 1 before position `axis`; -1 puts it at the end.
///
/// Errors: SMLP_INVALID_ARGUMENT for a position that does not exist; SMLP_LIMIT past 8 dimensions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_unsqueeze(
    tensor: *const TensorHandle,
    axis: i64,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, out) = unsafe { (borrow(tensor, "tensor")?, Out::new(out, "out")?) };
        let axis = signed_size(axis, "axis")?;
        out.object(each_kind!(tensor, t => t.unsqueeze(axis)?.into()));
        Ok(())
    })
}

/// Stretched to a shape as numpy does: new axes in front, axes of length 1 repeated.
///
/// Errors: SMLP_SHAPE, SMLP_LIMIT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_broadcast_to(
    tensor: *const TensorHandle,
    shape: *const usize,
    ndim: usize,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, shape) = unsafe { (borrow(tensor, "tensor")?, slice(shape, ndim, "shape")?) };
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        out.object(each_kind!(tensor, t => t.broadcast_to(shape)?.into()));
        Ok(())
    })
}

/// Tiled `times[i]` times along axis i, new axes in front, as torch.Tensor.repeat does.
///
/// Errors: SMLP_INVALID_ARGUMENT for fewer times than axes; SMLP_LIMIT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_repeat(
    tensor: *const TensorHandle,
    times: *const usize,
    ndim: usize,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (tensor, times) = unsafe { (borrow(tensor, "tensor")?, slice(times, ndim, "times")?) };
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        out.object(each_kind!(tensor, t => t.repeat(times)?.into()));
        Ok(())
    })
}

/// Applies an operation of several tensors, all encrypted or all clear.
///
/// # Safety
/// The contract, for the array and for what its elements point to.
unsafe fn join(
    tensors: *const *const TensorHandle,
    len: usize,
    encrypted: impl FnOnce(&[&crate::tensor::EncryptedTensor]) -> Outcome<TensorHandle>,
    clear: impl FnOnce(&[&crate::tensor::IntegerTensor]) -> Outcome<TensorHandle>,
) -> Outcome<TensorHandle> {
    // SAFETY: the caller's promise.
    let tensors = unsafe { slice(tensors, len, "tensors")? };
    let tensors = tensors
        .iter()
        .enumerate()
        // SAFETY: the caller's promise.
        .map(|(i, &tensor)| unsafe { borrow(tensor, &format!("tensors[{i}]")) })
        .collect::<Outcome<Vec<_>>>()?;
    let name = |i: usize| format!("tensors[{i}]");
    match tensors.first() {
        Some(TensorHandle::Encrypted(_)) => {
            let parts = tensors.iter().enumerate();
            let parts = parts.map(|(i, tensor)| tensor.encrypted(&name(i)));
            encrypted(&parts.collect::<Outcome<Vec<_>>>()?)
        }
        _ => {
            let parts = tensors.iter().enumerate();
            let parts = parts.map(|(i, tensor)| tensor.clear(&name(i)));
            clear(&parts.collect::<Outcome<Vec<_>>>()?)
        }
    }
}

/// Tensors one after another along an axis that they all have; all encrypted or all clear.
///
/// Args: tensors, len: at least one; other axes and scales are equal.
/// Errors: SMLP_SHAPE, SMLP_SCALE, SMLP_KEY_MISMATCH, SMLP_INVALID_ARGUMENT, SMLP_LIMIT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_concatenate(
    tensors: *const *const TensorHandle,
    len: usize,
    axis: i64,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        let axis = signed_size(axis, "axis")?;
        // SAFETY: the contract.
        let joined = unsafe {
            join(
                tensors,
                len,
                |parts| Ok(Tensor::concatenate(parts, axis)?.into()),
                |parts| Ok(Tensor::concatenate(parts, axis)?.into()),
            )?
        };
        out.object(joined);
        Ok(())
    })
}

/// Tensors of equal shape along a new axis; all encrypted or all clear.
///
/// Args: tensors, len: at least one. axis: where the new axis goes; -1 puts it at the end.
/// Errors: as smlp_tensor_concatenate().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_tensor_stack(
    tensors: *const *const TensorHandle,
    len: usize,
    axis: i64,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        let axis = signed_size(axis, "axis")?;
        // SAFETY: the contract.
        let joined = unsafe {
            join(
                tensors,
                len,
                |parts| Ok(Tensor::stack(parts, axis)?.into()),
                |parts| Ok(Tensor::stack(parts, axis)?.into()),
            )?
        };
        out.object(joined);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_name_existing_positions_only() {
        assert_eq!(positions(5, 1, 2, 2).unwrap(), [1, 3]);
        assert_eq!(positions(5, 4, 5, -1).unwrap(), [4, 3, 2, 1, 0]);
        assert!(positions(0, 0, 0, 1).unwrap().is_empty());
        for (start, count, step) in [
            (0, 6, 1),
            (-1, 1, 1),
            (5, 1, 1),
            (0, 2, -1),
            (0, 1, 0),
            (0, usize::MAX, i64::MAX),
            (i64::MIN, usize::MAX, i64::MIN),
        ] {
            assert!(positions(5, start, count, step).is_err());
        }
    }
}
