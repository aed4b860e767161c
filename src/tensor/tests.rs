//! Tensors against a naive model: a function from multi-indices to integers, written out.

use proptest::prelude::*;

use super::*;
use crate::error::Error;

/// Row-major data and its shape; every operation is spelled out element by element.
#[derive(Debug, Clone, PartialEq)]
struct Model {
    shape: Vec<usize>,
    data: Vec<i128>,
}

impl Model {
    /// The array of that shape whose element at each index is what `element` says.
    fn build(shape: &[usize], element: impl Fn(&[usize]) -> i128) -> Self {
        let count = shape.iter().product();
        let data = (0..count)
            .map(|flat| element(&crate::fixed::unravel(flat, shape)))
            .collect();
        Self {
            shape: shape.to_vec(),
            data,
        }
    }

    fn at(&self, index: &[usize]) -> i128 {
        let flat = index
            .iter()
            .zip(&self.shape)
            .fold(0, |flat, (&i, &n)| flat * n + i);
        self.data[flat]
    }

    /// As numpy aligns shapes: missing axes in front, lengths of 1 stretched.
    fn broadcast_at(&self, index: &[usize]) -> i128 {
        let tail = &index[index.len() - self.shape.len()..];
        let own: Vec<usize> = tail
            .iter()
            .zip(&self.shape)
            .map(|(&i, &n)| if n == 1 { 0 } else { i })
            .collect();
        self.at(&own)
    }
}

fn model(tensor: &IntegerTensor) -> Model {
    Model {
        shape: tensor.shape().to_vec(),
        data: tensor.values(),
    }
}

/// A tensor of distinct numbers.
fn ramp(shape: &[usize]) -> IntegerTensor {
    let count: usize = shape.iter().product();
    IntegerTensor::from_i128(shape, (0..count as i128).map(|x| x - 3).collect(), 0, 40).unwrap()
}

fn shapes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0usize..4, 0..4)
}

