//! One step of stochastic gradient descent (protocols: a training step).
//!
//! Loss ½Σ(y − a)²/B, so the error of the output is δ = y − a and every update an addition. The
//! learning rate becomes a divisor: W += (aᵀδ) // d_W with d_W = round(2^f·B/lr), which is the
//! rescaling of the product, the average over the batch and the rate in one; b += Σδ // d_b with
//! d_b = round(B/lr).

use super::Mlp;
use super::network::{Layer, Role, Trace};
use crate::error::{Error, Result};
use crate::fixed::RoundingKey;
use crate::record::RoundingCall;
use crate::session::{Back, Backward, Division, Format, Layers};
use crate::tensor::{Storage, Tensor};

/// The two divisors of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Divisors {
    weights: u64,
    biases: u64,
}

impl Divisors {
    fn new(learning_rate: f64, fraction_bits: u32, batch: usize) -> Result<Self> {
        if !(learning_rate.is_finite() && learning_rate > 0.0) {
            return Err(Error::invalid(format!(
                "learning rate {learning_rate}; it is a positive number"
            )));
        }
        let biases = (batch as f64 / learning_rate).round();
        let weights = (batch as f64 * 2f64.powi(fraction_bits as i32) / learning_rate).round();
        let largest = 2f64.powi(63);
        if biases < 1.0 || weights < 1.0 || weights > largest || biases > largest {
            return Err(Error::invalid(format!(
                "learning rate {learning_rate} with a batch of {batch} and {fraction_bits} fraction bits gives the \
                 divisors {weights:e} for weights and {biases:e} for biases, which have to be in 1..=2^63; \
                 the rate has to be at most {}",
                2 * batch
            )));
        }
        Ok(Self {
            weights: weights as u64,
            biases: biases as u64,
        })
    }
}

impl<S: Storage> Mlp<S> {
    /// One step on a batch of inputs (batch × inputs) and targets (batch × outputs), both of
    /// scale f, with learning rate `lr`. The update is applied as a whole or, after an error, not
    /// at all.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Scale`] for batches that do not fit; [`Error::InvalidArgument`]
    /// for a rate outside (0, 2·batch]; [`Error::OutOfRange`], in the clear, for the first value
    /// that breaks a declared bound; [`Error::Bound`] when the bits of the configuration are too
    /// many; those of the arithmetic.
    pub fn train_step<A>(&mut self, arith: &A, x: &Tensor<S>, y: &Tensor<S>, lr: f64) -> Result<()>
    where
        A: Layers<Elements = S> + ?Sized,
    {
        let [x, y] = self.checked_rows(x, y)?;
        let batch = x.shape()[0];
        self.divisors(&x, batch, lr)?;
        let exposure = self.config.exposure(batch, batch, 1);
        let shown = self.shown(&x, &y);
        arith.train(&exposure, self.trainings, &shown, |arith| {
            self.begin_training();
            self.step_on(arith, &x, &y, lr, &[])
        })
    }

    /// Inputs and targets that fit the network and each other.
    pub(super) fn checked_rows(&self, x: &Tensor<S>, y: &Tensor<S>) -> Result<[Tensor<S>; 2]> {
        let sizes = &self.config.layers;
        let x = self.checked_batch("inputs", x, sizes[0])?;
        let y = self.checked_batch("targets", y, sizes[self.config.depth()])?;
        let (rows, targets) = (x.shape()[0], y.shape()[0]);
        match rows == targets {
            true => Ok([x, y]),
            false => Err(Error::shape(format!(
                "{rows} rows of inputs, {targets} rows of targets"
            ))),
        }
    }

    /// The divisors of a step, if its gradients fit.
    pub(super) fn divisors(&self, x: &Tensor<S>, batch: usize, lr: f64) -> Result<Divisors> {
        self.check_gradient_bound(x, batch)?;
        Divisors::new(lr, self.config.fraction_bits, batch)
    }

    /// What a training on these rows shows under masks as it is: rows and parameters.
    pub(super) fn shown(&self, x: &Tensor<S>, y: &Tensor<S>) -> Vec<Tensor<S>> {
        let parameters = self.layers.iter().flat_map(|l| [&l.weight, &l.bias]);
        [x, y].into_iter().chain(parameters).cloned().collect()
    }

