//! The clear twin of a session: the same operations on [`IntegerTensor`], integer for integer.
//!
//! It needs no key, no partner and no wire, and runs in microseconds what encryption runs in
//! seconds; being exact, it also is the reference that the encrypted path is tested against.
//! Scales and bounds come from [`crate::tensor::Meta`], which the encrypted session uses too.

use std::ops::{AddAssign, Mul};
use std::sync::{Arc, Mutex};

use super::arithmetic::rounded;
use super::{Arithmetic, Division};
use crate::error::{Error, Result};
use crate::fixed::{MAX_BOUND, RoundingKey, floor_divide, unravel};
use crate::parallel;
use crate::record::{Record, RoundingCall};
use crate::tensor::{IntegerTensor, Integers, MatmulShape, Meta, broadcast_shapes, matmul_shape};

/// Multiplications from which a matrix product is worth several threads.
const PARALLEL_FROM: usize = 1 << 18;

/// [`Arithmetic`] on clear integers.
#[derive(Debug, Default)]
pub struct Clear {
    /// What it repeats, and how many predictions and divisions it has repeated.
    record: Option<Arc<Record>>,
    predictions: Mutex<usize>,
    divisions: Mutex<usize>,
}

impl Clear {
    /// A twin that draws its own roundings: what it computes equals the encrypted results up to these.
    pub fn new() -> Self {
        Self::default()
    }

    /// A twin that repeats recorded calls: each training step with the roundings of the step of that number, predictions
    /// and divisions in the order in which they were recorded. The same integers come of them. A call that the record does
    /// not have is an error.
    pub fn repeating(record: Arc<Record>) -> Self {
        Self {
            record: Some(record),
            ..Self::default()
        }
    }
}

impl Arithmetic for Clear {
    type Elements = Integers;

    fn begin(&self, call: &RoundingCall) -> Result<RoundingKey> {
        let Some(record) = &self.record else {
            return RoundingKey::fresh();
        };
        let repeated = match call {
            RoundingCall::Step { .. } => return Ok(record.line(call, 0)?.key),
            RoundingCall::Prediction { .. } => &self.predictions,
            RoundingCall::Division { .. } => &self.divisions,
        };
        // A call that is refused has repeated nothing.
        let mut before = repeated.lock().unwrap_or_else(|e| e.into_inner());
        let line = record.line(call, *before)?;
        *before += 1;
        Ok(line.key)
    }

    fn complete(&self, _call: RoundingCall, _key: RoundingKey) -> Result<()> {
        Ok(())
    }

    fn multiply(&self, a: &IntegerTensor, b: &IntegerTensor) -> Result<IntegerTensor> {
        let shape = broadcast_shapes(a.shape(), b.shape())?;
        let meta = a.meta().multiply(b.meta(), MAX_BOUND)?;
        let (a, b) = (
            a.broadcast_to(&shape)?.values(),
            b.broadcast_to(&shape)?.values(),
        );
        tensor(a.iter().zip(&b).map(|(a, b)| a * b).collect(), &shape, meta)
    }

    fn matmul(&self, a: &IntegerTensor, b: &IntegerTensor) -> Result<IntegerTensor> {
        let shape = matmul_shape(a.shape(), b.shape())?;
        let meta = a.meta().matmul(b.meta(), shape.p, MAX_BOUND)?;
        let (a, b) = (a.values(), b.values());
        let values = if meta.bound < i64::BITS {
            // The bound covers every partial sum, and with it both operands: half the width does.
            let narrow = |values: &[i128]| values.iter().map(|&x| x as i64).collect::<Vec<_>>();
            let product = matrix_product(&narrow(&a), &narrow(&b), &shape);
            product.into_iter().map(i128::from).collect()
        } else {
            matrix_product(&a, &b, &shape)
        };
        tensor(values, &shape.output, meta)
    }

    fn divide(&self, x: &IntegerTensor, division: Division<'_>) -> Result<IntegerTensor> {
        let divisor = division.divisor;
        let meta = x.meta().divide(divisor, division.scale_drop, MAX_BOUND)?;
        rounded(self, division, x.len(), |(key, place)| {
            let draws = key.draw(place, divisor, x.len());
            let quotients = x
                .values()
                .iter()
                .zip(draws.iter())
                .map(|(&x, &r_lo)| floor_divide(x, r_lo, divisor))
                .collect();
            tensor(quotients, x.shape(), meta)
        })
    }

