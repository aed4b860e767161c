//! How good a network is, on clear numbers: decrypted outputs, or the twin.

use super::Mlp;
use crate::error::{Error, Result};
use crate::fixed::decode_f64;
use crate::session::Layers;
use crate::tensor::{IntegerTensor, Integers};

/// The position of the largest value of each row (rows × classes); the first among equals.
///
/// # Errors
/// [`Error::Shape`] unless there are two dimensions and at least one class.
pub fn argmax(outputs: &IntegerTensor) -> Result<Vec<usize>> {
    let &[_, classes] = outputs.shape() else {
        return Err(Error::shape(format!(
            "argmax of {:?}; rows and classes are needed",
            outputs.shape()
        )));
    };
    if classes == 0 {
        return Err(Error::shape("argmax of no classes"));
    }
    let position =
        |row: &[i128]| (1..classes).fold(0, |best, i| if row[i] > row[best] { i } else { best });
    Ok(outputs
        .values()
        .chunks_exact(classes)
        .map(position)
        .collect())
}

/// The share of rows whose [`argmax`] is their label, in [0, 1].
///
/// # Errors
/// [`Error::Shape`] when rows and labels differ in number, or there are none.
pub fn accuracy(outputs: &IntegerTensor, labels: &[usize]) -> Result<f64> {
    let classes = argmax(outputs)?;
    if classes.len() != labels.len() || labels.is_empty() {
        return Err(Error::shape(format!(
            "{} rows, {} labels",
            classes.len(),
            labels.len()
        )));
    }
    let hits = classes.iter().zip(labels).filter(|(a, b)| a == b).count();
    Ok(hits as f64 / labels.len() as f64)
}

/// ½Σ(y − a)² / rows, the loss that training descends.
///
/// # Errors
/// [`Error::Shape`] unless both have the same two-dimensional, non-empty shape; [`Error::Scale`].
pub fn loss(outputs: &IntegerTensor, targets: &IntegerTensor) -> Result<f64> {
    if outputs.shape() != targets.shape() || outputs.ndim() != 2 || outputs.is_empty() {
        return Err(Error::shape(format!(
            "outputs of shape {:?}, targets of shape {:?}; equal ones, rows × outputs, are needed",
            outputs.shape(),
            targets.shape()
        )));
    }
    let errors = targets.sub(outputs)?;
    let square = |x: i128| decode_f64(x, errors.scale()).powi(2);
    let sum: f64 = errors.values().into_iter().map(square).sum();
    Ok(sum / 2.0 / errors.shape()[0] as f64)
}

impl Mlp<Integers> {
    /// The [`accuracy`] of its predictions.
    ///
    /// # Errors
    /// Those of [`Mlp::predict`] and [`accuracy`].
    pub fn evaluate<A>(&self, arith: &A, x: &IntegerTensor, labels: &[usize]) -> Result<f64>
    where
        A: Layers<Elements = Integers> + ?Sized,
    {
        accuracy(&self.predict(arith, x)?, labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures() {
        let outputs =
            IntegerTensor::from_f64(&[3, 2], &[0.5, 0.25, -1.0, 2.0, 1.0, 1.0], 4, None).unwrap();
        assert_eq!(argmax(&outputs).unwrap(), [0, 1, 0]);
        assert_eq!(accuracy(&outputs, &[0, 1, 1]).unwrap(), 2.0 / 3.0);
        let targets =
            IntegerTensor::from_f64(&[3, 2], &[0.5, 0.25, 0.0, 2.0, 1.0, 3.0], 4, None).unwrap();
        assert_eq!(loss(&outputs, &targets).unwrap(), 5.0 / 6.0);
        assert!(accuracy(&outputs, &[0]).is_err());
        assert!(argmax(&outputs.flatten().unwrap()).is_err());
        assert!(loss(&outputs, &targets.transpose()).is_err());
    }
}
