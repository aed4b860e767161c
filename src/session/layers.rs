//! What a layer of a network does, forward and backward, as one trait: a [`super::Session`] fuses
//! it into few round trips on shared values, [`Clear`] does it one operation after the other.

use super::{Arithmetic, Clear, Division, Exposure};
use crate::error::Result;
use crate::tensor::{IntegerTensor, Storage, Tensor};

/// Number formats of a network and a batch: from them follow the widths of everything masked.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// Bound of weights and biases, in bits.
    pub weight_bits: u32,
    /// Bound of inputs, activations and errors, in bits.
    pub activation_bits: u32,
    /// The longest sum in a matrix product: the largest of layer sizes and batch.
    pub inner: usize,
    /// Bits of the largest divisor.
    pub divisor_bits: u32,
}

/// `activation((input @ weight + r_lo) // d + bias)`, bounded by the activations' bits.
#[derive(Debug)]
pub struct Forward<'a, S: Storage> {
    /// Batch × inputs.
    pub input: &'a Tensor<S>,
    /// Inputs × outputs.
    pub weight: &'a Tensor<S>,
    /// Outputs.
    pub bias: &'a Tensor<S>,
    /// Takes the product back to the scale of the input.
    pub division: Division<'a>,
    /// Whether max(z, 0) follows.
    pub rectify: bool,
    /// Whether other layers follow.
    pub hidden: bool,
    /// Whether a backward pass follows.
    pub training: bool,
    /// The network's number formats.
    pub format: Format,
}

/// The update of a layer, and the error of the one before.
#[derive(Debug)]
pub struct Backward<'a, S: Storage, D> {
    /// Batch × inputs: what the layer was given.
    pub input: &'a Tensor<S>,
    /// Batch × outputs: the error of its sums.
    pub delta: &'a Tensor<S>,
    /// Inputs × outputs, to which (inputᵀ @ delta + r_lo) // d is added.
    pub weight: &'a Tensor<S>,
    /// Outputs, to which (Σ delta + r_lo) // d is added.
    pub bias: &'a Tensor<S>,
    /// Of the weights' increment.
    pub weights: Division<'a>,
    /// Of the biases' increment.
    pub biases: Division<'a>,
    /// What goes on to the layer before; nothing for the first.
    pub back: Option<Back<'a, D>>,
    /// The network's number formats.
    pub format: Format,
}

/// `derivative · ((delta @ weightᵀ + r_lo) // d)`, with the weights from before the update.
#[derive(Debug)]
pub struct Back<'a, D> {
    /// Takes the product back to the scale of the errors.
    pub division: Division<'a>,
    /// That of the layer before, unless it is linear.
    pub derivative: Option<&'a D>,
    /// Whether the layer before has one before it, too.
    pub hidden: bool,
}

/// A layer after [`Layers::backward`].
#[derive(Debug)]
pub struct Updated<S: Storage> {
    /// Inputs × outputs.
    pub weight: Tensor<S>,
    /// Outputs.
    pub bias: Tensor<S>,
    /// The error of the layer before.
    pub delta: Option<Tensor<S>>,
}

/// Layers of a network over one kind of tensor: the same integers whoever computes them.
pub trait Layers: Arithmetic {
    /// Which sums of a layer were not negative.
    type Derivative;

    /// Runs a training that shows P2 so much, after `before` trainings of the same network: an encrypted session
    /// chooses masks wide enough for all of it, or refuses before anything is sent. `shown` are the tensors that go
    /// into it as they are: packed ones need room for these masks.
    ///
    /// # Errors
    /// [`Error::Insecure`](crate::Error::Insecure) when the masks that it may use are too narrow; those of `run`.
    fn train<T>(
        &self,
        exposure: &Exposure,
        before: u64,
        shown: &[Tensor<Self::Elements>],
        run: impl FnOnce(&Self) -> Result<T>,
    ) -> Result<T>;

