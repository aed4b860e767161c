//! What a tensor's elements are: a flat list, and the arithmetic on it that needs no interaction.
//!
//! [`super::Tensor`] owns shapes, scales and bounds and resolves broadcasting; a storage only ever
//! sees flat lists whose lengths already agree.

use crate::error::Result;

/// A flat list of elements. Implemented by [`super::Integers`] and by
/// [`super::Ciphertexts`].
///
/// Lengths and indices are checked by the caller; bounds too, so no operation here can overflow.
pub trait Storage: Sized + Send + Sync + 'static {
    /// Number of elements.
    fn len(&self) -> usize;

    /// Whether there is no element.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The largest bound, in bits, that an element can have.
    fn max_bound(&self) -> u32;

    /// Whether elements of both may meet in one operation (same key).
    fn check_compatible(&self, other: &Self) -> Result<()>;

    /// The elements at `indices`, in that order, repeats allowed.
    fn gather(&self, indices: &[usize]) -> Result<Self>;

    /// All elements of all parts; `parts` is not empty and all are compatible.
    fn concatenate(parts: &[&Self]) -> Result<Self>;

    /// Element-wise sum of two lists of equal length.
    fn add(&self, other: &Self) -> Result<Self>;

    /// Element-wise negation.
    fn negate(&self) -> Result<Self>;

    /// Element-wise sum with clear values.
    fn add_plain(&self, values: &[i128]) -> Result<Self>;

    /// `out[k] = Σ_t self[indices[k·width + t]]` for `t < width`.
    fn sum(&self, indices: &[usize], width: usize) -> Result<Self>;

    /// `out[k] = Σ_t self[indices[k·width + t]] · weights[k·width + t]`, every `|weight| < 2^weight_bits`.
    fn weighted_sum(
        &self,
        indices: &[usize],
        weights: &[i128],
        width: usize,
        weight_bits: u32,
    ) -> Result<Self>;

    /// The elements at `indices` are below `2^bits` in magnitude: checked where the values are
    /// known (the position in `indices` of the first that is not, and its value, come back),
    /// taken on trust where they are encrypted.
    fn check_bound(&self, indices: &[usize], bits: u32) -> std::result::Result<(), (usize, i128)>;
}