proptest! {
    #[test]
    fn views_agree_with_the_model(shape in shapes(), seed in any::<u64>()) {
        let tensor = ramp(&shape);
        let reference = model(&tensor);
        let ndim = shape.len();

        let mut axes: Vec<usize> = (0..ndim).collect();
        if ndim > 0 {
            axes.rotate_left(seed as usize % ndim);
            axes.swap(0, seed as usize / 7 % ndim);
        }
        let signed: Vec<isize> = axes.iter().map(|&a| a as isize - if seed & 1 == 0 { 0 } else { ndim as isize }).collect();
        let permuted_shape: Vec<usize> = axes.iter().map(|&a| shape[a]).collect();
        let permuted = tensor.permute(&signed).unwrap();
        let expected = Model::build(&permuted_shape, |index| {
            let mut own = vec![0; ndim];
            axes.iter().zip(index).for_each(|(&axis, &i)| own[axis] = i);
            reference.at(&own)
        });
        prop_assert_eq!(&model(&permuted), &expected);

        // Views of views, and what compacting and flattening make of them.
        prop_assert_eq!(&model(&permuted.compact().unwrap()), &expected);
        prop_assert_eq!(permuted.flatten().unwrap().values(), expected.data.clone());
        let back = permuted.transpose().transpose();
        prop_assert_eq!(&model(&back), &expected);

        for axis in 0..ndim {
            let length = permuted_shape[axis];
            if length > 0 {
                let i = seed as usize % length;
                let mut shape = permuted_shape.clone();
                shape.remove(axis);
                let expected = Model::build(&shape, |index| {
                    let mut own = index.to_vec();
                    own.insert(axis, i);
                    expected.at(&own)
                });
                prop_assert_eq!(model(&permuted.index(axis as isize, i as isize).unwrap()), expected.clone());
                prop_assert_eq!(model(&permuted.index(axis as isize, i as isize - length as isize).unwrap()), expected);
                let positions = [i, 0, length - 1, i];
                let mut shape = permuted_shape.clone();
                shape[axis] = 4;
                let taken = permuted.take(axis as isize, &positions).unwrap();
                prop_assert_eq!(model(&taken), Model::build(&shape, |index| {
                    let mut own = index.to_vec();
                    own[axis] = positions[index[axis]];
                    model(&permuted).at(&own)
                }));
            }
            let mut shape = permuted_shape.clone();
            shape[axis] = 0;
            let none = permuted.take(axis as isize, &[]).unwrap();
            prop_assert_eq!(none.shape(), &shape[..]);
        }
    }

    #[test]
    fn slices_agree_with_stepping(
        shape in shapes(),
        start in prop::option::of(-6isize..6),
        stop in prop::option::of(-6isize..6),
        step in prop::sample::select(vec![-3isize, -2, -1, 1, 2, 3]),
    ) {
        let tensor = ramp(&shape);
        for axis in 0..shape.len() {
            let slice = Slice::new(start, stop, step);
            let mut slices = vec![Slice::all(); axis];
            slices.push(slice);
            let (first, count, stride) = slice.resolve(shape[axis]).unwrap();
            let mut expected_shape = shape.clone();
            expected_shape[axis] = count;
            let expected = Model::build(&expected_shape, |index| {
                let mut own = index.to_vec();
                own[axis] = (first as isize + index[axis] as isize * stride) as usize;
                model(&tensor).at(&own)
            });
            prop_assert_eq!(model(&tensor.slice(&slices).unwrap()), expected);
        }
    }

    #[test]
    fn repeat_and_broadcast_agree_with_the_model(shape in shapes(), sizes in prop::collection::vec(0usize..3, 4)) {
        let tensor = ramp(&shape);
        let new = sizes.len() - shape.len();
        let repeated: Vec<usize> = (0..4).map(|i| sizes[i] * if i < new { 1 } else { shape[i - new] }).collect();
        let expected = Model::build(&repeated, |index| {
            let own: Vec<usize> = index[new..].iter().zip(&shape).map(|(&i, &n)| i % n).collect();
            model(&tensor).at(&own)
        });
        prop_assert_eq!(model(&tensor.repeat(&sizes).unwrap()), expected);

        let stretched: Vec<usize> = std::iter::once(2).chain(shape.iter().map(|&n| if n == 1 { 3 } else { n })).collect();
        let expected = Model::build(&stretched, |index| model(&tensor).broadcast_at(index));
        prop_assert_eq!(model(&tensor.broadcast_to(&stretched).unwrap()), expected);
    }

    #[test]
    fn concatenation_agrees_with_the_model(shape in prop::collection::vec(0usize..4, 1..4), shared in any::<bool>()) {
        let base = ramp(&shape);
        for axis in 0..shape.len() {
            let reversed = {
                let mut slices = vec![Slice::all(); axis];
                slices.push(Slice::new(None, None, -1));
                base.slice(&slices).unwrap()
            };
            let second = if shared { reversed } else { reversed.compact().unwrap().neg().unwrap() };
            let joined = IntegerTensor::concatenate(&[&base, &second, &base], axis as isize).unwrap();
            let length = shape[axis];
            let mut expected_shape = shape.clone();
            expected_shape[axis] = 3 * length;
            let expected = Model::build(&expected_shape, |index| {
                let mut own = index.to_vec();
                own[axis] %= length;
                if index[axis] / length == 1 { model(&second).at(&own) } else { model(&base).at(&own) }
            });
            prop_assert_eq!(model(&joined), expected);

            let stacked = IntegerTensor::stack(&[&base, &second], axis as isize).unwrap();
            let mut expected_shape = shape.clone();
            expected_shape.insert(axis, 2);
            let expected = Model::build(&expected_shape, |index| {
                let mut own = index.to_vec();
                let which = own.remove(axis);
                [model(&base), model(&second)][which].at(&own)
            });
            prop_assert_eq!(model(&stacked), expected);
        }
    }

    #[test]
    fn arithmetic_agrees_with_the_model(left in shapes(), right in shapes()) {
        let (a, b) = (ramp(&left), ramp(&right));
        if let Ok(shape) = broadcast_shapes(&left, &right) {
            let apply = |f: fn(i128, i128) -> i128| {
                Model::build(&shape, |i| f(model(&a).broadcast_at(i), model(&b).broadcast_at(i)))
            };
            prop_assert_eq!(model(&a.add(&b).unwrap()), apply(|x, y| x + y));
            prop_assert_eq!(model(&a.sub(&b).unwrap()), apply(|x, y| x - y));
            prop_assert_eq!(model(&a.add_plain(&b).unwrap()), apply(|x, y| x + y));
            prop_assert_eq!(model(&a.sub_plain(&b).unwrap()), apply(|x, y| x - y));
            prop_assert_eq!(model(&a.mul_plain(&b).unwrap()), apply(|x, y| x * y));
        } else {
            prop_assert!(matches!(a.add(&b), Err(Error::Shape(_))));
        }
        for axis in 0..left.len() {
            let mut shape = left.clone();
            let length = shape.remove(axis);
            let sum = a.sum(Some(axis as isize));
            if length == 0 {
                prop_assert!(sum.is_err());
                continue;
            }
            let expected = Model::build(&shape, |index| {
                (0..length).map(|i| {
                    let mut own = index.to_vec();
                    own.insert(axis, i);
                    model(&a).at(&own)
                }).sum()
            });
            prop_assert_eq!(model(&sum.unwrap()), expected);
        }
        if !a.is_empty() {
            let total = a.sum(None).unwrap();
            prop_assert_eq!(total.shape(), &[0usize; 0]);
            prop_assert_eq!(total.values(), vec![a.values().iter().sum::<i128>()]);
        }
    }

    #[test]
    fn matrix_products_agree_with_the_model(m in 0usize..4, p in 1usize..4, q in 0usize..4) {
        let (a, b) = (ramp(&[m, p]), ramp(&[p, q]));
        let expected = Model::build(&[m, q], |i| {
            (0..p).map(|t| model(&a).at(&[i[0], t]) * model(&b).at(&[t, i[1]])).sum()
        });
        prop_assert_eq!(model(&a.matmul_plain(&b).unwrap()), expected.clone());
        prop_assert_eq!(model(&b.rmatmul_plain(&a).unwrap()), expected.clone());
        if m > 0 {
            let row = a.index(0, 0).unwrap().matmul_plain(&b).unwrap();
            prop_assert_eq!(row.shape(), &[q]);
            prop_assert_eq!(row.values(), expected.data[..q].to_vec());
        }
    }

    /// Whatever is computed, every value stays below its tensor's bound.
    #[test]
    fn bounds_are_never_violated(
        data in prop::collection::vec(any::<i64>(), 6),
        bound in 1u32..30,
        ops in prop::collection::vec(0u8..7, 1..12),
    ) {
        let top = (1i128 << bound) - 1;
        let start: Vec<i128> = data.iter().map(|&x| match x & 3 {
            0 => top,
            1 => -top,
            _ => i128::from(x) % (top + 1),
        }).collect();
        let first = IntegerTensor::from_i128(&[2, 3], start, 0, bound).unwrap();
        let mut x = first.clone();
        for op in ops {
            let next = match op {
                0 => x.add(&first),
                1 => x.sub(&first.neg().unwrap()),
                2 => x.mul_plain(&first),
                3 => x.sum(Some(0)).and_then(|row| row.broadcast_to(&[2, 3])),
                4 => x.matmul_plain(&first.transpose()).and_then(|y| y.matmul_plain(&first)),
                5 => x.transpose().rmatmul_plain(&first).and_then(|y| y.matmul_plain(&x)),
                _ => x.add_plain(&first.broadcast_to(&[2, 3]).unwrap()),
            };
            match next {
                Ok(tensor) if tensor.shape() == [2, 3] => x = tensor,
                Ok(tensor) => {
                    let limit = tensor.bound();
                    prop_assert!(tensor.values().iter().all(|&v| crate::fixed::fits(v, limit)));
                }
                Err(error) => {
                    let refused = matches!(error, Error::Bound { needed, limit, .. } if needed > limit);
                    prop_assert!(refused, "{}", error);
                }
            }
            let limit = x.bound();
            prop_assert!(x.values().iter().all(|&v| crate::fixed::fits(v, limit)));
        }
    }
}