    fn relu(&self, x: &IntegerTensor) -> Result<(IntegerTensor, IntegerTensor)> {
        let (positive, derivative) = x.meta().relu();
        let values = x.values();
        let active = values.iter().map(|&x| i128::from(x >= 0)).collect();
        let rectified = values.iter().map(|&x| x.max(0)).collect();
        Ok((
            tensor(rectified, x.shape(), positive)?,
            tensor(active, x.shape(), derivative)?,
        ))
    }

    fn select(&self, bits: &IntegerTensor, x: &IntegerTensor) -> Result<IntegerTensor> {
        if bits.shape() != x.shape() {
            return Err(Error::shape(format!(
                "select with bits of shape {:?} from {:?}; shapes have to be equal",
                bits.shape(),
                x.shape()
            )));
        }
        let meta = bits.meta().select(x.meta())?;
        let flags = bits.values();
        if let Some(flat) = flags.iter().position(|&bit| bit != 0 && bit != 1) {
            return Err(Error::invalid(format!(
                "select needs zeros and ones, got {} at index {:?}",
                flags[flat],
                unravel(flat, bits.shape())
            )));
        }
        let selected = flags
            .iter()
            .zip(x.values())
            .map(|(bit, x)| bit * x)
            .collect();
        tensor(selected, x.shape(), meta)
    }
}

fn tensor(values: Vec<i128>, shape: &[usize], meta: Meta) -> Result<IntegerTensor> {
    IntegerTensor::from_parts(Arc::new(Integers::new(values)), shape, meta)
}

