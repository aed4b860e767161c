//! The network itself: parameters, and the steps that made them; drawing it and running it forward.

use std::fmt;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use zeroize::Zeroizing;

use super::{Activation, MlpConfig};
use crate::error::{Error, Result};
use crate::fixed::RoundingKey;
use crate::random::Random;
use crate::record::RoundingCall;
use crate::session::{Division, Format, Forward, Layers};
use crate::tensor::{IntegerTensor, Integers, Meta, Storage, Tensor};

/// The parameters of one layer.
#[derive(Debug)]
pub struct Layer<S: Storage> {
    /// Inputs × outputs, scale f.
    pub weight: Tensor<S>,
    /// Outputs, scale f.
    pub bias: Tensor<S>,
    /// What follows the sums.
    pub activation: Activation,
}

/// One division of a layer, of those that draw from the key of one call.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role {
    /// Rescales a·W.
    Forward = 0,
    /// Scales aᵀ·δ to the increment of the weights.
    Weights = 1,
    /// Scales Σδ to the increment of the biases.
    Biases = 2,
    /// Rescales δ·Wᵀ.
    Backward = 3,
}

impl Role {
    /// The place of the division in its call.
    pub(super) fn of_layer(self, layer: usize) -> u64 {
        (layer as u64) << 4 | self as u64
    }
}

/// A multilayer perceptron on encrypted or clear elements: a plain value, which holds no secret besides
/// its parameters. Copies may be trained, resumed, served and published independently.
pub struct Mlp<S: Storage> {
    pub(super) config: MlpConfig,
    pub(super) layers: Vec<Layer<S>>,
    pub(super) steps: u64,
    /// Calls that trained it, each under masks of its own width.
    pub(super) trainings: u64,
}

/// What the backward pass needs of a forward pass.
pub(super) struct Trace<S: Storage, D> {
    /// The input of every layer.
    pub(super) inputs: Vec<Tensor<S>>,
    /// The derivative of every layer's activation, where it is not 1.
    pub(super) derivatives: Vec<Option<D>>,
    /// The output of the last layer.
    pub(super) output: Tensor<S>,
}