#[test]
fn reshaping() {
    let x = ramp(&[2, 6]);
    assert_eq!(x.reshape(&[3, -1]).unwrap().shape(), [3, 4]);
    assert_eq!(
        x.transpose().reshape(&[12]).unwrap().values(),
        x.transpose().values()
    );
    assert_eq!(ramp(&[1]).reshape(&[]).unwrap().ndim(), 0);
    assert_eq!(ramp(&[0, 3]).reshape(&[3, -1]).unwrap().shape(), [3, 0]);
    for bad in [
        &[5, -1][..],
        &[-1, -1],
        &[-2, 6],
        &[0, -1],
        &[11],
        &[1; 9],
        &[isize::MAX, 2],
    ] {
        assert!(x.reshape(bad).is_err(), "{bad:?}");
    }
    assert_eq!(
        x.unsqueeze(-1).unwrap().unsqueeze(0).unwrap().shape(),
        [1, 2, 6, 1]
    );
    assert_eq!(
        x.unsqueeze(1).unwrap().squeeze(None).unwrap().shape(),
        [2, 6]
    );
    assert_eq!(
        x.unsqueeze(1).unwrap().squeeze(Some(-2)).unwrap().shape(),
        [2, 6]
    );
    assert!(x.squeeze(Some(0)).is_err());
}