/// (m × p) · (p × q), row by row.
fn matrix_product<T>(a: &[T], b: &[T], shape: &MatmulShape) -> Vec<T>
where
    T: Copy + Default + AddAssign + Mul<Output = T> + Send + Sync,
{
    let &MatmulShape { m, p, q, .. } = shape;
    let mut product = vec![T::default(); m * q];
    if product.is_empty() {
        return product;
    }
    let fill = |(out, row): (&mut [T], &[T])| {
        for (&x, line) in row.iter().zip(b.chunks_exact(q)) {
            for (sum, &y) in out.iter_mut().zip(line) {
                *sum += x * y;
            }
        }
    };
    if m.saturating_mul(p).saturating_mul(q) < PARALLEL_FROM {
        product
            .chunks_exact_mut(q)
            .zip(a.chunks_exact(p))
            .for_each(fill);
    } else {
        parallel::chunks_mut(&mut product, q)
            .zip(parallel::chunks(a, p))
            .for_each(fill);
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clear() -> Clear {
        Clear::new()
    }

    fn integers(shape: &[usize], values: &[i128], scale: u32, bound: u32) -> IntegerTensor {
        IntegerTensor::from_i128(shape, values.to_vec(), scale, bound).unwrap()
    }

    fn by(divisor: u64, scale_drop: u32) -> Division<'static> {
        Division {
            divisor,
            scale_drop,
            rounding: None,
        }
    }

    #[test]
    fn products_agree_with_the_plain_ones() {
        let arith = clear();
        // The second bound leaves the fast path.
        for bound in [20, 60] {
            let a = integers(&[2, 3], &[1, -2, 3, -4, 5, 6], 4, bound);
            let b = integers(&[3, 2], &[7, 8, -9, 10, 11, -12], 5, 20);
            let product = arith.matmul(&a, &b).unwrap();
            assert_eq!(product.values(), [58, -48, -7, -54]);
            assert_eq!((product.scale(), product.bound()), (9, bound + 22));
            assert_eq!(product.values(), a.matmul_plain(&b).unwrap().values());
            let row = integers(&[3], &[1, 0, -1], 0, 1);
            assert_eq!(
                arith.multiply(&a, &row).unwrap().values(),
                a.mul_plain(&row).unwrap().values()
            );
        }
        let vector = integers(&[3], &[1, 2, 3], 0, 2);
        let product = arith.matmul(&vector, &vector).unwrap();
        assert_eq!((product.shape(), product.values()), (&[][..], vec![14]));
        let empty = integers(&[0, 3], &[], 0, 2);
        assert_eq!(arith.matmul(&empty, &vector).unwrap().shape(), [0]);
    }

    #[test]
    fn large_products_use_the_same_arithmetic() {
        let n = 80usize;
        let a = integers(
            &[n, n],
            &(0..(n * n) as i128).map(|x| x % 17 - 8).collect::<Vec<_>>(),
            0,
            5,
        );
        let product = clear().matmul(&a, &a.transpose()).unwrap();
        assert_eq!(
            product.values(),
            a.matmul_plain(&a.transpose()).unwrap().values()
        );
    }

    #[test]
    fn division_rounds_with_the_named_draws() {
        let key = RoundingKey::from_bytes([9; 32]);
        let x = integers(&[2, 2], &[-7, 100, 65536, -65537], 16, 20);
        let division = Division {
            rounding: Some((&key, 42)),
            ..by(1 << 16, 16)
        };
        let quotient = clear().divide(&x.transpose(), division).unwrap();
        let draws = key.draw(42, 1 << 16, 4);
        let expected: Vec<i128> = [-7, 65536, 100, -65537]
            .iter()
            .zip(draws.iter())
            .map(|(&x, &r)| (x + i128::from(r)).div_euclid(1 << 16))
            .collect();
        assert_eq!(quotient.values(), expected);
        assert_eq!((quotient.scale(), quotient.bound()), (0, 5));
    }

    #[test]
    fn own_draws_differ_and_are_unbiased() {
        let arith = clear();
        let x = integers(&[1], &[1], 0, 1).repeat(&[20_000]).unwrap();
        let first = arith.divide(&x, by(4, 0)).unwrap().values();
        let second = arith.divide(&x, by(4, 0)).unwrap().values();
        assert_ne!(first, second);
        // A quarter of 20,000; standard deviation 61.
        assert!((4_600..5_400).contains(&first.iter().sum::<i128>()));
        assert!(arith.divide(&x, by(0, 0)).is_err());
        assert!(arith.divide(&x, by(2, 1)).is_err());
    }

    #[test]
    fn relu_select_and_maximum() {
        let arith = clear();
        let x = integers(&[2, 2], &[-3, 0, 5, -1], 2, 3);
        let (positive, derivative) = arith.relu(&x).unwrap();
        assert_eq!(positive.values(), [0, 0, 5, 0]);
        assert_eq!(derivative.values(), [0, 1, 1, 0]);
        assert_eq!(
            arith.select(&derivative, &x).unwrap().values(),
            [0, 0, 5, 0]
        );
        let other = integers(&[2], &[-2, 7], 2, 4);
        let maximum = arith.maximum(&x, &other).unwrap();
        assert_eq!((maximum.values(), maximum.bound()), (vec![-2, 7, 5, 7], 4));

        assert!(arith.select(&x, &x).is_err());
        assert!(arith.select(&derivative.flatten().unwrap(), &x).is_err());
        let minus = integers(&[1], &[-1], 0, 1);
        assert!(
            matches!(arith.select(&minus, &minus), Err(Error::InvalidArgument(text)) if text.contains("-1 at index [0]"))
        );
    }

    #[test]
    fn a_call_that_the_record_does_not_have_takes_no_line() {
        use crate::record::{Line, Recorder};
        let record = Arc::new(Record::new());
        let keys = [[1; 32], [2; 32]].map(RoundingKey::from_bytes);
        for key in &keys {
            let call = RoundingCall::Division {
                divisor: 1 << 16,
                elements: 50,
            };
            let key = key.clone();
            record.record(&Line { call, key }).unwrap();
        }
        let twin = Clear::repeating(record);
        let x = integers(&[50], &[12_345; 50], 0, 20);
        for key in &keys {
            assert!(twin.divide(&x, by(3, 0)).is_err());
            let named = Division {
                rounding: Some((key, 0)),
                ..by(1 << 16, 0)
            };
            let repeated = twin.divide(&x, by(1 << 16, 0)).unwrap().values();
            assert_eq!(repeated, clear().divide(&x, named).unwrap().values());
        }
    }

    proptest! {
        #[test]
        fn quotients_stay_within_their_bound(x in any::<i64>(), divisor in 1u64.., bound in 1u32..64) {
            let x = i128::from(x) % (1 << bound);
            let quotient = clear().divide(&integers(&[1], &[x], 0, bound), by(divisor, 0)).unwrap();
            let value = quotient.values()[0];
            prop_assert!(crate::fixed::fits(value, quotient.bound()));
            let error = value - x.div_euclid(i128::from(divisor));
            prop_assert!((0..=1).contains(&error));
        }
    }
}
