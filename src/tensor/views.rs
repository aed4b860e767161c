//! Operations that rearrange indices and leave every element where it is. Costs are those of
//! index arrays: 8 bytes an element at most, no ciphertext is read.

use std::sync::Arc;

use ndarray::{ArcArray, Axis, IxDyn};

use super::shapes::{element_count, resolve_axis};
use super::{Slice, Storage, Tensor};
use crate::error::{Error, Result};

impl<S: Storage> Tensor<S> {
    /// The same elements in row-major order under another shape; one length may be −1 and is
    /// worked out.
    ///
    /// # Errors
    /// [`Error::Shape`] when the numbers of elements differ or the −1 cannot be worked out.
    pub fn reshape(&self, shape: &[isize]) -> Result<Self> {
        let shape = self.resolve_lengths(shape)?;
        if element_count(&shape)? != self.len() {
            return Err(Error::shape(format!(
                "{:?} has {} elements, {shape:?} another number",
                self.shape(),
                self.len()
            )));
        }
        let indices = self
            .indices
            .to_shape(IxDyn(&shape))
            .map_err(|error| Error::shape(format!("reshape to {shape:?}: {error}")))?;
        Ok(self.with_indices(indices.into_owned().into_shared()))
    }

    /// One axis with all elements, row-major.
    pub fn flatten(&self) -> Result<Self> {
        self.reshape(&[-1])
    }

