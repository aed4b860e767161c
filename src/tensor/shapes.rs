//! Rules about shapes alone: how many elements, what broadcasts, what multiplies. They validate
//! everything before it reaches `ndarray`, which panics where we return an error.

use crate::error::{Error, Result};

use ndarray::ArrayD;

use crate::wire::{MAX_DIMENSIONS, MAX_ELEMENTS};

/// The number of elements of a shape, within the limits on dimensions and elements.
pub(crate) fn element_count(shape: &[usize]) -> Result<usize> {
    if shape.len() > MAX_DIMENSIONS {
        return Err(Error::Limit {
            what: "number of dimensions",
            value: shape.len() as u64,
            limit: MAX_DIMENSIONS as u64,
        });
    }
    // The limit holds without the empty axes too: ndarray refuses shapes whose strides overflow.
    let count = shape
        .iter()
        .filter(|&&length| length > 0)
        .try_fold(1usize, |count, &length| {
            count.checked_mul(length).filter(|&c| c <= MAX_ELEMENTS)
        });
    match count {
        Some(_) if shape.contains(&0) => Ok(0),
        Some(count) => Ok(count),
        None => Err(Error::Limit {
            what: "number of elements",
            value: shape.iter().fold(1u64, |n, &l| n.saturating_mul(l as u64)),
            limit: MAX_ELEMENTS as u64,
        }),
    }
}

/// The common shape of two operands: aligned at the last axis, lengths of 1 stretch (numpy).
///
/// # Errors
/// [`Error::Shape`] naming both shapes.
pub fn broadcast_shapes(a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let ndim = a.len().max(b.len());
    let length = |shape: &[usize], axis: usize| {
        (axis + shape.len())
            .checked_sub(ndim)
            .map_or(1, |i| shape[i])
    };
    let common = (0..ndim)
        .map(|axis| match (length(a, axis), length(b, axis)) {
            (x, y) if x == y => Ok(x),
            (1, y) => Ok(y),
            (x, 1) => Ok(x),
            _ => Err(Error::shape(format!(
                "{a:?} and {b:?} do not broadcast to a common shape"
            ))),
        })
        .collect::<Result<Vec<_>>>()?;
    element_count(&common)?;
    Ok(common)
}

/// For every element of `to` (row-major) the place in `from` that it repeats.
///
/// # Errors
/// [`Error::Shape`] when `from` does not broadcast to `to`.
pub fn broadcast_indices(from: &[usize], to: &[usize]) -> Result<Vec<usize>> {
    let count = element_count(from)?;
    let places = ArrayD::from_shape_vec(from, (0..count).collect()).ok();
    places
        .as_ref()
        .and_then(|p| p.broadcast(to))
        .map(|p| p.iter().copied().collect())
        .ok_or_else(|| Error::shape(format!("{from:?} does not broadcast to {to:?}")))
}

/// A matrix product (m × p) · (p × q), and the shape of its result after vectors were promoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatmulShape {
    /// Rows of the left operand.
    pub m: usize,
    /// The inner dimension.
    pub p: usize,
    /// Columns of the right operand.
    pub q: usize,
    /// [m, q] without the axis of a promoted vector.
    pub output: Vec<usize>,
}

/// The dimensions of `a @ b` for matrices and vectors: a vector on the left is a row, on the
/// right a column, and its axis is missing from the result (numpy).
///
/// # Errors
/// [`Error::Shape`] for single numbers, more than two dimensions, inner dimensions that differ or
/// are 0 (an encrypted sum of nothing does not exist).
pub fn matmul_shape(a: &[usize], b: &[usize]) -> Result<MatmulShape> {
    let refuse = |why: &str| Err(Error::shape(format!("{a:?} @ {b:?}: {why}")));
    let (m, p) = match *a {
        [p] => (1, p),
        [m, p] => (m, p),
        [] => return refuse("a single number on the left; multiply element-wise instead"),
        _ => {
            return refuse(
                "matrix products take at most 2 dimensions; slice or reshape the left operand",
            );
        }
    };
    let (inner, q) = match *b {
        [inner] => (inner, 1),
        [inner, q] => (inner, q),
        [] => return refuse("a single number on the right; multiply element-wise instead"),
        _ => {
            return refuse(
                "matrix products take at most 2 dimensions; slice or reshape the right operand",
            );
        }
    };
    if p != inner {
        return refuse(&format!("inner dimensions {p} and {inner} differ"));
    }
    if p == 0 {
        return refuse("the inner dimension is 0");
    }
    let mut output = Vec::new();
    output.extend((a.len() == 2).then_some(m));
    output.extend((b.len() == 2).then_some(q));
    element_count(&output)?;
    Ok(MatmulShape { m, p, q, output })
}

/// An axis counted from the front, or from the end when negative.
pub(crate) fn resolve_axis(axis: isize, ndim: usize) -> Result<usize> {
    let resolved = if axis < 0 { axis + ndim as isize } else { axis };
    usize::try_from(resolved)
        .ok()
        .filter(|&axis| axis < ndim)
        .ok_or_else(|| Error::invalid(format!("axis {axis} of a tensor with {ndim} dimensions")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        assert_eq!(element_count(&[]), Ok(1));
        assert_eq!(element_count(&[2, 0, 3]), Ok(0));
        assert_eq!(element_count(&[2, 3]), Ok(6));
        assert!(element_count(&[usize::MAX, 2]).is_err());
        assert!(element_count(&[usize::MAX, 0]).is_err());
        assert!(element_count(&[1; 9]).is_err());
    }

    #[test]
    fn broadcasting() {
        assert_eq!(broadcast_shapes(&[2, 3], &[3]), Ok(vec![2, 3]));
        assert_eq!(broadcast_shapes(&[2, 1], &[4, 1, 3]), Ok(vec![4, 2, 3]));
        assert_eq!(broadcast_shapes(&[], &[0, 2]), Ok(vec![0, 2]));
        assert_eq!(broadcast_shapes(&[0], &[1]), Ok(vec![0]));
        assert!(broadcast_shapes(&[2], &[3]).is_err());
        assert!(broadcast_shapes(&[0], &[2]).is_err());
    }

    #[test]
    fn matrix_products() {
        let shape = |m, p, q, output: &[usize]| {
            Ok(MatmulShape {
                m,
                p,
                q,
                output: output.to_vec(),
            })
        };
        assert_eq!(matmul_shape(&[2, 3], &[3, 4]), shape(2, 3, 4, &[2, 4]));
        assert_eq!(matmul_shape(&[3], &[3, 4]), shape(1, 3, 4, &[4]));
        assert_eq!(matmul_shape(&[2, 3], &[3]), shape(2, 3, 1, &[2]));
        assert_eq!(matmul_shape(&[3], &[3]), shape(1, 3, 1, &[]));
        assert_eq!(matmul_shape(&[0, 3], &[3, 4]), shape(0, 3, 4, &[0, 4]));
        for (a, b) in [
            (&[2, 3][..], &[2, 3][..]),
            (&[], &[1]),
            (&[1, 2, 3], &[3, 1]),
            (&[2, 0], &[0, 2]),
        ] {
            assert!(matmul_shape(a, b).is_err(), "{a:?} {b:?}");
        }
    }

    #[test]
    fn axes() {
        assert_eq!(resolve_axis(-1, 3), Ok(2));
        assert_eq!(resolve_axis(0, 1), Ok(0));
        assert!(resolve_axis(1, 1).is_err());
        assert!(resolve_axis(-2, 1).is_err());
        assert!(resolve_axis(isize::MIN, 3).is_err());
    }
}