#[test]
fn what_ndarray_would_panic_on_is_an_error() {
    let x = ramp(&[2, 3]);
    assert!(x.permute(&[0]).is_err());
    assert!(x.permute(&[0, 0]).is_err());
    assert!(x.permute(&[0, 2]).is_err());
    assert!(x.slice(&[Slice::all(); 3]).is_err());
    assert!(x.slice(&[Slice::new(None, None, 0)]).is_err());
    assert!(x.index(0, 2).is_err());
    assert!(x.index(2, 0).is_err());
    assert!(x.index(0, isize::MIN).is_err());
    assert!(x.take(1, &[3]).is_err());
    assert!(x.unsqueeze(3).is_err());
    assert!(ramp(&[1; 8]).unsqueeze(0).is_err());
    assert!(x.broadcast_to(&[3]).is_err());
    assert!(x.broadcast_to(&[4, 3]).is_err());
    assert!(matches!(
        x.broadcast_to(&[1 << 40, 2, 3]),
        Err(Error::Limit { .. })
    ));
    assert!(x.repeat(&[2]).is_err());
    assert!(x.repeat(&[usize::MAX, 2]).is_err());
    assert!(x.repeat(&[1 << 40, 1]).is_err());
    assert!(x.sum(Some(2)).is_err());
    assert!(IntegerTensor::concatenate(&[], 0).is_err());
    assert!(IntegerTensor::stack(&[], 0).is_err());
    assert!(IntegerTensor::concatenate(&[&x, &ramp(&[3])], 0).is_err());
    assert!(IntegerTensor::concatenate(&[&x, &ramp(&[2, 2])], 0).is_err());
    assert!(IntegerTensor::stack(&[&x, &ramp(&[2, 2])], 0).is_err());
    assert!(IntegerTensor::concatenate(&[&ramp(&[])], 0).is_err());
}

#[test]
fn constructors_check_what_they_are_given() {
    let shape = IntegerTensor::from_f64(&[2, 2], &[1.0; 3], 16, None);
    assert!(
        matches!(shape, Err(Error::Shape(text)) if text.contains("[2, 2]") && text.contains('3'))
    );
    assert!(matches!(
        IntegerTensor::from_f32(&[1, 2], &[0.0, f32::NAN], 16, None),
        Err(Error::NotFinite { index, .. }) if index == [0, 1]
    ));
    assert!(matches!(
        IntegerTensor::from_i128(&[2, 2], vec![0, 1, 2, -8], 0, 3),
        Err(Error::OutOfRange { index, bound: 3, .. }) if index == [1, 1]
    ));
    assert!(matches!(
        IntegerTensor::from_i128(&[1], vec![0], 0, 127),
        Err(Error::Bound {
            needed: 127,
            limit: 126,
            ..
        })
    ));
    let x = IntegerTensor::from_f64(&[2], &[0.5, -1.25], 16, None).unwrap();
    assert_eq!((x.scale(), x.bound()), (16, 40));
    assert_eq!(x.to_f64(), [0.5, -1.25]);
    assert_eq!(x.to_i64().unwrap(), [32768, -81920]);
    assert_eq!(
        IntegerTensor::from_i64(&[], &[-7], None).unwrap().bound(),
        56
    );
    assert!(matches!(
        IntegerTensor::from_i128(&[1], vec![1 << 63], 0, 64)
            .unwrap()
            .to_i64(),
        Err(Error::OutOfRange { .. })
    ));
}