    /// Axis i of the result is axis `axes[i]` of this tensor; negative axes count from the end.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless every axis is named exactly once.
    pub fn permute(&self, axes: &[isize]) -> Result<Self> {
        let resolved = axes
            .iter()
            .map(|&axis| resolve_axis(axis, self.ndim()))
            .collect::<Result<Vec<_>>>()?;
        let mut sorted = resolved.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..self.ndim()) {
            return Err(Error::invalid(format!(
                "permute by {axes:?}: each of the {} axes has to appear once",
                self.ndim()
            )));
        }
        Ok(self.with_indices(self.indices.clone().permuted_axes(IxDyn(&resolved))))
    }

    /// All axes in reverse order.
    pub fn transpose(&self) -> Self {
        self.with_indices(self.indices.clone().reversed_axes())
    }

    /// `self[s0, s1, ...]`: one [`Slice`] for each of the first axes, the others whole.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for more slices than axes or a step of 0.
    pub fn slice(&self, slices: &[Slice]) -> Result<Self> {
        if slices.len() > self.ndim() {
            return Err(Error::invalid(format!(
                "{} slices of a tensor with {} dimensions",
                slices.len(),
                self.ndim()
            )));
        }
        let mut indices = self.indices.clone();
        for (axis, slice) in slices.iter().enumerate() {
            let slice = slice.to_ndarray(self.shape()[axis])?;
            indices.slice_axis_inplace(Axis(axis), slice);
        }
        Ok(self.with_indices(indices))
    }

    /// Position `i` of an axis, which disappears; negative ones count from the end.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an axis or a position that does not exist.
    pub fn index(&self, axis: isize, i: isize) -> Result<Self> {
        let axis = resolve_axis(axis, self.ndim())?;
        let length = self.shape()[axis];
        let position = if i < 0 { i + length as isize } else { i };
        let position = usize::try_from(position)
            .ok()
            .filter(|&position| position < length)
            .ok_or_else(|| {
                Error::invalid(format!("index {i} on axis {axis} of length {length}"))
            })?;
        Ok(self.with_indices(self.indices.clone().index_axis_move(Axis(axis), position)))
    }

    /// The named positions of an axis, in that order, repeats allowed: the rows of a mini-batch.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] naming the position that does not exist.
    pub fn take(&self, axis: isize, positions: &[usize]) -> Result<Self> {
        let axis = resolve_axis(axis, self.ndim())?;
        let length = self.shape()[axis];
        if let Some(bad) = positions.iter().find(|&&position| position >= length) {
            return Err(Error::invalid(format!(
                "index {bad} on axis {axis} of length {length}"
            )));
        }
        let mut shape = self.shape().to_vec();
        shape[axis] = positions.len();
        element_count(&shape)?;
        Ok(self.with_indices(self.indices.select(Axis(axis), positions).into_shared()))
    }

    /// Without an axis of length 1, or without all of them.
    ///
    /// # Errors
    /// [`Error::Shape`] when the named axis is longer, [`Error::InvalidArgument`] when there is
    /// no such axis.
    pub fn squeeze(&self, axis: Option<isize>) -> Result<Self> {
        let axes = match axis {
            Some(axis) => {
                let axis = resolve_axis(axis, self.ndim())?;
                if self.shape()[axis] != 1 {
                    return Err(Error::shape(format!(
                        "squeeze of axis {axis} of {:?}",
                        self.shape()
                    )));
                }
                vec![axis]
            }
            None => (0..self.ndim())
                .filter(|&axis| self.shape()[axis] == 1)
                .collect(),
        };
        let mut indices = self.indices.clone();
        for &axis in axes.iter().rev() {
            indices = indices.index_axis_move(Axis(axis), 0);
        }
        Ok(self.with_indices(indices))
    }

    /// With a new axis of length 1 before position `axis` (−1: at the end).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a position that does not exist, [`Error::Limit`] past 8
    /// dimensions.
    pub fn unsqueeze(&self, axis: isize) -> Result<Self> {
        let axis = resolve_axis(axis, self.ndim() + 1)?;
        let mut shape = self.shape().to_vec();
        shape.insert(axis, 1);
        element_count(&shape)?;
        Ok(self.with_indices(self.indices.clone().insert_axis(Axis(axis))))
    }

    /// Stretched to `shape`: new axes in front, axes of length 1 repeated.
    ///
    /// # Errors
    /// [`Error::Shape`] when the shape cannot be reached.
    pub fn broadcast_to(&self, shape: &[usize]) -> Result<Self> {
        element_count(shape)?;
        if self.shape() == shape {
            return Ok(self.clone());
        }
        match self.indices.broadcast(IxDyn(shape)) {
            Some(view) => Ok(self.with_indices(view.to_owned().into_shared())),
            None => Err(Error::shape(format!(
                "{:?} does not broadcast to {shape:?}",
                self.shape()
            ))),
        }
    }

    /// Tiled `sizes[i]` times along axis i, new axes in front (as `torch.Tensor.repeat`).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for fewer sizes than axes, [`Error::Limit`] for too many
    /// elements.
    pub fn repeat(&self, sizes: &[usize]) -> Result<Self> {
        let Some(new_axes) = sizes.len().checked_sub(self.ndim()) else {
            return Err(Error::invalid(format!(
                "repeat by {sizes:?}: at least one size for each of the {} axes",
                self.ndim()
            )));
        };
        let mut padded = vec![1; new_axes];
        padded.extend_from_slice(self.shape());
        let repeated: Vec<usize> = padded
            .iter()
            .zip(sizes)
            .map(|(&a, &b)| a.saturating_mul(b))
            .collect();
        element_count(&repeated)?;
        let mut indices = self.broadcast_to(&padded)?.indices;
        for (axis, &size) in sizes.iter().enumerate().filter(|&(_, &size)| size != 1) {
            let positions: Vec<usize> = (0..size).flat_map(|_| 0..padded[axis]).collect();
            indices = indices.select(Axis(axis), &positions).into_shared();
        }
        Ok(self.with_indices(indices))
    }

    /// Tensors one after another along an axis they all have. Parts of one storage stay where
    /// they are; others are copied into a common one. The bound is the largest.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for no parts or no such axis, [`Error::Shape`] when other axes
    /// differ, [`Error::Scale`] when scales do, [`Error::KeyMismatch`] when keys do.
    pub fn concatenate(parts: &[&Self], axis: isize) -> Result<Self> {
        let Some((first, rest)) = parts.split_first() else {
            return Err(Error::invalid("concatenation of no tensors"));
        };
        let axis = resolve_axis(axis, first.ndim())?;
        let mut meta = first.meta;
        let mut shape = first.shape().to_vec();
        for part in rest {
            first.storage.check_compatible(&part.storage)?;
            meta.same_scale(part.meta)?;
            meta.bound = meta.bound.max(part.meta.bound);
            let fits = part.ndim() == shape.len()
                && (0..shape.len())
                    .all(|other| other == axis || part.shape()[other] == shape[other]);
            if !fits {
                return Err(Error::shape(format!(
                    "{:?} and {:?} cannot be joined along axis {axis}",
                    first.shape(),
                    part.shape()
                )));
            }
            shape[axis] += part.shape()[axis];
        }
        element_count(&shape)?;
        let shared = rest
            .iter()
            .all(|part| Arc::ptr_eq(&part.storage, &first.storage));
        let (storage, indices) = if shared {
            let indices: Vec<_> = parts.iter().map(|part| part.indices.clone()).collect();
            (Arc::clone(&first.storage), indices)
        } else {
            join_storages(parts)?
        };
        let views: Vec<_> = indices.iter().map(|array| array.view()).collect();
        let indices = ndarray::concatenate(Axis(axis), &views)
            .map_err(|error| Error::shape(format!("concatenation along axis {axis}: {error}")))?;
        Ok(Self {
            storage,
            indices: indices.into_shared(),
            meta,
        })
    }

    /// Tensors of equal shape along a new axis.
    ///
    /// # Errors
    /// As [`Tensor::concatenate`] and [`Tensor::unsqueeze`].
    pub fn stack(parts: &[&Self], axis: isize) -> Result<Self> {
        let Some(first) = parts.first() else {
            return Err(Error::invalid("stack of no tensors"));
        };
        let axis = resolve_axis(axis, first.ndim() + 1)? as isize;
        if let Some(other) = parts.iter().find(|part| part.shape() != first.shape()) {
            return Err(Error::shape(format!(
                "stack of {:?} and {:?}; shapes have to be equal",
                first.shape(),
                other.shape()
            )));
        }
        let parts = parts
            .iter()
            .map(|part| part.unsqueeze(axis))
            .collect::<Result<Vec<_>>>()?;
        Self::concatenate(&parts.iter().collect::<Vec<_>>(), axis)
    }

    fn resolve_lengths(&self, shape: &[isize]) -> Result<Vec<usize>> {
        let refuse = |why: &str| {
            Err(Error::shape(format!(
                "{:?} to {shape:?}: {why}",
                self.shape()
            )))
        };
        if shape.iter().any(|&length| length < -1) {
            return refuse("lengths are not negative, except for one -1");
        }
        let unknown = shape.iter().filter(|&&length| length == -1).count();
        let mut lengths: Vec<usize> = shape.iter().map(|&length| length.max(0) as usize).collect();
        if unknown > 1 {
            return refuse("only one length can be -1");
        }
        if let Some(open) = shape.iter().position(|&length| length == -1) {
            lengths[open] = 1;
            let known = element_count(&lengths)?;
            if known == 0 || !self.len().is_multiple_of(known) {
                return refuse("no length in place of -1 fits");
            }
            lengths[open] = self.len() / known;
        }
        Ok(lengths)
    }
}

type Indices = ArcArray<usize, IxDyn>;

/// One storage with the elements of all parts, and each part's indices into it.
fn join_storages<S: Storage>(parts: &[&Tensor<S>]) -> Result<(Arc<S>, Vec<Indices>)> {
    // Only what a part shows is copied, not all that its storage holds.
    let compact = parts
        .iter()
        .map(|part| part.compact())
        .collect::<Result<Vec<_>>>()?;
    let storages: Vec<&S> = compact.iter().map(|part| part.storage.as_ref()).collect();
    let storage = S::concatenate(&storages)?;
    let mut offset = 0;
    let indices = compact
        .iter()
        .map(|part| {
            let moved = part.indices.mapv(|index| index + offset).into_shared();
            offset += part.storage.len();
            moved
        })
        .collect();
    Ok((Arc::new(storage), indices))
}