    /// Counts a training that is not refused, before anything of it is shown.
    pub(super) fn begin_training(&mut self) {
        self.trainings = self.trainings.saturating_add(1);
    }

    /// One step, as a part of a training, on rows that were checked; `rows` say where they come from.
    pub(super) fn step_on<A>(
        &mut self,
        arith: &A,
        x: &Tensor<S>,
        y: &Tensor<S>,
        lr: f64,
        rows: &[usize],
    ) -> Result<()>
    where
        A: Layers<Elements = S> + ?Sized,
    {
        let divisors = self.divisors(x, x.shape()[0], lr)?;
        let call = RoundingCall::Step {
            step: self.steps,
            rows: rows.iter().map(|&row| row as u64).collect(),
            learning_rate: lr,
        };
        let (x, y) = (&arith.adopt(x)?, &arith.adopt(y)?);
        let key = arith.begin(&call)?;
        let largest = divisors.weights.max(divisors.biases);
        let format = self.format(x, largest.max(1 << self.config.fraction_bits));
        let trace = self.forward(arith, x, &key, format, true)?;
        let layers = self.backward(arith, &trace, y, divisors, &key, format)?;
        arith.complete(call, key)?;
        self.layers = layers;
        self.steps += 1;
        Ok(())
    }

    /// The layers after the update.
    fn backward<A>(
        &self,
        arith: &A,
        trace: &Trace<S, A::Derivative>,
        y: &Tensor<S>,
        divisors: Divisors,
        key: &RoundingKey,
        format: Format,
    ) -> Result<Vec<Layer<S>>>
    where
        A: Layers<Elements = S> + ?Sized,
    {
        let mut updated = Vec::with_capacity(self.layers.len());
        let derivative = |l: usize| trace.derivatives[l].as_ref();
        let last = self.layers.len() - 1;
        let mut delta = arith.residual(y, &trace.output, derivative(last), format)?;
        for (l, layer) in self.layers.iter().enumerate().rev() {
            let result = arith.backward(&Backward {
                input: &trace.inputs[l],
                delta: &delta,
                weight: &layer.weight,
                bias: &layer.bias,
                weights: Division {
                    divisor: divisors.weights,
                    scale_drop: self.config.fraction_bits,
                    rounding: Some((key, Role::Weights.of_layer(l))),
                },
                biases: Division {
                    divisor: divisors.biases,
                    scale_drop: 0,
                    rounding: Some((key, Role::Biases.of_layer(l))),
                },
                // Nothing for the inputs of the network.
                back: l.checked_sub(1).map(|before| Back {
                    division: self.rescaling(key, Role::Backward.of_layer(l)),
                    derivative: derivative(before),
                    hidden: before > 0,
                }),
                format,
            })?;
            updated.push(Layer {
                weight: result.weight,
                bias: result.bias,
                activation: layer.activation,
            });
            if let Some(back) = result.delta {
                delta = back;
            }
        }
        updated.reverse();
        Ok(updated)
    }

    /// The gradient of the weights is the only product whose bound depends on the batch: too
    /// large a batch is refused before anything is sent.
    fn check_gradient_bound(&self, x: &Tensor<S>, batch: usize) -> Result<()> {
        let limit = x.storage().max_bound();
        let widest = crate::tensor::Meta {
            scale: self.config.fraction_bits,
            bound: self.config.activation_bits,
        };
        widest.matmul(widest, batch, limit).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divisors() {
        let of = |lr, f, batch| Divisors::new(lr, f, batch).map(|d| (d.weights, d.biases));
        assert_eq!(of(0.5, 10, 40), Ok((81920, 80)));
        assert_eq!(of(0.3, 16, 32), Ok((6_990_507, 107)));
        assert_eq!(of(2.0, 16, 1), Ok((32768, 1)));
        for (lr, batch) in [
            (0.0, 1),
            (-1.0, 1),
            (f64::NAN, 1),
            (f64::INFINITY, 1),
            (2.1, 1),
            (100.0, 40),
            (1e-300, 40),
        ] {
            let error = of(lr, 16, batch).unwrap_err();
            assert!(error.to_string().contains("learning rate"), "{error}");
        }
    }
}
