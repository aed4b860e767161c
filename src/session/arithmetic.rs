//! The operations that need both parties, as one trait: a [`super::Session`] performs them on
//! encrypted tensors, [`super::Clear`] performs the same integers in the clear.

use crate::error::Result;
use crate::fixed::RoundingStream;
use crate::tensor::{Storage, Tensor};

/// How a division rounds and what it does to the scale.
#[derive(Debug, Clone, Copy)]
pub struct Division<'a> {
    /// The public divisor d, at least 1. The result is `(x + r_lo) // d`, r_lo uniform in [0, d).
    pub divisor: u64,
    /// By how many bits the scale falls: f for a truncation by 2^f, 0 for a plain quotient.
    pub scale_drop: u32,
    /// The stream and the operation number that r_lo is drawn from; `None` takes the next number
    /// of the arithmetic's own stream.
    pub rounding: Option<(&'a RoundingStream, u64)>,
}

/// Interactive operations over one kind of tensor.
pub trait Arithmetic {
    /// Ciphertexts or clear integers.
    type Elements: Storage;

    /// Element-wise product of shapes that broadcast. Scales and bounds add up.
    fn multiply(
        &self,
        a: &Tensor<Self::Elements>,
        b: &Tensor<Self::Elements>,
    ) -> Result<Tensor<Self::Elements>>;

    /// Matrix product of (m × p) and (p × q); vectors are promoted as numpy does. Scales add up; the bound is
    /// the sum of both plus ⌈log2 p⌉.
    fn matmul(
        &self,
        a: &Tensor<Self::Elements>,
        b: &Tensor<Self::Elements>,
    ) -> Result<Tensor<Self::Elements>>;

    /// `(x + r_lo) // d`, element-wise (protocols: stochastic rounding, unbiased, error below 1).
    fn divide(
        &self,
        x: &Tensor<Self::Elements>,
        division: Division<'_>,
    ) -> Result<Tensor<Self::Elements>>;

    /// A matrix product and its division, `(a @ b + r_lo) // d`: the same integers as one after the
    /// other, for less where the two can be fused.
    fn matmul_divide(
        &self,
        a: &Tensor<Self::Elements>,
        b: &Tensor<Self::Elements>,
        division: Division<'_>,
    ) -> Result<Tensor<Self::Elements>> {
        self.divide(&self.matmul(a, b)?, division)
    }

    /// `max(x, 0)` and its derivative (1 where x ≥ 0, else 0; scale 0, bound 1).
    #[allow(clippy::type_complexity)] // two tensors; an alias would hide that
    fn relu(
        &self,
        x: &Tensor<Self::Elements>,
    ) -> Result<(Tensor<Self::Elements>, Tensor<Self::Elements>)>;

    /// `bits · x` for a tensor of zeros and ones (bound of 1 bit, scale 0, same shape as `x`).
    fn select(
        &self,
        bits: &Tensor<Self::Elements>,
        x: &Tensor<Self::Elements>,
    ) -> Result<Tensor<Self::Elements>>;

    /// Element-wise maximum of shapes that broadcast: `relu(a − b) + b`. The bound is the larger one:
    /// no promise, whichever operand wins is within it.
    fn maximum(
        &self,
        a: &Tensor<Self::Elements>,
        b: &Tensor<Self::Elements>,
    ) -> Result<Tensor<Self::Elements>> {
        let (positive, _) = self.relu(&a.sub(b)?)?;
        positive.add(b)?.assume_bound(a.bound().max(b.bound()))
    }
}