#[test]
fn declared_bounds_are_checked_and_named() {
    let x = IntegerTensor::from_f64(&[2, 2], &[0.0, 1.0, 2.0, 3.5], 4, None).unwrap();
    assert_eq!(x.assume_bound(6).unwrap().bound(), 6);
    let other = x.as_scale(7).unwrap();
    assert_eq!((other.scale(), other.bound()), (7, x.bound()));
    assert_eq!(other.values(), x.values());
    assert!(x.as_scale(u32::MAX).is_err());
    assert_eq!(x.assume_bound(100).unwrap().bound(), 100);
    let error = x.assume_bound(5).unwrap_err();
    assert!(
        matches!(&error, Error::OutOfRange { index, bound: 5, scale: 4, .. } if index == &[1, 0])
    );
    assert!(
        error
            .to_string()
            .contains("2 (the integer 32) at index [1, 0]"),
        "{error}"
    );
    // Only what the view shows counts.
    assert_eq!(x.index(0, 0).unwrap().assume_bound(5).unwrap().bound(), 5);
    assert!(x.assume_bound(0).is_err());
    assert!(x.assume_bound(127).is_err());
}

#[test]
fn scales_have_to_agree() {
    let a = IntegerTensor::from_f64(&[1], &[1.0], 16, None).unwrap();
    let b = IntegerTensor::from_i64(&[1], &[1], None).unwrap();
    let mismatch = Error::Scale { left: 16, right: 0 };
    assert_eq!(a.add(&b).unwrap_err(), mismatch);
    assert_eq!(a.sub(&b).unwrap_err(), mismatch);
    assert_eq!(a.add_plain(&b).unwrap_err(), mismatch);
    assert_eq!(
        IntegerTensor::concatenate(&[&a, &b], 0).unwrap_err(),
        mismatch
    );
    let product = a.mul_plain(&b).unwrap();
    assert_eq!((product.scale(), product.bound()), (16, 96));
    assert_eq!(
        IntegerTensor::concatenate(&[&a, &a.assume_bound(20).unwrap()], 0)
            .unwrap()
            .bound(),
        40
    );
}

#[test]
fn views_share_and_debug_reveals_nothing() {
    let x = ramp(&[4, 4]);
    let view = x.slice(&[(1isize..3).into()]).unwrap().transpose();
    assert!(Arc::ptr_eq(x.storage(), view.storage()));
    assert!(Arc::ptr_eq(x.storage(), x.compact().unwrap().storage()));
    let joined = IntegerTensor::concatenate(&[&x, &x], 0).unwrap();
    assert!(Arc::ptr_eq(x.storage(), joined.storage()));
    assert_eq!(
        format!("{x:?}"),
        "Tensor { shape: [4, 4], scale: 0, bound: 40, .. }"
    );
}

#[test]
fn large_products_are_computed_in_parts() {
    // 3 × 2^21 terms a row: one row a call.
    let a = IntegerTensor::from_i128(&[3, 1 << 11], vec![1; 3 << 11], 0, 2).unwrap();
    let b = IntegerTensor::from_i128(&[1 << 11, 3 << 10], vec![1; 3 << 21], 0, 2).unwrap();
    let product = a.matmul_plain(&b).unwrap();
    assert_eq!(product.shape(), [3, 3 << 10]);
    assert!(product.values().iter().all(|&x| x == 1 << 11));
}