    /// The same rows, prepared to have many batches taken from them.
    ///
    /// # Errors
    /// Those of the arithmetic.
    fn prepare(&self, rows: &Tensor<Self::Elements>) -> Result<Tensor<Self::Elements>>;

    /// The same rows as this arithmetic works with them, so that a pass forward and one backward find the same: in
    /// order, and its key's own.
    ///
    /// # Errors
    /// Those of the arithmetic.
    fn adopt(&self, rows: &Tensor<Self::Elements>) -> Result<Tensor<Self::Elements>>;

    /// Runs a layer forward; the derivative where the layer rectifies.
    ///
    /// # Errors
    /// Those of the arithmetic.
    #[allow(clippy::type_complexity)] // two results; an alias would hide that
    fn forward(
        &self,
        layer: &Forward<'_, Self::Elements>,
    ) -> Result<(Tensor<Self::Elements>, Option<Self::Derivative>)>;

    /// `derivative · (target − output)`, bounded by the activations' bits: the error at the end.
    ///
    /// # Errors
    /// Those of the arithmetic.
    fn residual(
        &self,
        target: &Tensor<Self::Elements>,
        output: &Tensor<Self::Elements>,
        derivative: Option<&Self::Derivative>,
        format: Format,
    ) -> Result<Tensor<Self::Elements>>;

    /// Updates a layer and passes the error on.
    ///
    /// # Errors
    /// Those of the arithmetic.
    fn backward(
        &self,
        layer: &Backward<'_, Self::Elements, Self::Derivative>,
    ) -> Result<Updated<Self::Elements>>;
}

impl Layers for Clear {
    type Derivative = IntegerTensor;

    fn train<T>(
        &self,
        _: &Exposure,
        _: u64,
        _: &[IntegerTensor],
        run: impl FnOnce(&Self) -> Result<T>,
    ) -> Result<T> {
        run(self)
    }

    fn prepare(&self, rows: &IntegerTensor) -> Result<IntegerTensor> {
        Ok(rows.clone())
    }

    fn adopt(&self, rows: &IntegerTensor) -> Result<IntegerTensor> {
        Ok(rows.clone())
    }

    fn forward(
        &self,
        layer: &Forward<'_, Self::Elements>,
    ) -> Result<(IntegerTensor, Option<IntegerTensor>)> {
        let sums = self
            .matmul_divide(layer.input, layer.weight, layer.division)?
            .add(layer.bias)?
            .at_most(layer.format.activation_bits)?;
        if !layer.rectify {
            return Ok((sums, None));
        }
        let (output, derivative) = self.relu(&sums)?;
        Ok((output, Some(derivative)))
    }

    fn residual(
        &self,
        target: &IntegerTensor,
        output: &IntegerTensor,
        derivative: Option<&IntegerTensor>,
        format: Format,
    ) -> Result<IntegerTensor> {
        let error = target.sub(output)?.at_most(format.activation_bits)?;
        match derivative {
            None => Ok(error),
            Some(derivative) => self.select(derivative, &error),
        }
    }

    fn backward(
        &self,
        layer: &Backward<'_, Self::Elements, IntegerTensor>,
    ) -> Result<Updated<Self::Elements>> {
        let Format {
            weight_bits,
            activation_bits,
            ..
        } = layer.format;
        let gradient = self.matmul_divide(&layer.input.transpose(), layer.delta, layer.weights)?;
        let increment = self.divide(&layer.delta.sum(Some(0))?, layer.biases)?;
        let delta = match &layer.back {
            None => None,
            Some(back) => {
                let weight = layer.weight.transpose();
                let delta = self
                    .matmul_divide(layer.delta, &weight, back.division)?
                    .at_most(activation_bits)?;
                Some(match back.derivative {
                    None => delta,
                    Some(derivative) => self.select(derivative, &delta)?,
                })
            }
        };
        Ok(Updated {
            weight: layer.weight.add(&gradient)?.at_most(weight_bits)?,
            bias: layer.bias.add(&increment)?.at_most(weight_bits)?,
            delta,
        })
    }
}