impl<S: Storage> Mlp<S> {
    /// A network from its parts: weight and bias of each layer, inputs first, and the training steps that
    /// were done so far, in how many trainings.
    ///
    /// # Errors
    /// Those of [`MlpConfig::validate`]; [`Error::Shape`], [`Error::InvalidArgument`] when a
    /// parameter has another shape, scale or bound than the configuration says.
    pub fn from_parts(
        config: MlpConfig,
        parameters: Vec<(Tensor<S>, Tensor<S>)>,
        steps: u64,
        trainings: u64,
    ) -> Result<Self> {
        config.validate()?;
        if parameters.len() != config.depth() {
            return Err(Error::shape(format!(
                "parameters of {} layers for a network of {}",
                parameters.len(),
                config.depth()
            )));
        }
        let mut layers = Vec::with_capacity(parameters.len());
        for (l, (weight, bias)) in parameters.into_iter().enumerate() {
            let (inputs, outputs) = (config.layers[l], config.layers[l + 1]);
            check_parameter(&config, l, "weight", &weight, &[inputs, outputs])?;
            check_parameter(&config, l, "bias", &bias, &[outputs])?;
            let activation = config.activations[l];
            layers.push(Layer {
                weight,
                bias,
                activation,
            });
        }
        Ok(Self {
            config,
            layers,
            steps,
            trainings,
        })
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &MlpConfig {
        &self.config
    }

    /// The layers, inputs first.
    pub fn layers(&self) -> &[Layer<S>] {
        &self.layers
    }

    /// Training steps completed so far.
    pub fn step(&self) -> u64 {
        self.steps
    }

    /// Trainings begun so far: calls of [`Mlp::fit`] and [`Mlp::train_step`]. They share the promise of P1, see
    /// [`Promise`](crate::protocol::Promise).
    pub fn trainings(&self) -> u64 {
        self.trainings
    }

    /// The network with every parameter replaced by what `map` makes of it: encryption,
    /// decryption.
    ///
    /// # Errors
    /// Those of `map`, and of [`Mlp::from_parts`] for what it returns.
    pub fn map_tensors<T: Storage>(
        &self,
        mut map: impl FnMut(&Tensor<S>) -> Result<Tensor<T>>,
    ) -> Result<Mlp<T>> {
        let parameters = self
            .layers
            .iter()
            .map(|layer| Ok((map(&layer.weight)?, map(&layer.bias)?)))
            .collect::<Result<Vec<_>>>()?;
        Mlp::from_parts(self.config.clone(), parameters, self.steps, self.trainings)
    }

    /// The outputs (batch × outputs, scale f) for inputs (batch × inputs, scale f). May run on
    /// several threads at once; every call rounds with a key of its own.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Scale`], [`Error::OutOfRange`] for inputs that do not fit the
    /// network or its bounds; those of the arithmetic.
    pub fn predict<A>(&self, arith: &A, x: &Tensor<S>) -> Result<Tensor<S>>
    where
        A: Layers<Elements = S> + ?Sized,
    {
        let x = self.checked_batch("inputs", x, self.config.layers[0])?;
        let call = RoundingCall::Prediction {
            rows: x.shape()[0] as u64,
        };
        let key = arith.begin(&call)?;
        let format = self.format(&x, 1 << self.config.fraction_bits);
        let output = self.forward(arith, &x, &key, format, false)?.output;
        arith.complete(call, key)?;
        Ok(output)
    }

    pub(super) fn forward<A>(
        &self,
        arith: &A,
        x: &Tensor<S>,
        key: &RoundingKey,
        format: Format,
        training: bool,
    ) -> Result<Trace<S, A::Derivative>>
    where
        A: Layers<Elements = S> + ?Sized,
    {
        let mut trace = Trace {
            inputs: Vec::with_capacity(self.layers.len()),
            derivatives: Vec::with_capacity(self.layers.len()),
            output: x.clone(),
        };
        for (l, layer) in self.layers.iter().enumerate() {
            let (output, derivative) = arith.forward(&Forward {
                input: &trace.output,
                weight: &layer.weight,
                bias: &layer.bias,
                division: self.rescaling(key, Role::Forward.of_layer(l)),
                rectify: layer.activation == Activation::Relu,
                hidden: l + 1 < self.layers.len(),
                training,
                format,
            })?;
            trace
                .inputs
                .push(std::mem::replace(&mut trace.output, output));
            trace.derivatives.push(derivative);
        }
        Ok(trace)
    }

    /// Takes a product of two numbers of scale f back to scale f.
    pub(super) fn rescaling<'a>(&self, key: &'a RoundingKey, place: u64) -> Division<'a> {
        Division {
            divisor: 1 << self.config.fraction_bits,
            scale_drop: self.config.fraction_bits,
            rounding: Some((key, place)),
        }
    }

    /// The number formats for a batch and the largest divisor.
    pub(super) fn format(&self, batch: &Tensor<S>, largest_divisor: u64) -> Format {
        let sizes = self.config.layers.iter().chain(&batch.shape()[..1]);
        Format {
            weight_bits: self.config.weight_bits,
            activation_bits: self.config.activation_bits,
            inner: sizes.copied().max().unwrap_or(1),
            divisor_bits: u64::BITS - largest_divisor.leading_zeros(),
        }
    }

    /// Rows that fit the network, their bound at most the declared one.
    pub(super) fn checked_batch(
        &self,
        what: &str,
        rows: &Tensor<S>,
        width: usize,
    ) -> Result<Tensor<S>> {
        if rows.ndim() != 2 || rows.shape()[1] != width {
            return Err(Error::shape(format!(
                "{what} of shape {:?}; the network takes (batch, {width})",
                rows.shape()
            )));
        }
        if rows.is_empty() {
            return Err(Error::shape(format!(
                "{what} of shape {:?}: no rows",
                rows.shape()
            )));
        }
        if rows.scale() != self.config.fraction_bits {
            // Encoding again, or dividing by a power of two, is the caller's choice to make.
            return Err(Error::Scale {
                left: rows.scale(),
                right: self.config.fraction_bits,
            });
        }
        rows.at_most(self.config.activation_bits)
    }
}

