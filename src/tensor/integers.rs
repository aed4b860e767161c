//! Clear integers: the elements of the twin, and what users encrypt and decrypt.

use super::{Storage, Tensor};
use crate::error::{Error, Result};
use crate::fixed::{
    DEFAULT_FLOAT_BOUND, DEFAULT_INTEGER_BOUND, MAX_BOUND, bits_of, decode_f64, decode_i64,
    encode_f32, encode_f64, encode_i64,
};

/// A list of clear integers below 2^126 in magnitude.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Integers(Vec<i128>);

/// A tensor of clear fixed-point numbers: the same shapes, scales, bounds, rounding and integers
/// as an encrypted one.
pub type IntegerTensor = Tensor<Integers>;

impl Integers {
    /// The list as it is; [`Tensor::from_storage`] checks its bound.
    pub fn new(values: Vec<i128>) -> Self {
        Self(values)
    }

    /// The integers.
    pub fn values(&self) -> &[i128] {
        &self.0
    }
}

impl Storage for Integers {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn max_bound(&self) -> u32 {
        MAX_BOUND
    }

    fn check_compatible(&self, _: &Self) -> Result<()> {
        Ok(())
    }

    fn gather(&self, indices: &[usize]) -> Result<Self> {
        Ok(Self(indices.iter().map(|&i| self.0[i]).collect()))
    }

    fn concatenate(parts: &[&Self]) -> Result<Self> {
        Ok(Self(
            parts
                .iter()
                .flat_map(|part| part.0.iter().copied())
                .collect(),
        ))
    }

    fn add(&self, other: &Self) -> Result<Self> {
        Ok(Self(
            self.0.iter().zip(&other.0).map(|(a, b)| a + b).collect(),
        ))
    }

    fn negate(&self) -> Result<Self> {
        Ok(Self(self.0.iter().map(|a| -a).collect()))
    }

    fn add_plain(&self, values: &[i128]) -> Result<Self> {
        Ok(Self(
            self.0.iter().zip(values).map(|(a, b)| a + b).collect(),
        ))
    }

    fn sum(&self, indices: &[usize], width: usize) -> Result<Self> {
        let sum = |row: &[usize]| row.iter().map(|&i| self.0[i]).sum();
        Ok(Self(indices.chunks_exact(width).map(sum).collect()))
    }

    fn weighted_sum(
        &self,
        indices: &[usize],
        weights: &[i128],
        width: usize,
        _: u32,
    ) -> Result<Self> {
        let rows = indices.chunks_exact(width).zip(weights.chunks_exact(width));
        let sum = |(row, weights): (&[usize], &[i128])| {
            row.iter().zip(weights).map(|(&i, w)| self.0[i] * w).sum()
        };
        Ok(Self(rows.map(sum).collect()))
    }

    fn check_bound(&self, indices: &[usize], bits: u32) -> std::result::Result<(), (usize, i128)> {
        let breaks = |&(_, &i): &(usize, &usize)| bits_of(self.0[i]) > bits;
        match indices.iter().enumerate().find(breaks) {
            Some((position, &i)) => Err((position, self.0[i])),
            None => Ok(()),
        }
    }
}

impl Tensor<Integers> {
    /// Encodes floats (row-major) as round-half-even(x·2^`fraction_bits`). The bound, in bits with
    /// the scale included, is 40 by default.
    ///
    /// # Errors
    /// [`Error::Shape`] when data and shape disagree; [`Error::NotFinite`], [`Error::OutOfRange`]
    /// naming the element; [`Error::InvalidArgument`] above 64 fraction bits or a bound outside
    /// 1..=126.
    pub fn from_f64(
        shape: &[usize],
        data: &[f64],
        fraction_bits: u32,
        bound: Option<u32>,
    ) -> Result<Self> {
        check_length(shape, data.len())?;
        let bound = bound.unwrap_or(DEFAULT_FLOAT_BOUND);
        let values = encode_f64(data, shape, fraction_bits, bound)?;
        Self::from_storage(Integers(values), shape, fraction_bits, bound)
    }

    /// As [`Tensor::from_f64`] for single precision.
    pub fn from_f32(
        shape: &[usize],
        data: &[f32],
        fraction_bits: u32,
        bound: Option<u32>,
    ) -> Result<Self> {
        check_length(shape, data.len())?;
        let bound = bound.unwrap_or(DEFAULT_FLOAT_BOUND);
        let values = encode_f32(data, shape, fraction_bits, bound)?;
        Self::from_storage(Integers(values), shape, fraction_bits, bound)
    }

    /// Integers with scale 0; the bound is 56 bits by default.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::OutOfRange`], [`Error::InvalidArgument`] as for floats.
    pub fn from_i64(shape: &[usize], data: &[i64], bound: Option<u32>) -> Result<Self> {
        check_length(shape, data.len())?;
        let bound = bound.unwrap_or(DEFAULT_INTEGER_BOUND);
        let values = encode_i64(data, shape, bound)?;
        Self::from_storage(Integers(values), shape, 0, bound)
    }

    /// Integers that are scaled already; every one has to be below 2^`bound`.
    ///
    /// # Errors
    /// As [`Tensor::from_storage`].
    pub fn from_i128(shape: &[usize], data: Vec<i128>, scale: u32, bound: u32) -> Result<Self> {
        Self::from_storage(Integers(data), shape, scale, bound)
    }

    /// The numbers that the tensor stands for, integer / 2^scale, row-major.
    pub fn to_f64(&self) -> Vec<f64> {
        self.iter().map(|x| decode_f64(x, self.scale())).collect()
    }

    /// The integers themselves, whatever the scale, row-major.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] naming the first that does not fit an i64.
    pub fn to_i64(&self) -> Result<Vec<i64>> {
        self.iter()
            .enumerate()
            .map(|(flat, x)| decode_i64(x, flat, self.shape()))
            .collect()
    }

    /// The integers themselves, whatever the scale, row-major.
    pub fn values(&self) -> Vec<i128> {
        self.iter().collect()
    }

    fn iter(&self) -> impl Iterator<Item = i128> + '_ {
        self.indices.iter().map(|&i| self.storage.0[i])
    }
}

/// Before any encoding, so that a wrong shape cannot name an element that is not there.
fn check_length(shape: &[usize], length: usize) -> Result<()> {
    let count = super::shapes::element_count(shape)?;
    if count == length {
        Ok(())
    } else {
        Err(Error::shape(format!(
            "shape {shape:?} holds {count} elements, {length} were given"
        )))
    }
}
