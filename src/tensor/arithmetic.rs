//! Arithmetic that needs no interaction: sums of tensors, and anything with clear values.
//! Operands broadcast as in numpy; results are compact; scale and bound follow [`super::Meta`].

use std::sync::Arc;

use super::shapes::{broadcast_shapes, matmul_shape, resolve_axis};
use super::{IntegerTensor, MatmulShape, Meta, Storage, Tensor};
use crate::error::{Error, Result};

/// Terms that one call of [`Storage::weighted_sum`] gets at most, unless a single row of the
/// result needs more: it keeps the index and weight lists below about 100 MB.
const TERMS_PER_CALL: usize = 1 << 22;

impl<S: Storage> Tensor<S> {
    /// a + b.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Scale`] when the operands do not fit each other,
    /// [`Error::Bound`] when the result could outgrow the storage, [`Error::KeyMismatch`].
    pub fn add(&self, other: &Self) -> Result<Self> {
        self.storage.check_compatible(&other.storage)?;
        let shape = broadcast_shapes(self.shape(), other.shape())?;
        let meta = self.meta.add(other.meta, self.limit())?;
        let (a, b) = (
            self.broadcast_compact(&shape)?,
            other.broadcast_compact(&shape)?,
        );
        Self::from_parts(Arc::new(a.storage.add(&b.storage)?), &shape, meta)
    }

    /// a − b. Errors as [`Tensor::add`].
    pub fn sub(&self, other: &Self) -> Result<Self> {
        // Checked first: negation may be costly.
        broadcast_shapes(self.shape(), other.shape())?;
        self.meta.add(other.meta, self.limit())?;
        self.storage.check_compatible(&other.storage)?;
        self.add(&other.neg()?)
    }

    /// −a.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn neg(&self) -> Result<Self> {
        let compact = self.compact()?;
        Self::from_parts(Arc::new(compact.storage.negate()?), self.shape(), self.meta)
    }

    /// The sum along an axis, which disappears, or of everything (shape []).
    ///
    /// # Errors
    /// [`Error::Shape`] for an axis of length 0: there is no encrypted zero to return.
    pub fn sum(&self, axis: Option<isize>) -> Result<Self> {
        let rows = match axis {
            None => self.flatten()?,
            Some(axis) => {
                let axis = resolve_axis(axis, self.ndim())? as isize;
                let mut axes: Vec<isize> = (0..self.ndim() as isize)
                    .filter(|&other| other != axis)
                    .collect();
                axes.push(axis);
                self.permute(&axes)?
            }
        };
        let width = rows.shape().last().copied().unwrap_or(1);
        if width == 0 {
            return Err(Error::shape(format!(
                "sum of nothing: shape {:?}",
                self.shape()
            )));
        }
        let meta = self.meta.sum(width, self.limit())?;
        let storage = rows.storage.sum(&rows.flat_indices(), width)?;
        Self::from_parts(Arc::new(storage), &rows.shape()[..rows.ndim() - 1], meta)
    }

    /// a + clear values of the same scale.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Scale`], [`Error::Bound`].
    pub fn add_plain(&self, values: &IntegerTensor) -> Result<Self> {
        let shape = broadcast_shapes(self.shape(), values.shape())?;
        let meta = self.meta.add(values.meta, self.limit())?;
        let a = self.broadcast_compact(&shape)?;
        let values = values.broadcast_to(&shape)?.values();
        Self::from_parts(Arc::new(a.storage.add_plain(&values)?), &shape, meta)
    }

    /// a − clear values of the same scale. Errors as [`Tensor::add_plain`].
    pub fn sub_plain(&self, values: &IntegerTensor) -> Result<Self> {
        self.add_plain(&values.neg()?)
    }

    /// a · clear values, element-wise; scales and bounds add up. The bound of the values is their
    /// declared one: lower it with `assume_bound` where they are smaller.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Bound`].
    pub fn mul_plain(&self, values: &IntegerTensor) -> Result<Self> {
        let shape = broadcast_shapes(self.shape(), values.shape())?;
        let meta = self.meta.multiply(values.meta, self.limit())?;
        let indices = self.broadcast_to(&shape)?.flat_indices();
        let weights = values.broadcast_to(&shape)?.values();
        let storage = self
            .storage
            .weighted_sum(&indices, &weights, 1, values.bound())?;
        Self::from_parts(Arc::new(storage), &shape, meta)
    }

    /// a @ clear matrix; vectors are promoted as numpy does.
    ///
    /// # Errors
    /// [`Error::Shape`] (at most 2 dimensions), [`Error::Bound`].
    pub fn matmul_plain(&self, weights: &IntegerTensor) -> Result<Self> {
        let shape = matmul_shape(self.shape(), weights.shape())?;
        let meta = self.meta.matmul(weights.meta, shape.p, self.limit())?;
        let (elements, values) = (self.flat_indices(), weights.values());
        let MatmulShape { p, q, .. } = shape;
        self.rows_of_products(&shape, meta, weights.bound(), |i, j, t| {
            (elements[i * p + t], values[t * q + j])
        })
    }

    /// Clear matrix @ a. Errors as [`Tensor::matmul_plain`].
    pub fn rmatmul_plain(&self, weights: &IntegerTensor) -> Result<Self> {
        let shape = matmul_shape(weights.shape(), self.shape())?;
        let meta = self.meta.matmul(weights.meta, shape.p, self.limit())?;
        let (elements, values) = (self.flat_indices(), weights.values());
        let MatmulShape { p, q, .. } = shape;
        self.rows_of_products(&shape, meta, weights.bound(), |i, j, t| {
            (elements[t * q + j], values[i * p + t])
        })
    }

    /// Σ_t element · weight, `term(i, j, t)` naming both, some rows of the result at a time.
    fn rows_of_products(
        &self,
        shape: &MatmulShape,
        meta: Meta,
        weight_bits: u32,
        term: impl Fn(usize, usize, usize) -> (usize, i128),
    ) -> Result<Self> {
        let &MatmulShape { m, p, q, .. } = shape;
        let rows = (TERMS_PER_CALL / p.saturating_mul(q).max(1)).clamp(1, m.max(1));
        let mut parts = Vec::new();
        for first in (0..m.max(1)).step_by(rows) {
            let (indices, weights): (Vec<usize>, Vec<i128>) = (first..m.min(first + rows))
                .flat_map(|i| (0..q).map(move |j| (i, j)))
                .flat_map(|(i, j)| (0..p).map(move |t| (i, j, t)))
                .map(|(i, j, t)| term(i, j, t))
                .unzip();
            parts.push(
                self.storage
                    .weighted_sum(&indices, &weights, p, weight_bits)?,
            );
        }
        let storage = match parts.len() {
            1 => parts.remove(0),
            _ => S::concatenate(&parts.iter().collect::<Vec<_>>())?,
        };
        Self::from_parts(Arc::new(storage), &shape.output, meta)
    }

    fn broadcast_compact(&self, shape: &[usize]) -> Result<Self> {
        self.broadcast_to(shape)?.compact()
    }

    fn limit(&self) -> u32 {
        self.storage.max_bound()
    }
}