impl Mlp<Integers> {
    /// Draws a network: weights normal with standard deviation √(2 / inputs of the layer),
    /// rounded to 2^−f; biases 0. The same seed gives the same network; without one, it comes from the
    /// operating system. Whoever knows the seed, or can guess it, knows the initial model.
    ///
    /// # Errors
    /// Those of [`MlpConfig::validate`]; [`Error::InvalidArgument`] when a weight does not fit
    /// `weight_bits`.
    pub fn draw(config: MlpConfig, seed: Option<[u8; 32]>) -> Result<Self> {
        config.validate()?;
        let seed = match seed {
            Some(seed) => Zeroizing::new(seed),
            None => {
                let mut seed = Zeroizing::new([0; 32]);
                Random::os().fill(&mut *seed)?;
                seed
            }
        };
        let mut generator = ChaCha20Rng::from_seed(*seed);
        let parameters = (0..config.depth())
            .map(|l| {
                generator.set_stream(l as u64);
                draw_layer(&config, l, &mut generator)
            })
            .collect::<Result<Vec<_>>>()?;
        Self::from_parts(config, parameters, 0, 0)
    }
}

// Cheap copies, which share the elements of their tensors: these need no `Clone`, so none is derived.
impl<S: Storage> Clone for Layer<S> {
    fn clone(&self) -> Self {
        Self {
            weight: self.weight.clone(),
            bias: self.bias.clone(),
            activation: self.activation,
        }
    }
}

impl<S: Storage> Clone for Mlp<S> {
    fn clone(&self) -> Self {
        Self {
            config: self.config.clone(),
            layers: self.layers.clone(),
            steps: self.steps,
            trainings: self.trainings,
        }
    }
}

impl<S: Storage> fmt::Debug for Mlp<S> {
    /// Everything public: no parameter.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mlp")
            .field("config", &self.config)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

/// A seed from a small number: for experiments that are to be repeated. It is as guessable as
/// the number.
pub fn seed_from_number(number: u64) -> [u8; 32] {
    let mut seed = [0u8; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    seed
}

fn check_parameter<S: Storage>(
    config: &MlpConfig,
    layer: usize,
    name: &str,
    tensor: &Tensor<S>,
    shape: &[usize],
) -> Result<()> {
    if tensor.shape() != shape {
        return Err(Error::shape(format!(
            "{name} of layer {layer} has shape {:?}, the network needs {shape:?}",
            tensor.shape()
        )));
    }
    let Meta { scale, bound } = tensor.meta();
    if scale != config.fraction_bits || bound > config.weight_bits {
        return Err(Error::invalid(format!(
            "{name} of layer {layer} has {scale} fraction bits and a bound of {bound} bits; the network needs {} and at most {}",
            config.fraction_bits, config.weight_bits
        )));
    }
    Ok(())
}

fn draw_layer(
    config: &MlpConfig,
    layer: usize,
    generator: &mut ChaCha20Rng,
) -> Result<(IntegerTensor, IntegerTensor)> {
    let shape = [config.layers[layer], config.layers[layer + 1]];
    let (fraction_bits, bound) = (config.fraction_bits, Some(config.weight_bits));
    let deviation = (2.0 / shape[0] as f64).sqrt();
    let draws: Zeroizing<Vec<f64>> = Zeroizing::new(
        (0..shape[0] * shape[1])
            .map(|_| {
                let normal: f64 = StandardNormal.sample(generator);
                normal * deviation
            })
            .collect(),
    );
    let weight = IntegerTensor::from_f64(&shape, &draws, fraction_bits, bound).map_err(|error| match error {
        Error::OutOfRange { index, value, .. } => Error::invalid(format!(
            "the initial weight {value} drawn for layer {layer} at {index:?} does not fit {} weight bits with \
             {fraction_bits} fraction bits; raise weight_bits or draw with another seed",
            config.weight_bits
        )),
        other => other,
    })?;
    let bias = IntegerTensor::from_f64(&[shape[1]], &vec![0.0; shape[1]], fraction_bits, bound)?;
    Ok((weight, bias))
}
