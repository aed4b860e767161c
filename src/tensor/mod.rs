//! Tensors: one shape logic for encrypted and clear elements.
//!
//! A tensor is a shared list of elements ([`Storage`]) and an array of *indices* into it, with a
//! public scale and bound. Everything that only moves elements (reshape, slice, broadcast,
//! transpose, ...) rewrites indices and touches no element, so views of ciphertexts are free.
//! Arithmetic here is what needs no second party; [`crate::session`] has the rest.
#![forbid(unsafe_code)]

mod arithmetic;
mod ciphertexts;
mod encrypted;
mod integers;
mod meta;
mod packed;
mod shapes;
mod share;
mod slicing;
mod storage;
#[cfg(test)]
mod tests;
mod views;

use std::fmt;
use std::sync::Arc;

use ndarray::{ArcArray, IxDyn};

pub use crate::wire::{MAX_DIMENSIONS, MAX_ELEMENTS};
pub use ciphertexts::Ciphertexts;
pub(crate) use ciphertexts::residues_of_signed;
pub use encrypted::EncryptedTensor;
pub use integers::{IntegerTensor, Integers};
pub use meta::Meta;
pub use packed::UPLOAD_SIGMA;
pub(crate) use packed::pack_signed_rows;
pub use shapes::{MatmulShape, broadcast_indices, broadcast_shapes, matmul_shape};
pub(crate) use share::{JobLabel, Known, Line, Packs, Share, Shared, Wanted};
pub use slicing::Slice;
pub use storage::Storage;

use crate::error::{Error, Result};
use crate::fixed::out_of_range;

/// An n-dimensional array (up to 8 dimensions, zero-length axes allowed) of integers x·2^scale,
/// each below 2^bound in magnitude. Cloning is cheap and shares the elements.
pub struct Tensor<S: Storage> {
    storage: Arc<S>,
    indices: ArcArray<usize, IxDyn>,
    meta: Meta,
}

impl<S: Storage> Tensor<S> {
    /// A tensor of all elements of `storage`, row-major. Where values are known, the bound is
    /// checked; where they are encrypted, it is a promise of the caller.
    ///
    /// # Errors
    /// [`Error::Shape`] when shape and number of elements disagree, [`Error::Limit`] for more
    /// than 8 dimensions, [`Error::Bound`] for a bound above the storage's,
    /// [`Error::InvalidArgument`] for a bound of 0 or an absurd scale, [`Error::OutOfRange`] for
    /// the first element that breaks the bound.
    pub fn from_storage(storage: S, shape: &[usize], scale: u32, bound: u32) -> Result<Self> {
        let count = shapes::element_count(shape)?;
        if count != storage.len() {
            return Err(Error::shape(format!(
                "shape {shape:?} holds {count} elements, {} were given",
                storage.len()
            )));
        }
        let meta = Meta { scale, bound }.checked(storage.max_bound())?;
        let tensor = Self::from_parts(Arc::new(storage), shape, meta)?;
        tensor.check_values(bound)?;
        Ok(tensor)
    }

    /// As [`Tensor::from_storage`] for a result whose bound follows from its operands'.
    pub(crate) fn from_parts(storage: Arc<S>, shape: &[usize], meta: Meta) -> Result<Self> {
        let indices = ArcArray::from_shape_vec(IxDyn(shape), (0..storage.len()).collect())
            .map_err(|error| Error::shape(format!("shape {shape:?}: {error}")))?;
        Ok(Self {
            storage,
            indices,
            meta,
        })
    }

    /// The same elements behind other indices.
    fn with_indices(&self, indices: ArcArray<usize, IxDyn>) -> Self {
        Self {
            storage: Arc::clone(&self.storage),
            indices,
            meta: self.meta,
        }
    }

    /// Lengths of the axes; empty for a single number.
    pub fn shape(&self) -> &[usize] {
        self.indices.shape()
    }

    /// Number of axes.
    pub fn ndim(&self) -> usize {
        self.indices.ndim()
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether some axis has length zero.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fraction bits: the tensor stands for its integers divided by 2^scale.
    pub fn scale(&self) -> u32 {
        self.meta.scale
    }

    /// Every integer is below 2^bound in magnitude, scale included.
    pub fn bound(&self) -> u32 {
        self.meta.bound
    }

    /// Scale and bound.
    pub fn meta(&self) -> Meta {
        self.meta
    }

    /// The elements behind the indices; more, fewer or in another order than the tensor's own.
    /// [`Tensor::compact`] makes them agree.
    pub fn storage(&self) -> &Arc<S> {
        &self.storage
    }

    /// Positions in the storage of the elements, row-major.
    pub fn flat_indices(&self) -> Vec<usize> {
        self.indices.iter().copied().collect()
    }

    /// A tensor whose storage is exactly its elements in row-major order. Gathers (for
    /// ciphertexts: copies) unless that is so already.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn compact(&self) -> Result<Self> {
        let in_order =
            self.len() == self.storage.len() && self.indices.iter().copied().eq(0..self.len());
        if in_order {
            return Ok(self.clone());
        }
        let storage = self.storage.gather(&self.flat_indices())?;
        Self::from_parts(Arc::new(storage), self.shape(), self.meta)
    }

    /// The same tensor with another declared bound of `bits`. Lowering it is a promise: checked
    /// for clear values, taken on trust for encrypted ones, where a broken promise corrupts
    /// neighbouring values and weakens masks. Raising it needs no check.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] naming the first value (index, value, bound) that breaks it,
    /// [`Error::Bound`] above the storage's limit, [`Error::InvalidArgument`] for 0.
    pub fn assume_bound(&self, bits: u32) -> Result<Self> {
        let meta = Meta {
            bound: bits,
            ..self.meta
        }
        .checked(self.storage.max_bound())?;
        if bits < self.bound() {
            self.check_values(bits)?;
        }
        Ok(Self {
            meta,
            ..self.clone()
        })
    }

    /// The same integers, standing for themselves divided by 2^`scale` from now on.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for too large a scale.
    pub fn as_scale(&self, scale: u32) -> Result<Self> {
        let meta = Meta { scale, ..self.meta }.checked(self.storage.max_bound())?;
        Ok(Self {
            meta,
            ..self.clone()
        })
    }

    /// As [`Tensor::assume_bound`], where that lowers the bound; a tighter one stays.
    pub(crate) fn at_most(&self, bits: u32) -> Result<Self> {
        match self.bound() <= bits {
            true => Ok(self.clone()),
            false => self.assume_bound(bits),
        }
    }

    fn check_values(&self, bits: u32) -> Result<()> {
        self.storage
            .check_bound(&self.flat_indices(), bits)
            .map_err(|(position, value)| {
                out_of_range(value, position, self.shape(), bits, self.scale())
            })
    }
}

impl<S: Storage> Clone for Tensor<S> {
    fn clone(&self) -> Self {
        self.with_indices(self.indices.clone())
    }
}

impl<S: Storage> fmt::Debug for Tensor<S> {
    /// Shape, scale and bound; never the elements.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tensor")
            .field("shape", &self.shape())
            .field("scale", &self.scale())
            .field("bound", &self.bound())
            .finish_non_exhaustive()
    }
}
