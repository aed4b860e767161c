//! The operations that need both parties, as one trait: a [`super::Session`] performs them on
//! encrypted tensors, [`super::Clear`] performs the same integers in the clear.

use crate::error::Result;
use crate::fixed::RoundingKey;
use crate::record::RoundingCall;
use crate::tensor::{Storage, Tensor};

/// How a division rounds and what it does to the scale.
#[derive(Debug, Clone, Copy)]
pub struct Division<'a> {
    /// The public divisor d, at least 1. The result is `(x + r_lo) // d`, r_lo uniform in [0, d).
    pub divisor: u64,
    /// By how many bits the scale falls: f for a truncation by 2^f, 0 for a plain quotient.
    pub scale_drop: u32,
    /// The key that r_lo is drawn from and the place of the division in the call that drew the key,
    /// for divisions that are parts of a call. `None`: the division is a call of its own.
    pub rounding: Option<(&'a RoundingKey, u64)>,
}

/// Interactive operations over one kind of tensor.
pub trait Arithmetic {
    /// Ciphertexts or clear integers.
    type Elements: Storage;

    /// The key that the roundings of a call are drawn from: a fresh one, which serves that call alone; in a
    /// clear session that repeats a record, the recorded one.
    fn begin(&self, call: &RoundingCall) -> Result<RoundingKey>;

    /// The call is computed and about to take effect: keeps its key where a record is wanted.
    fn complete(&self, call: RoundingCall, key: RoundingKey) -> Result<()>;

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

/// Runs a division with its key and place: those of the call that it is a part of, or of itself.
pub(super) fn rounded<A: Arithmetic + ?Sized, T>(
    arith: &A,
    division: Division<'_>,
    elements: usize,
    run: impl FnOnce((&RoundingKey, u64)) -> Result<T>,
) -> Result<T> {
    if let Some(rounding) = division.rounding {
        return run(rounding);
    }
    let call = RoundingCall::Division {
        divisor: division.divisor,
        elements: elements as u64,
    };
    let key = arith.begin(&call)?;
    let result = run((&key, 0))?;
    arith.complete(call, key)?;
    Ok(result)
}
